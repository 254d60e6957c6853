package image

import (
	"context"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// imageID is the image that the path names; ids are in lower case.
func imageID(r *httpapi.Request) structs.ImageID {
	return structs.ImageID(strings.ToLower(r.Vars["image_id"]))
}

func noImage(id structs.ImageID) error { return httpapi.NotFound("No image found with ID %s", id) }

// seek returns the image that the path names, or missing when the caller may not know of it. The row's rule is still to be judged.
func seek(r *httpapi.Request, missing error) (*structs.Image, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if i := rd.Image(imageID(r)); i != nil && visible(r.Token, rd, i) {
		return i, nil
	}
	return nil, missing
}

// findOr returns the image that the path names when the row's rule allows what is to be done: else missing when the caller may not know of the image, and 403.
func findOr(r *httpapi.Request, missing error) (*structs.Image, error) {
	i, err := seek(r, missing)
	if err != nil {
		return nil, err
	}
	return i, judge(r, i, missing)
}

// find is findOr with the words of most routes.
func find(r *httpapi.Request) (*structs.Image, error) { return findOr(r, noImage(imageID(r))) }

// maxTries bounds how often a change is tried again because another came between.
const maxTries = 20

// change edits an image so that no other change of it is lost: edit gets a copy of the newest version, and again of a newer
// one when somebody wrote meanwhile. An error of edit ends it. It returns what was written.
func change(ctx context.Context, core nomadlike.Core, id structs.ImageID, edit func(*structs.Image) error) (*structs.Image, error) {
	return changeBy(ctx, core, id, edit, func(_ state.Reader, i structs.Image, index uint64) error {
		_, err := fsm.ImageReplace.Propose(ctx, core, &structs.ImageReplaceRequest{Image: i, IfIndex: index})
		return err
	})
}

// changeStored is change for when data begin to arrive, of which some are announced, or are there: the project's limits hold.
func (s *service) changeStored(ctx context.Context, core nomadlike.Core, id structs.ImageID, announced int64, edit func(*structs.Image) error) (*structs.Image, error) {
	return changeBy(ctx, core, id, edit, func(rd state.Reader, i structs.Image, index uint64) error {
		_, err := fsm.ImageStore.Propose(ctx, core, &structs.ImageStoreRequest{Image: i, IfIndex: index, Announced: max(announced, 0), Limits: s.limits(rd, i.ProjectID)})
		return err
	})
}

func changeBy(ctx context.Context, core nomadlike.Core, id structs.ImageID, edit func(*structs.Image) error, write func(rd state.Reader, i structs.Image, index uint64) error) (*structs.Image, error) {
	for try := 0; ; try++ {
		rd, err := core.Read(ctx)
		if err != nil {
			return nil, err
		}
		old := rd.Image(id)
		if old == nil {
			return nil, noImage(id)
		}
		i := old.Copy()
		if err := edit(i); err != nil {
			return nil, err
		}
		i.UpdatedAt = structs.TimeOf(time.Now())
		if err = write(rd, *i, old.ModifyIndex); err == nil {
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
	missing := httpapi.NotFound("Failed to find image %s to delete", imageID(r))
	i, err := findOr(r, missing)
	if err != nil {
		return nil, err
	}
	_, err = fsm.ImageDelete.Propose(r.Context(), r.Core, &structs.ImageDeleteRequest{ID: i.ID})
	if structs.IsKind(err, structs.KindNotFound) {
		return nil, missing
	}
	return nil, err
}
