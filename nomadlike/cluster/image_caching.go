package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	// cacheImageHosts is how many hosts of one aggregate cache images at once: Nova's [image_cache]precache_concurrency.
	cacheImageHosts = 10
	// cacheImageTimeout bounds the fetching and conversion of one image on one host.
	cacheImageTimeout = 30 * time.Minute
)

// startImageCaching is a duty: it has hosts cache the images that were asked for. What an earlier leader did not bring to its end is asked of the hosts that had not
// answered again: a host that has an image answers at once.
func (s *Server) startImageCaching(parent context.Context) (func(), error) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		defer wg.Wait()
		begun := map[string]bool{}
		for {
			ws := memdb.NewWatchSet()
			open := map[string]bool{}
			for c := range s.store.Snapshot().Watching(ws).ImageCachings() {
				open[c.ID] = true
				if !begun[c.ID] {
					wg.Go(func() { s.cacheImages(ctx, c) })
				}
			}
			begun = open
			if ws.WatchCtx(ctx) != nil {
				return
			}
		}
	}()
	return func() { cancel(); <-done }, nil
}

// cacheImages brings one request to its end, unless ctx ends before. What fails is told and logged, and not tried again: a build fetches what it needs.
func (s *Server) cacheImages(ctx context.Context, c *structs.ImageCaching) {
	slots := make(chan struct{}, cacheImageHosts)
	var wg sync.WaitGroup
	defer wg.Wait()
	if len(c.Aggregate.Hosts) == 0 {
		s.reportCaching(ctx, c.ID)
	}
	for _, id := range c.Aggregate.Hosts {
		if c.IsDone(id) {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if did := s.cacheImagesOn(ctx, id, c.Images); ctx.Err() == nil { // else a failure may be of our own making
				s.reportCaching(ctx, c.ID, did)
			}
		})
	}
}

// reportCaching writes down what hosts did, however often that takes while this server leads.
func (s *Server) reportCaching(ctx context.Context, id string, done ...structs.ImageCachingHost) {
	for attempt := 0; ; attempt++ {
		_, err := fsm.ImageCachingReport.Propose(ctx, asLeader{s}, &structs.ImageCachingReportRequest{ID: id, Done: done, Now: now()})
		if err == nil || !pause(ctx, attempt) {
			return
		}
		s.logger.Debug("cannot write down what a host cached; trying again", "error", err)
	}
}

// cacheImagesOn has one host fetch one image after the other.
func (s *Server) cacheImagesOn(ctx context.Context, id structs.HostID, images []structs.ImageID) structs.ImageCachingHost {
	did := structs.ImageCachingHost{HostID: id}
	for _, image := range images {
		if ctx.Err() != nil {
			return did
		}
		if s.cacheImageOn(ctx, id, image) {
			did.Cached = append(did.Cached, image)
		} else {
			did.Failed = append(did.Failed, image)
		}
	}
	return did
}

// cacheImageOn reports whether the host has the image now. As in Nova a host whose driver has no use for image files has it not.
func (s *Server) cacheImageOn(ctx context.Context, id structs.HostID, image structs.ImageID) bool {
	logger := s.logger.With("host_id", id, "image_id", image)
	img := s.store.Snapshot().Image(image)
	if img == nil {
		logger.Warn("an image to be cached is gone")
		return false
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
	return err == nil && !r.Unneeded
}
