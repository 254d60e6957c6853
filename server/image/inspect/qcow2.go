package inspect

import "errors"

const (
	qcow2HeaderV2 = 72
	qcow2HeaderV3 = 104
	// Incompatible feature bits: dirty, corrupt, external data file, compression type, extended L2 entries.
	qcow2DataFileBit = 1 << 2
	qcow2KnownBits   = 1<<5 - 1
	// Header extensions.
	qcow2ExtEnd      = 0
	qcow2ExtBacking  = 0xE2792ACA // backing file format
	qcow2ExtDataFile = 0x44415441 // external data file name
	qcow2MaxExt      = 64         // more is a trap; QEMU writes four
)

func qcowVersion(m image) uint32 {
	if !m.has(0, "QFI\xfb") {
		return 0
	}
	b, err := m.bytes(4, 4)
	if err != nil {
		return 2 // a torn header: readQCOW2 says so
	}
	return be.Uint32(b)
}

func isQCOW1(m image) bool { return qcowVersion(m) == 1 }

func isQCOW2(m image) bool { return m.has(0, "QFI\xfb") && !isQCOW1(m) }

func readQCOW2(m image) (finding, error) {
	h, err := m.bytes(0, qcow2HeaderV2)
	if err != nil {
		return finding{}, err
	}
	version := be.Uint32(h[4:])
	if version != 2 && version != 3 {
		return finding{}, errors.New("is a qcow2 image of an unknown version; versions 2 and 3 are accepted")
	}
	if be.Uint64(h[8:]) != 0 || be.Uint32(h[16:]) != 0 {
		return finding{}, errors.New("is a qcow2 image that names a backing file")
	}
	if bits := be.Uint32(h[20:]); bits < 9 || bits > 21 {
		return finding{}, errors.New("is a qcow2 image with an impossible cluster size")
	}
	size, err := signed(be.Uint64(h[24:]))
	if err != nil {
		return finding{}, err
	}
	if version == 3 {
		if err := checkQCOW2v3(m); err != nil {
			return finding{}, err
		}
	}
	return finding{virtualSize: size}, nil
}

func checkQCOW2v3(m image) error {
	h, err := m.bytes(0, qcow2HeaderV3)
	if err != nil {
		return err
	}
	features := be.Uint64(h[72:])
	switch {
	case features&qcow2DataFileBit != 0:
		return errors.New("is a qcow2 image that keeps its data in an external file")
	case features&^qcow2KnownBits != 0:
		return errors.New("is a qcow2 image with features that are not known")
	}
	length := be.Uint32(h[100:])
	if length < qcow2HeaderV3 || length > 1<<9 || length%8 != 0 {
		return errors.New("is a qcow2 image with a damaged header")
	}
	return checkQCOW2Extensions(m, int64(length))
}

// checkQCOW2Extensions looks for a name of another file among the header extensions.
func checkQCOW2Extensions(m image, off int64) error {
	for range qcow2MaxExt {
		h, err := m.bytes(off, 8)
		if err != nil {
			return nil // a header without an end mark at the end of the file
		}
		switch be.Uint32(h) {
		case qcow2ExtEnd:
			return nil
		case qcow2ExtDataFile:
			return errors.New("is a qcow2 image that names an external data file")
		case qcow2ExtBacking:
			return errors.New("is a qcow2 image that names the format of a backing file")
		}
		off += 8 + (int64(be.Uint32(h[4:]))+7)/8*8
	}
	return errors.New("is a qcow2 image with a damaged header")
}
