package libvirt

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

func TestTmpProbe(t *testing.T) {
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip()
	}
	for _, a := range []string{"tcg", "kvm"} {
		b := time.Now()
		t.Log(a, probe(context.Background(), path, a, 10*time.Second), time.Since(b))
	}
}
