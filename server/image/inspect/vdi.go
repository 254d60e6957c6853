package inspect

import "errors"

const (
	vdiDynamic = 1
	vdiFixed   = 2
)

func readVDI(m image) (finding, error) {
	h, err := m.bytes(0, 0x178)
	if err != nil {
		return finding{}, err
	}
	if kind := le.Uint32(h[0x4c:]); kind != vdiDynamic && kind != vdiFixed {
		return finding{}, errors.New("is a VDI image that is neither dynamic nor fixed; a differencing one has a parent")
	}
	size, err := signed(le.Uint64(h[0x170:]))
	return finding{virtualSize: size}, err
}

// readPloop reads the header that ploop and Parallels disks share: sectors of 512 bytes at 36, 32 bits wide in the old kind.
func readPloop(m image) (finding, error) {
	h, err := m.bytes(0, 64)
	if err != nil {
		return finding{}, err
	}
	sectors := le.Uint64(h[36:])
	if string(h[:16]) == "WithoutFreeSpace" {
		sectors &= 1<<32 - 1
	}
	if sectors > 1<<53 {
		return finding{}, errors.New("has an impossible disk size in its header")
	}
	return finding{virtualSize: int64(sectors) * 512}, nil
}
