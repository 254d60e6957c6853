package agent

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/drivers"
)

// The test binary is also the driver's program, as kilonova is.
func TestMain(m *testing.M) {
	if len(os.Args) >= 3 && os.Args[1] == "driver" {
		if err := drivers.Main(os.Args[2]); err != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
