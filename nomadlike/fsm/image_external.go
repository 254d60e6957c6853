package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageMirror writes what is known of an image that an external Image service has.
var ImageMirror = register(109, "image-mirror", func(tx *state.Txn, r *structs.ImageMirrorRequest) (None, error) {
	switch old := tx.Image(r.Image.ID); {
	case old == nil:
	case !old.External:
		return None{}, structs.Errorf(structs.KindConflict, "Image %s is one of this cluster's own", r.Image.ID)
	case old.Status == structs.ImageDeleted:
		return None{}, structs.Errorf(structs.KindNotFound, "Image %s is being deleted", r.Image.ID)
	}
	r.Image.External = true
	tx.PutImage(&r.Image)
	return None{}, nil
})

// ImageForget removes what is known of external images.
var ImageForget = register(110, "image-forget", func(tx *state.Txn, r *structs.ImageForgetRequest) (None, error) {
	for _, v := range r.Images {
		if i := tx.Image(v.ID); i != nil && i.External && i.ModifyIndex == v.IfIndex {
			tx.DeleteImage(v.ID)
		}
	}
	return None{}, nil
})

// dropImage removes an image with its members. An external one is marked: the leader deletes it where it is, and forgets it then.
func dropImage(tx *state.Txn, id structs.ImageID) {
	i := tx.Image(id)
	switch {
	case i == nil:
		return
	case i.External:
		i = i.Copy()
		i.Status = structs.ImageDeleted
		tx.PutImage(i)
		return
	}
	for _, m := range slices.Collect(tx.ImageMembers(id)) {
		tx.DeleteImageMember(m.ImageID, m.ProjectID)
	}
	tx.DeleteImage(id)
}
