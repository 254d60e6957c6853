package inspect

import (
	"bytes"
	"errors"
	"strings"
)

const (
	vmdkSector        = 512
	vmdkMaxDescriptor = 64 << 10
)

func isVMDK(m image) bool {
	if m.has(0, "KDMV") || m.has(0, "COWD") {
		return true
	}
	b, err := m.bytes(0, int(min(m.size, 512)))
	return err == nil && bytes.HasPrefix(b, []byte("# Disk DescriptorFile"))
}

// readVMDK accepts the two kinds that are one file: monolithicSparse and streamOptimized.
func readVMDK(m image) (finding, error) {
	if !m.has(0, "KDMV") {
		return finding{}, errors.New("is a VMDK descriptor, which names other files")
	}
	h, err := m.bytes(0, 72)
	if err != nil {
		return finding{}, err
	}
	if v := le.Uint32(h[4:]); v < 1 || v > 3 {
		return finding{}, errors.New("is a VMDK image of an unknown version")
	}
	sectors := le.Uint64(h[12:])
	if sectors > 1<<53 {
		return finding{}, errors.New("has an impossible disk size in its header")
	}
	offset, length := le.Uint64(h[28:]), le.Uint64(h[36:])
	if offset == 0 || offset > 1<<20 || length == 0 || length > vmdkMaxDescriptor/vmdkSector {
		return finding{}, errors.New("is a VMDK image without a readable descriptor")
	}
	d, err := m.bytes(int64(offset)*vmdkSector, int(min(int64(length)*vmdkSector, max(m.size-int64(offset)*vmdkSector, 0))))
	if err != nil {
		return finding{}, err
	}
	if err := checkVMDKDescriptor(d); err != nil {
		return finding{}, err
	}
	return finding{virtualSize: int64(sectors) * vmdkSector}, nil
}

// checkVMDKDescriptor demands one sparse extent (the file itself) and no parent.
func checkVMDKDescriptor(d []byte) error {
	if i := bytes.IndexByte(d, 0); i >= 0 {
		d = d[:i]
	}
	kind, extents := "", 0
	for line := range strings.Lines(string(d)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, "=")
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "createtype":
			kind = strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`))
			continue
		case "parentfilenamehint":
			return errors.New("is a VMDK image that names a parent")
		case "parentcid":
			if !strings.EqualFold(strings.TrimSpace(value), "ffffffff") {
				return errors.New("is a VMDK image that has a parent")
			}
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "RW" && f[0] != "RDONLY" && f[0] != "NOACCESS" {
			continue
		}
		if extents++; f[2] != "SPARSE" {
			return errors.New("is a VMDK image that keeps its data in another file")
		}
	}
	if kind != "monolithicsparse" && kind != "streamoptimized" {
		return errors.New("is a VMDK image of a kind that is not accepted; monolithicSparse and streamOptimized are")
	}
	if extents != 1 {
		return errors.New("is a VMDK image of more or less than one extent")
	}
	return nil
}
