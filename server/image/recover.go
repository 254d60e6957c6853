package image

import (
	"context"
	"errors"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Recover puts the images that this server was receiving when it died, or could not put back when an upload failed, from
// saving or uploading back to queued. Uploads that this process still receives are left alone, so that it may be called at start and
// again from time to time. It returns the images put back; on an error those before it.
func Recover(ctx context.Context, core nomadlike.Core) ([]structs.ImageID, error) {
	return recoverOf(ctx, core, func(s structs.ServerID) bool { return s == core.Cluster().ServerID })
}

// RecoverLost does the same for servers that are no peers of the cluster any more: for the leader, which knows the peers. A
// peer that is down keeps its images until it comes back or is removed.
func RecoverLost(ctx context.Context, core nomadlike.Core) ([]structs.ImageID, error) {
	info := core.Cluster()
	if len(info.Peers) == 0 {
		return nil, nil // not known now
	}
	peers := map[structs.ServerID]bool{info.ServerID: true}
	for _, p := range info.Peers {
		peers[p.ID] = true
	}
	return recoverOf(ctx, core, func(s structs.ServerID) bool { return !peers[s] })
}

func recoverOf(ctx context.Context, core nomadlike.Core, of func(structs.ServerID) bool) ([]structs.ImageID, error) {
	state, err := core.Read(ctx)
	if err != nil {
		return nil, err
	}
	var done []structs.ImageID
	var errs []error
	for i := range state.Images() {
		if !arriving(i) {
			continue
		}
		server := receiver(i)
		if _, busy := uploads.Load(uploadKey{core, i.ID}); busy || !of(server) {
			continue
		}
		if err := requeue(ctx, core, i.ID, server); err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, i.ID)
	}
	return done, errors.Join(errs...)
}
