package inspect

import (
	"bytes"
	"errors"
)

const (
	vhdFooter       = 512
	vhdFixed        = 2
	vhdDynamic      = 3
	vhdxRegionTable = 192 << 10
	vhdxMaxEntries  = 64
)

// isVHD knows a dynamic disk by the copy of its footer at the start, a fixed one by the footer at its end.
func isVHD(m image) bool { return m.has(0, "conectix") || m.has(m.size-vhdFooter, "conectix") }

func readVHD(m image) (finding, error) {
	off := m.size - vhdFooter
	if m.has(0, "conectix") {
		off = 0
	}
	h, err := m.bytes(off, vhdFooter)
	if err != nil {
		return finding{}, err
	}
	if kind := be.Uint32(h[60:]); kind != vhdFixed && kind != vhdDynamic {
		return finding{}, errors.New("is a VHD image that is neither fixed nor dynamic; a differencing one has a parent")
	}
	size, err := signed(be.Uint64(h[48:]))
	return finding{virtualSize: size}, err
}

// GUIDs as they lie in a VHDX file.
var (
	vhdxMetadataRegion = []byte("\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e") // 8B7CA206-4790-4B9A-B8FE-575F050F886E
	vhdxFileParameters = []byte("\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b") // CAA16737-FA36-4D43-B3B6-33F0AA44E76B
	vhdxDiskSize       = []byte("\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8") // 2FA54224-CD1B-4876-B211-5DBED83BF4B8
	vhdxParentLocator  = []byte("\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c") // A8D35F2D-B30B-454D-ABF7-D3D84834AB0C
)

var errVHDX = errors.New("is a VHDX image with a damaged header")

func readVHDX(m image) (finding, error) {
	t, err := m.bytes(vhdxRegionTable, 16)
	if err != nil {
		return finding{}, err
	}
	count := le.Uint32(t[8:])
	if string(t[:4]) != "regi" || count > vhdxMaxEntries {
		return finding{}, errVHDX
	}
	entries, err := m.bytes(vhdxRegionTable+16, int(count)*32)
	if err != nil {
		return finding{}, err
	}
	for e := range chunks(entries, 32) {
		if bytes.Equal(e[:16], vhdxMetadataRegion) {
			at, err := signed(le.Uint64(e[16:]))
			if err != nil {
				return finding{}, errVHDX
			}
			return readVHDXMetadata(m, at)
		}
	}
	return finding{}, errVHDX
}

// readVHDXMetadata reads the metadata region at off: the disk's size, and that there is no parent.
func readVHDXMetadata(m image, off int64) (finding, error) {
	t, err := m.bytes(off, 32)
	if err != nil {
		return finding{}, err
	}
	count := le.Uint16(t[10:])
	if string(t[:8]) != "metadata" || count > vhdxMaxEntries {
		return finding{}, errVHDX
	}
	entries, err := m.bytes(off+32, int(count)*32)
	if err != nil {
		return finding{}, err
	}
	found, sized := finding{}, false
	for e := range chunks(entries, 32) {
		at := off + int64(le.Uint32(e[16:]))
		switch id := e[:16]; {
		case bytes.Equal(id, vhdxParentLocator):
			return finding{}, errors.New("is a VHDX image that names a parent")
		case bytes.Equal(id, vhdxFileParameters):
			if v, err := m.bytes(at, 8); err != nil {
				return finding{}, err
			} else if le.Uint32(v[4:])&2 != 0 {
				return finding{}, errors.New("is a VHDX image that has a parent")
			}
		case bytes.Equal(id, vhdxDiskSize):
			v, err := m.bytes(at, 8)
			if err != nil {
				return finding{}, err
			}
			if found.virtualSize, err = signed(le.Uint64(v)); err != nil {
				return finding{}, err
			}
			sized = true
		}
	}
	if !sized {
		return finding{}, errVHDX
	}
	return found, nil
}

// chunks yields b in pieces of n bytes.
func chunks(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(b) >= n; b = b[n:] {
			if !yield(b[:n]) {
				return
			}
		}
	}
}
