// Package drivers is the catalog of the drivers that are built into the binary. Each is a plugin all the same: the agent
// starts `kilonova driver NAME` as a subprocess.
package drivers

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/drivers/libvirt"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// catalog holds every built-in driver by the name that the configuration and the command line use. Add a driver here.
var catalog = map[string]func(hclog.Logger) driver.Driver{
	fake.Name:    func(l hclog.Logger) driver.Driver { return fake.New(l) },
	libvirt.Name: func(l hclog.Logger) driver.Driver { return libvirt.New(l) },
}

// Names returns the names of the built-in drivers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(catalog)) }

// New makes a built-in driver in this process. An unknown name is driver.ErrNotFound and lists the known ones.
func New(name string, logger hclog.Logger) (driver.Driver, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	return catalog[name](logger), nil
}

// Main is what `kilonova driver NAME` does: it serves the driver as a plugin until the agent ends it. It is an error to
// call it in a process that no agent started.
func Main(name string) error {
	if err := check(name); err != nil {
		return err
	}
	return driver.Serve(driver.ServeConfig{Name: name, New: catalog[name]})
}

func check(name string) error {
	if catalog[name] == nil {
		return driver.Errorf(driver.KindNotFound, "no driver %q is built in; there are %s", name, strings.Join(Names(), ", "))
	}
	return nil
}
