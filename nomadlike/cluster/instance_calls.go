package cluster

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// diagnosticsTimeout bounds what a host is asked about a guest while a user waits.
const diagnosticsTimeout = 20 * time.Second

// Diagnostics asks the instance's host.
func (s *Server) Diagnostics(ctx context.Context, ins *structs.Instance) (*structs.Diagnostics, error) {
	h := s.store.Snapshot().Host(ins.HostID)
	if h == nil || h.Status == structs.HostDown {
		return nil, structs.Errorf(structs.KindConflict, "Instance %s is not ready: its host %s is down", ins.ID, ins.Host)
	}
	return callHost[structs.Diagnostics](ctx, s, h.ID, diagnosticsTimeout, "Client.Diagnostics", &structs.DiagnosticsRequest{HostID: h.ID, InstanceID: ins.ID})
}
