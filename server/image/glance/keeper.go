package glance

import (
	"context"
	"net/http"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// unusedAge is how long what is known of an image is kept that nothing needs any more: who builds of it again within it writes nothing.
const unusedAge = 24 * time.Hour

// Keeper keeps what the state knows of external images in order. One runs, on the leader.
type Keeper struct {
	client *Client
	unused map[structs.ImageID]structs.Time // since when nothing is seen to need an image
}

// NewKeeper returns one for the time that this server leads.
func (c *Client) NewKeeper() *Keeper { return &Keeper{c, map[structs.ImageID]structs.Time{}} }

// Round deletes those images in Glance that the state machine has done with (a snapshot that failed, a backup beyond its rotation, the disk of a shelved instance), and
// forgets those and what nothing has needed for a day. What fails is tried again in the next round.
func (k *Keeper) Round(ctx context.Context, rd state.Reader, p fsm.Proposer) error {
	var req structs.ImageForgetRequest
	var needed func(*structs.Image) bool
	for i := range rd.Images() {
		switch {
		case !i.External:
			continue
		case i.Status == structs.ImageDeleted:
			if !k.delete(ctx, i.ID) {
				continue
			}
		default:
			if needed == nil {
				needed = need(rd)
			}
			if !k.expired(i.ID, needed(i)) {
				continue
			}
		}
		delete(k.unused, i.ID)
		req.Images = append(req.Images, structs.ImageVersion{ID: i.ID, IfIndex: i.ModifyIndex})
	}
	if len(req.Images) == 0 {
		return nil
	}
	_, err := fsm.ImageForget.Propose(ctx, p, &req)
	return err
}

// delete reports whether there is nothing more to do about the image.
func (k *Keeper) delete(ctx context.Context, id structs.ImageID) bool {
	g, err := k.client.self(ctx)
	if err == nil {
		err = k.client.call(ctx, g, http.MethodDelete, path(id), nil, nil, nil)
	}
	switch structs.KindOf(err) {
	case structs.KindNotFound:
		return true
	case structs.KindForbidden:
		k.client.log.Warn("an image that is done with stays in the Image service, which does not let it be deleted (is it protected?)", "image", id)
		return true
	}
	if err != nil {
		k.client.log.Warn("cannot delete an image that is done with; it is tried again", "image", id, "error", err)
	}
	return err == nil
}

func (k *Keeper) expired(id structs.ImageID, needed bool) bool {
	now := k.client.time()
	since, seen := k.unused[id]
	switch {
	case needed:
		delete(k.unused, id)
	case !seen:
		k.unused[id] = now
	default:
		return since.Add(unusedAge) <= now
	}
	return false
}

// need returns what says whether an image is needed: by an instance that stands on it or that it was made of, or by an operation that uses or makes it.
func need(rd state.Reader) func(*structs.Image) bool {
	images, instances := map[structs.ImageID]bool{}, map[string]bool{}
	for ins := range rd.AllInstances() {
		images[ins.ImageID], images[ins.ShelvedImageID], instances[string(ins.ID)] = true, true, true
	}
	for op := range rd.ActiveOperations() {
		images[op.Args.ImageID], images[op.Args.NewImageID] = true, true
	}
	return func(i *structs.Image) bool { return images[i.ID] || instances[i.Properties["instance_uuid"]] }
}
