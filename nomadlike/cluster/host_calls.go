package cluster

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// hostCallTimeout bounds what a host's driver is asked while a user waits.
const hostCallTimeout = 60 * time.Second

// callHost asks a host's client. A host that is down is not asked.
func callHost[Resp any](ctx context.Context, s *Server, id structs.HostID, timeout time.Duration, method string, req any) (*Resp, error) {
	h := s.store.Snapshot().Host(id)
	switch {
	case h == nil:
		return nil, structs.Errorf(structs.KindNotFound, "host %s is not registered", id)
	case h.Status == structs.HostDown:
		return nil, structs.Errorf(structs.KindUnavailable, "host %s is down", h.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return rpc.Call[Resp](ctx, s.pool.Clients(), h.RPCAddr, method, req)
}

// HostPower asks the host's driver.
func (s *Server) HostPower(ctx context.Context, id structs.HostID, action string) error {
	_, err := callHost[structs.Ack](ctx, s, id, hostCallTimeout, "Client.HostPower", &structs.HostPowerRequest{HostID: id, Action: action})
	return err
}

// HostMaintenance asks the host's driver.
func (s *Server) HostMaintenance(ctx context.Context, id structs.HostID, on bool) error {
	_, err := callHost[structs.Ack](ctx, s, id, hostCallTimeout, "Client.HostMaintenance", &structs.HostMaintenanceRequest{HostID: id, On: on})
	return err
}
