// Package inspect reads the header of a disk image: what format the bytes really are, how large the disk inside is, and
// whether opening the image would make a hypervisor open another file.
//
// It decides by the bytes alone, not by name or claim, and reads no more than a few hundred kilobytes whatever the size.
// The layouts are those that the formats' specifications give: qcow2 (QEMU docs/interop/qcow2.txt), VMDK 5.0 (VMware's
// Virtual Disk Format), VDI (VirtualBox), VHD and VHDX (Microsoft), ISO 9660 (ECMA-119).
package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The formats that bytes can be. Raw is what is none of the others.
const (
	Raw   = "raw"
	QCOW2 = "qcow2"
	VMDK  = "vmdk"
	VDI   = "vdi"
	VHD   = "vhd"
	VHDX  = "vhdx"
	ISO   = "iso"
	Ploop = "ploop"
	QCOW1 = "qcow" // version 1, no format of Glance's
	QED   = "qed"  // no format of Glance's
)

// Info is what an image's bytes say.
type Info struct {
	// Formats are all that the bytes can be taken for, never empty; more than one only for a file made to deceive or for
	// one with an ISO 9660 file system inside another format.
	Formats []string
	// VirtualSize is the size of the disk inside in bytes, of the first of Formats; 0 when it is not known.
	VirtualSize int64
	// Unsafe says why nothing may open this image on a host ("names a backing file"), or is empty.
	Unsafe string
}

// finding is what one format's reader found.
type finding struct {
	virtualSize int64
	unsafe      string
}

// image is the bytes under inspection.
type image struct {
	io.ReaderAt
	size int64
}

// errShort means that a header points past the end of the file.
var errShort = errors.New("is shorter than its header says")

// bytes returns n bytes at off, or errShort when the file has not that many.
func (m image) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > m.size-int64(n) {
		return nil, errShort
	}
	b := make([]byte, n)
	got, err := m.ReadAt(b, off)
	switch {
	case got == n:
		return b, nil
	case errors.Is(err, io.EOF):
		return nil, errShort
	}
	return nil, err
}

// has reports whether the text lies at off.
func (m image) has(off int64, text string) bool {
	b, err := m.bytes(off, len(text))
	return err == nil && string(b) == text
}

// readers are tried in this order; what claims the first bytes comes before what lies deeper.
var readers = []struct {
	format string
	is     func(image) bool
	read   func(image) (finding, error)
}{
	{QCOW2, isQCOW2, readQCOW2},
	{QCOW1, isQCOW1, nil},
	{QED, func(m image) bool { return m.has(0, "QED\x00") }, nil},
	{VMDK, isVMDK, readVMDK},
	{VHDX, func(m image) bool { return m.has(0, "vhdxfile") }, readVHDX},
	{VHD, isVHD, readVHD},
	{VDI, func(m image) bool { return m.has(0x40, "\x7f\x10\xda\xbe") }, readVDI},
	{Ploop, func(m image) bool { return m.has(0, "WithoutFreeSpace") || m.has(0, "WithouFreSpacExt") }, readPloop},
	{ISO, func(m image) bool { return m.has(0x8001, "CD001") }, readWhole},
}

// Inspect reads the header of the size bytes that r has. It fails only when r does: a damaged header is Unsafe.
func Inspect(r io.ReaderAt, size int64) (Info, error) {
	m, info := image{r, size}, Info{}
	if _, err := m.bytes(0, int(min(size, 512))); err != nil {
		return info, fmt.Errorf("read the image: %w", err)
	}
	for _, f := range readers {
		if !f.is(m) {
			continue
		}
		found := finding{unsafe: "is of the format " + f.format + ", which is not accepted"}
		if f.read != nil {
			var err error
			if found, err = f.read(m); err != nil {
				found.unsafe = err.Error()
			}
		}
		if len(info.Formats) == 0 {
			info.VirtualSize = found.virtualSize
		}
		info.Formats = append(info.Formats, f.format)
		if info.Unsafe == "" {
			info.Unsafe = found.unsafe
		}
	}
	if len(info.Formats) == 0 {
		info.Formats, info.VirtualSize = []string{Raw}, size
	}
	return info, nil
}

// readWhole is for formats whose disk is the file.
func readWhole(m image) (finding, error) { return finding{virtualSize: m.size}, nil }

// Check compares the bytes with what an image record claims of them and returns the size of the disk inside in bytes, 0
// when it is not known. It is KindInvalid, with what is wrong and what would be right, when
//
//   - the bytes are of a format that can name other files of the host and does, whatever is claimed;
//   - the container is a plain one (bare, or Amazon's ami, aki, ari) and the bytes are not of the format claimed. An ISO
//     9660 image may be called raw, since hybrid ones boot as disks. In other containers (ova, docker, compressed, ovf) the
//     disk format speaks of what is packed inside, which is not opened here.
func Check(r io.ReaderAt, size int64, diskFormat, containerFormat string) (int64, error) {
	info, err := Inspect(r, size)
	if err != nil {
		return 0, err
	}
	if info.Unsafe != "" {
		return 0, structs.Errorf(structs.KindInvalid, "The image data %s. Upload an image that stands alone and is whole (qemu-img convert makes one).", info.Unsafe)
	}
	switch containerFormat {
	case "", "bare", "ami", "aki", "ari":
	default:
		return 0, nil
	}
	if slices.Equal(info.Formats, []string{diskFormat}) {
		return info.VirtualSize, nil
	}
	if isRawClaim(diskFormat) && (slices.Equal(info.Formats, []string{Raw}) || slices.Equal(info.Formats, []string{ISO})) {
		return size, nil
	}
	found := strings.Join(info.Formats, " and ")
	if len(info.Formats) > 1 {
		return 0, structs.Errorf(structs.KindInvalid, "The image data can be taken for %s at once, but the image's disk_format is %s. Upload data of one format.", found, diskFormat)
	}
	return 0, structs.Errorf(structs.KindInvalid, "The image data is %s, but the image's disk_format is %s. Set disk_format to %s, or upload data of the format %s.", found, diskFormat, found, diskFormat)
}

// isRawClaim reports whether a disk format of Glance's stands for plain bytes.
func isRawClaim(f string) bool { return f == Raw || f == "ami" || f == "aki" || f == "ari" }

// signed turns a header's unsigned size into ours; a size that no file can have is damage.
func signed(n uint64) (int64, error) {
	if n > 1<<62 {
		return 0, errors.New("has an impossible disk size in its header")
	}
	return int64(n), nil
}

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)
