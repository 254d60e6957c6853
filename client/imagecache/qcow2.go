package imagecache

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// checkQCOW2 refuses a qcow2 file that names a backing file or an external data file: a hypervisor would open that one and
// show its bytes to the guest. Our own image service refuses such uploads; an external one may not. Other files pass.
// The layout is that of QEMU's docs/interop/qcow2.txt.
func checkQCOW2(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := make([]byte, 80)
	n, err := io.ReadFull(f, h)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n < 20 || string(h[:4]) != "QFI\xfb" {
		return nil
	}
	if binary.BigEndian.Uint64(h[8:]) != 0 || binary.BigEndian.Uint32(h[16:]) != 0 {
		return errors.New("names a backing file and is not used")
	}
	const dataFileBit = 1 << 2
	if binary.BigEndian.Uint32(h[4:]) >= 3 && binary.BigEndian.Uint64(h[72:])&dataFileBit != 0 {
		return errors.New("keeps its data in an external file and is not used")
	}
	return nil
}
