package fake

import (
	"encoding/json"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/conformance"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		config, err := json.Marshal(map[string]any{"state_dir": t.TempDir(), "host": "h1"})
		require.NoError(t, err)
		var current *Driver
		return &conformance.Harness{
			New: func(l hclog.Logger) driver.Driver {
				current = New(l)
				return current
			},
			Config: config,
			Spec:   func(testing.TB) *driver.InstanceSpec { return testSpec() },
			StubbornSpec: func(testing.TB) *driver.InstanceSpec {
				spec := testSpec()
				spec.Metadata = map[string]string{StubbornKey: "true"}
				return spec
			},
			PowerOffInside: func(t testing.TB, id string) {
				require.NoError(t, current.Control(Control{Action: GuestPowerOff, Instance: id}))
			},
			ConsoleContains: "LAST LINE",
		}
	})
}

func testSpec() *driver.InstanceSpec {
	return &driver.InstanceSpec{
		InstanceRef: driver.InstanceRef{InstanceID: "i-1", OperationID: "o-1", Generation: 1},
		Name:        "one", Hostname: "one.example", VCPUs: 1, MemoryMiB: 64, RootGiB: 1, PowerOn: true,
	}
}
