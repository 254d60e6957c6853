package agent

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/image/fetch"
	"github.com/kilonova-cloud/kilonova/server/image/glance"
	"github.com/kilonova-cloud/kilonova/server/image/store"
	"github.com/kilonova-cloud/kilonova/server/image/store/s3"
)

// imageOptions is what the configuration says of the Image service.
func imageOptions(rt *ImageRuntime, external *glance.Client, logger hclog.Logger) (image.Options, error) {
	var others []store.Store
	if external != nil {
		others = append(others, external)
	}
	for _, b := range rt.S3 {
		st, err := s3.New(s3.Options{ID: b.Name, Description: b.Description, Endpoint: b.Endpoint, Bucket: b.Bucket, Region: b.Region, AccessKey: b.AccessKey, SecretKey: b.SecretKey,
			PathStyle: b.PathStyle, Prefix: b.Prefix})
		if err != nil {
			return image.Options{}, err
		}
		others = append(others, st)
	}
	stores, err := store.NewSet(rt.DefaultStore, others...)
	if err != nil {
		return image.Options{}, err
	}
	o := image.Options{Logger: logger, Limits: rt.Limits(), Stores: stores, ImportMethods: rt.ImportMethods, TaskTTL: rt.TaskTTL,
		Fetch: fetch.New(fetch.Options{Rules: rt.WebDownload.Rules()})}
	o.Imports = image.NewImports(o)
	return o, nil
}

// externalPeriod is how often the leader looks for images elsewhere that are to be deleted.
const externalPeriod = 5 * time.Second

// useGlance makes an Image service elsewhere the one that has the images.
func (a *agent) useGlance(cfg *cluster.Config) (err error) {
	g := &a.rt.Server.Image.Glance
	if g.Endpoint == "" {
		return nil
	}
	if a.glance, err = g.client(a.logger.Named("glance")); err != nil {
		return err
	}
	cfg.ImageSink = a.glance.Receive
	cfg.Duties = append(cfg.Duties, cluster.Duty{Name: "external-images", Start: func(ctx context.Context, l cluster.Lead) (func(), error) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			a.keepExternal(ctx, l)
		}()
		return func() { <-ended }, nil
	}})
	return nil
}

func (a *agent) keepExternal(ctx context.Context, l cluster.Lead) {
	t := time.NewTicker(externalPeriod)
	defer t.Stop()
	for k := a.glance.NewKeeper(); ; {
		if err := k.Round(ctx, l.Stale(), l); err != nil && ctx.Err() == nil {
			a.logger.Warn("cannot forget external images; it is tried again", "error", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// recoverPeriod is how often uploads are looked for whose server died in the middle.
const recoverPeriod = time.Minute

// recoverUploads puts images back to queued whose upload ended without a word: this server's own from an earlier life, and on the leader those of servers
// that are no longer peers. A client can then upload again.
func (a *agent) recoverUploads(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		t.Reset(recoverPeriod)
		ids, err := image.Recover(ctx, a.server)
		if err == nil && a.server.Cluster().IsLeader {
			lost, lerr := image.RecoverLost(ctx, a.server)
			ids, err = append(ids, lost...), lerr
		}
		if err != nil && ctx.Err() == nil {
			a.logger.Debug("cannot look for broken uploads; it is tried again", "error", err)
		}
		for _, id := range ids {
			a.logger.Info("an upload ended without a word; its image waits for another", "image", id)
		}
	}
}
