package example_test

import (
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/conformance"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/plugins/example"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(testing.TB) *conformance.Harness {
		host := example.NewHost()
		return &conformance.Harness{
			New: func(hclog.Logger) driver.Driver { return example.New(host) },
			Spec: func(testing.TB) *driver.InstanceSpec {
				return &driver.InstanceSpec{Name: "g", Hostname: "g.example", VCPUs: 1, MemoryMiB: 64, RootGiB: 1}
			},
			ConsoleContains: "g.example login:",
			Lacks:           map[conformance.Part]string{conformance.Redefine: "it keeps no disks"},
		}
	})
}
