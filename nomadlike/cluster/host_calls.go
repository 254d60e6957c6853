package cluster

import (
	"context"
	"sync"
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

const (
	// cacheImageHosts is how many hosts one call of CacheImages keeps busy at once: Nova's [image_cache]precache_concurrency.
	cacheImageHosts = 10
	// cacheImageTimeout bounds the fetching and conversion of one image on one host.
	cacheImageTimeout = 30 * time.Minute
)

// CacheImages returns at once; this server goes on with it while it runs. What fails is logged, and not tried again: a build fetches what it needs.
func (s *Server) CacheImages(hosts []structs.HostID, images []structs.ImageID) {
	if s.ctx.Err() != nil { // it is being closed
		return
	}
	s.goRun(func(ctx context.Context) {
		slots := make(chan struct{}, cacheImageHosts)
		var wg sync.WaitGroup
		defer wg.Wait()
		for _, id := range hosts {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-slots }()
				s.cacheImagesOn(ctx, id, images)
			})
		}
	})
}

// cacheImagesOn has one host fetch one image after the other.
func (s *Server) cacheImagesOn(ctx context.Context, id structs.HostID, images []structs.ImageID) {
	for _, image := range images {
		if ctx.Err() != nil {
			return
		}
		logger := s.logger.With("host_id", id, "image_id", image)
		img := s.store.Snapshot().Image(image)
		if img == nil {
			logger.Warn("an image to be cached is gone")
			continue
		}
		r, err := callHost[structs.CacheImageResponse](ctx, s, id, cacheImageTimeout, "Client.CacheImage", &structs.CacheImageRequest{HostID: id, Image: img})
		switch {
		case err != nil:
			logger.Warn("a host could not cache an image; a build there fetches it", "error", err)
		case r.Unneeded:
			logger.Info("a host needs no image files")
		default:
			logger.Info("a host has cached an image")
		}
	}
}
