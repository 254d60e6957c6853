package base

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Images is the Image service as the Compute API needs it: this cluster's own, or one elsewhere, which is asked with the caller's token. What the caller may not
// know of is KindNotFound.
type Images interface {
	// Show returns an image.
	Show(r *httpapi.Request, id string) (*structs.Image, error)
	// Use returns an image that the caller wants to build of. When it is active, hosts can have its bytes from then on.
	Use(r *httpapi.Request, id string) (*structs.Image, error)
	// List returns what the caller's lists show, newest first: not other projects' community images and not hidden ones; also, if it is not "", is an image that is
	// returned in any case.
	List(r *httpapi.Request, also string) (iter.Seq[*structs.Image], error)
	// Change edits an image's properties so that no other change of it is lost: edit gets a copy of the newest version, and again of a newer one when somebody wrote
	// meanwhile.
	Change(r *httpapi.Request, id structs.ImageID, edit func(*structs.Image) error) error
	// Delete removes an image. KindForbidden when the caller may not, or the image is protected.
	Delete(r *httpapi.Request, id string) error
	// Create announces an image whose bytes a host is going to make. It completes the record, which has to go into the state with the operation that makes them; if
	// that is not to be, undo takes the announcement back.
	Create(r *httpapi.Request, i *structs.Image) (undo func(), err error)
	// Endpoint is where clients find the service, without a version and a slash at its end.
	Endpoint(r *httpapi.Request) string
}

// stateImages are this cluster's own images.
type stateImages struct{ now func() structs.Time }

// owns reports whether the caller may change the image.
func owns(r *httpapi.Request, i *structs.Image) bool { return r.Sees(i.ProjectID) }

// knows reports whether the caller may know of the image. A shared one without members is its owner's alone.
func knows(r *httpapi.Request, rd state.Reader, i *structs.Image) bool {
	return !i.External && (owns(r, i) || i.Visibility == "public" || i.Visibility == "community" || rd.ImageShared(i, r.Token.ProjectID))
}

// listed reports whether a list shows an image: one that is shared with the caller's project when that has accepted it.
func listed(r *httpapi.Request, rd state.Reader, i *structs.Image) bool {
	switch {
	case i.Hidden || i.Visibility == "community" && i.ProjectID != r.Token.ProjectID || !knows(r, rd, i):
		return false
	case !rd.ImageShared(i, r.Token.ProjectID):
		return true
	}
	return owns(r, i) || rd.ImageMember(i.ID, r.Token.ProjectID).Status == structs.ImageMemberAccepted
}

func (stateImages) Show(r *httpapi.Request, id string) (*structs.Image, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	i := rd.Image(structs.ImageID(strings.ToLower(id)))
	if i == nil || i.Status == structs.ImageDeleted || !knows(r, rd, i) {
		return nil, errNoImage
	}
	return i, nil
}

// errNoImage is what the caller hears of an image that it may not know of.
var errNoImage = httpapi.NotFound("Image not found.")

func (s stateImages) Use(r *httpapi.Request, id string) (*structs.Image, error) { return s.Show(r, id) }

func (stateImages) List(r *httpapi.Request, also string) (iter.Seq[*structs.Image], error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return func(yield func(*structs.Image) bool) {
		for i := range rd.Images() {
			if (listed(r, rd, i) || string(i.ID) == also && knows(r, rd, i)) && !yield(i) {
				return
			}
		}
	}, nil
}

// maxTries bounds how often a change is tried again because another came between.
const maxTries = 20

func (s stateImages) Change(r *httpapi.Request, id structs.ImageID, edit func(*structs.Image) error) error {
	for try := 0; ; try++ {
		rd, err := r.Core.Read(r.Context())
		if err != nil {
			return err
		}
		old := rd.Image(id)
		if old == nil {
			return errNoImage
		}
		i := old.Copy()
		if err := edit(i); err != nil {
			return err
		}
		i.UpdatedAt = s.now()
		_, err = fsm.ImageReplace.Propose(r.Context(), r.Core, &structs.ImageReplaceRequest{Image: *i, IfIndex: old.ModifyIndex})
		if !structs.IsKind(err, structs.KindConflict) || try >= maxTries {
			return err
		}
	}
}

func (s stateImages) Delete(r *httpapi.Request, id string) error {
	i, err := s.Show(r, id)
	if err != nil {
		return err
	}
	if !owns(r, i) {
		return structs.Errorf(structs.KindForbidden, "the image belongs to another project")
	}
	_, err = fsm.ImageDelete.Propose(r.Context(), r.Core, &structs.ImageDeleteRequest{ID: i.ID})
	return err
}

func (stateImages) Create(*httpapi.Request, *structs.Image) (func(), error) { return func() {}, nil }

func (stateImages) Endpoint(r *httpapi.Request) string { return r.RootURL() + "/image" }
