package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageReplace writes an image's metadata when nobody has changed it since it was read.
var ImageReplace = register(23, "image-replace", func(tx *state.Txn, r *structs.ImageReplaceRequest) (None, error) {
	old := tx.Image(r.Image.ID)
	switch {
	case old == nil:
		return None{}, structs.Errorf(structs.KindNotFound, "No image found with ID %s", r.Image.ID)
	case old.ModifyIndex != r.IfIndex:
		return None{}, structs.Errorf(structs.KindConflict, "Image %s was changed by somebody else meanwhile", r.Image.ID)
	}
	tx.PutImage(&r.Image)
	return None{}, nil
})
