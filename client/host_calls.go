package client

import (
	"context"

	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// registerHostCalls registers what servers ask of a host itself.
func (c *Client) registerHostCalls() {
	rpc.Handle(c.cfg.RPC, "Client.HostPower", rpc.ServerOnly, c.hostPower)
	rpc.Handle(c.cfg.RPC, "Client.HostMaintenance", rpc.ServerOnly, c.hostMaintenance)
	rpc.Handle(c.cfg.RPC, "Client.CacheImage", rpc.ServerOnly, c.cacheImage)
	rpc.Handle(c.cfg.RPC, "Client.Diagnostics", rpc.ServerOnly, c.diagnostics)
	rpc.Handle(c.cfg.RPC, "Client.ConsoleEndpoint", rpc.ServerOnly, c.consoleEndpoint)
	rpc.Handle(c.cfg.RPC, "Client.MigrationProgress", rpc.ServerOnly, c.migrationProgress)
	rpc.HandleStream(c.cfg.RPC, "Client.Disks", rpc.AnyAgent, c.serveDisks)
	rpc.HandleStream(c.cfg.RPC, "Client.ReadImage", rpc.AnyAgent, c.readImage)
}

func (c *Client) hostOf(id structs.HostID) (*Host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[id]; h != nil {
		return h, nil
	}
	return nil, structs.Errorf(structs.KindNotFound, "host %s is not run by this client", id)
}

func (c *Client) hostPower(ctx context.Context, req *structs.HostPowerRequest) (*structs.Ack, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	if err := h.driver.HostPower(ctx, driver.HostPowerAction(req.Action)); err != nil {
		return nil, runner.Translate(err)
	}
	return &structs.Ack{}, nil
}

func (c *Client) hostMaintenance(ctx context.Context, req *structs.HostMaintenanceRequest) (*structs.Ack, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	if err := h.driver.HostMaintenance(ctx, req.On); err != nil {
		return nil, runner.Translate(err)
	}
	return &structs.Ack{}, nil
}

// cacheImage fetches an image in the form that the host's driver takes. It stays as long as one that a build brought and that nobody uses.
func (c *Client) cacheImage(ctx context.Context, req *structs.CacheImageRequest) (*structs.CacheImageResponse, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	if req.Image == nil {
		return nil, structs.Errorf(structs.KindInvalid, "no image was named")
	}
	h.mu.Lock()
	caps := h.caps
	h.mu.Unlock()
	if caps == nil {
		return nil, structs.Errorf(structs.KindUnavailable, "the driver of host %s has not told its image formats yet", h.cfg.Name)
	}
	file, release, err := c.cfg.Images.Get(ctx, req.Image, caps.ImageFormats)
	if err != nil {
		return nil, err
	}
	release()
	return &structs.CacheImageResponse{Unneeded: file == nil}, nil
}
