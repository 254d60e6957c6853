//go:build !linux

package libvirt

import (
	"errors"
	"os"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// The binary is built for other systems too, where it is a client of the API or the host of another driver.

func checkSystem() error {
	return driver.Errorf(driver.KindNotSupported, "the libvirt driver runs on Linux only")
}

func fileSystemBytes(string) (int64, error) { return 0, errors.ErrUnsupported }

func directIO(string) bool { return false }

func collapseHead(*os.File, int64) error { return errors.ErrUnsupported }
