package coretest

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Diagnostics calls Measure.
func (c *Core) Diagnostics(_ context.Context, ins *structs.Instance) (*structs.Diagnostics, error) {
	if c.Measure == nil {
		return nil, structs.Errorf(structs.KindNotSupported, "the driver does not have Diagnostics")
	}
	return c.Measure(ins)
}

// ConsoleEndpoint calls Endpoint.
func (c *Core) ConsoleEndpoint(_ context.Context, ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
	if c.Endpoint == nil {
		return nil, structs.Errorf(structs.KindNotSupported, "the driver does not have ConsoleEndpoint")
	}
	return c.Endpoint(ins, kind)
}

// MigrationProgress calls Moving.
func (c *Core) MigrationProgress(_ context.Context, m *structs.Migration) (*structs.MigrationProgress, error) {
	if c.Moving == nil {
		return nil, structs.Errorf(structs.KindUnavailable, "the host does not answer")
	}
	return c.Moving(m)
}
