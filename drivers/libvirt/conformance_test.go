//go:build linux

package libvirt

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/conformance"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// guestParts are the parts of the suite that need a guest with an operating system in it. The others get one with an
// empty disk: its BIOS finds nothing to boot and halts, which costs next to no processor time, and it ignores the power
// button like the most stubborn of guests.
var guestParts = []conformance.Part{conformance.SoftStop, conformance.Console, conformance.Events}

func TestConformance(t *testing.T) {
	b := realBed(t)
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		// Hosts of their own on one libvirtd: what tells them apart is the folder of the instances.
		dir := filepath.Join(b.dir, uuid.NewString()[:4])
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
		config := b.config(t, map[string]any{
			"instances_dir": filepath.Join(dir, "i"), "state_dir": filepath.Join(dir, "s"),
		})
		var current *Driver
		h := &conformance.Harness{
			New: func(l hclog.Logger) driver.Driver {
				current = New(l)
				return current
			},
			Config:   config,
			Timeout:  bootTime,
			Grace:    10 * time.Second,
			Parallel: 3,
			Logger:   testLogger(t),
		}
		blank := func(t testing.TB) *driver.InstanceSpec { return b.blankSpec(t) }
		h.Spec, h.StubbornSpec = blank, blank
		if slices.Contains(guestParts, conformance.Part(filepath.Base(t.Name()))) {
			h.Spec = func(t testing.TB) *driver.InstanceSpec { return b.spec(t, "conformance") }
			h.ConsoleContains = "KILONOVA-GUEST-READY"
			h.PowerOffInside = func(t testing.TB, id string) {
				l := logIn(t, current, id)
				l.enter("poweroff")
				t.Cleanup(l.close)
			}
		}
		return h
	})
}

// blankSpec returns a guest with an empty disk.
func (b *testBed) blankSpec(t testing.TB) *driver.InstanceSpec {
	spec := b.spec(t, "blank")
	spec.MemoryMiB = 64
	spec.Image = &driver.Image{ID: "blank", Path: filepath.Join(b.dir, "blank"), Format: "raw"}
	if err := os.WriteFile(spec.Image.Path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return spec
}
