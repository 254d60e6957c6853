package instance

import (
	"fmt"
	"testing"
)

func TestAppendHex8(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 15, 16, 255, 0xfffffff, 0x10000000, 0xffffffff, 0x100000000, ^uint64(0)} {
		if got, want := string(appendHex8(nil, n)), fmt.Sprintf("%08x", n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
