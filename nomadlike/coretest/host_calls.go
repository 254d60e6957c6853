package coretest

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// HostCalls play the hosts' clients. What is nil is not supported.
type HostCalls struct {
	Power       func(id structs.HostID, action string) error
	Maintenance func(id structs.HostID, on bool) error
}

// HostPower calls HostCalls.Power.
func (c *Core) HostPower(_ context.Context, id structs.HostID, action string) error {
	if c.HostCalls.Power == nil {
		return structs.Errorf(structs.KindNotSupported, "the driver does not have HostPower")
	}
	return c.HostCalls.Power(id, action)
}

// HostMaintenance calls HostCalls.Maintenance.
func (c *Core) HostMaintenance(_ context.Context, id structs.HostID, on bool) error {
	if c.HostCalls.Maintenance == nil {
		return structs.Errorf(structs.KindNotSupported, "the driver does not have HostMaintenance")
	}
	return c.HostCalls.Maintenance(id, on)
}
