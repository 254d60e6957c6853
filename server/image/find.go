package image

import (
	"context"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// imageID is the image that the path names; ids are in lower case.
func imageID(r *httpapi.Request) structs.ImageID {
	return structs.ImageID(strings.ToLower(r.Vars["image_id"]))
}

func noImage(id structs.ImageID) error { return httpapi.NotFound("No image found with ID %s", id) }

// visible reports whether the caller may know of the image. Without members a shared image is its owner's alone.
func visible(t *httpapi.Token, i *structs.Image) bool {
	return owned(t, i) || i.Visibility == "public" || i.Visibility == "community"
}

// owned reports whether the caller may change the image.
func owned(t *httpapi.Token, i *structs.Image) bool {
	return t.IsAdmin() || t.ProjectID != "" && t.ProjectID == i.ProjectID
}

// find returns the image that the path names: 404 when the caller may not know of it.
func find(r *httpapi.Request) (*structs.Image, error) {
	state, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	id := imageID(r)
	if i := state.Image(id); i != nil && visible(r.Token, i) {
		return i, nil
	}
	return nil, noImage(id)
}

// findOwned is find for who changes the image: 403 when it may only be seen.
func findOwned(r *httpapi.Request) (*structs.Image, error) {
	i, err := find(r)
	if err != nil {
		return nil, err
	}
	if !owned(r.Token, i) {
		return nil, httpapi.Forbidden("Policy doesn't allow %s to be performed.", r.Route.Rule.Name())
	}
	return i, nil
}

// maxTries bounds how often a change is tried again because another came between.
const maxTries = 20

// change edits an image so that no other change of it is lost: edit gets a copy of the newest version, and again of a newer
// one when somebody wrote meanwhile. An error of edit ends it. It returns what was written.
func change(ctx context.Context, core nomadlike.Core, id structs.ImageID, edit func(*structs.Image) error) (*structs.Image, error) {
	for try := 0; ; try++ {
		state, err := core.Read(ctx)
		if err != nil {
			return nil, err
		}
		old := state.Image(id)
		if old == nil {
			return nil, noImage(id)
		}
		i := old.Copy()
		if err := edit(i); err != nil {
			return nil, err
		}
		i.UpdatedAt = structs.TimeOf(time.Now())
		_, err = fsm.ImageReplace.Propose(ctx, core, &structs.ImageReplaceRequest{Image: *i, IfIndex: old.ModifyIndex})
		if err == nil {
			return i, nil
		}
		if !structs.IsKind(err, structs.KindConflict) || try >= maxTries {
			return nil, err
		}
	}
}

// show answers GET /v2/images/{image_id}.
func (s *service) show(r *httpapi.Request) (any, error) {
	i, err := find(r)
	if err != nil {
		return nil, err
	}
	return view(i), nil
}

// remove answers DELETE /v2/images/{image_id}. The bytes stay until no image names them.
func (s *service) remove(r *httpapi.Request) (any, error) {
	i, err := findOwned(r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.ImageDelete.Propose(r.Context(), r.Core, &structs.ImageDeleteRequest{ID: i.ID})
	return nil, err
}
