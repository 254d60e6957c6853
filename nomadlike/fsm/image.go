package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageUpsert writes an image's metadata.
var ImageUpsert = register(7, "image-upsert", func(tx *state.Txn, r *structs.ImageUpsertRequest) (None, error) {
	old := tx.Image(r.Image.ID)
	switch {
	case r.Create && old != nil:
		return None{}, structs.Errorf(structs.KindConflict, "Image ID %s already exists!", r.Image.ID)
	case !r.Create && old == nil:
		return None{}, structs.Errorf(structs.KindNotFound, "No image found with ID %s", r.Image.ID)
	case r.IfStatus != "" && old != nil && old.Status != r.IfStatus:
		return None{}, structs.Errorf(structs.KindConflict, "Image %s is %s, not %s", r.Image.ID, old.Status, r.IfStatus)
	}
	tx.PutImage(&r.Image)
	return None{}, nil
})

// ImageFinish makes an image active whose bytes are stored.
var ImageFinish = register(27, "image-finish", func(tx *state.Txn, r *structs.ImageFinishRequest) (None, error) {
	old := tx.Image(r.ID)
	switch {
	case old == nil || old.Status == structs.ImageDeleted:
		return None{}, structs.Errorf(structs.KindNotFound, "No image found with ID %s", r.ID)
	case old.HasData() && old.SHA512 == r.SHA512:
		return None{}, nil
	case old.HasData():
		return None{}, structs.Errorf(structs.KindConflict, "Image %s has other data already", r.ID)
	}
	i := old.Copy()
	i.Status, i.DiskFormat, i.Size, i.VirtualSize = structs.ImageActive, r.DiskFormat, r.Size, r.VirtualSize
	i.SHA512, i.MD5, i.Servers, i.UpdatedAt = r.SHA512, r.MD5, r.Servers, r.Now
	tx.PutImage(i)
	return None{}, nil
})

// ImageDelete removes an image with its members. The servers' stores drop bytes that no image names any more.
var ImageDelete = register(8, "image-delete", func(tx *state.Txn, r *structs.ImageDeleteRequest) (None, error) {
	old := tx.Image(r.ID)
	if old == nil {
		return None{}, structs.Errorf(structs.KindNotFound, "No image found with ID %s", r.ID)
	}
	if old.Protected {
		return None{}, structs.Errorf(structs.KindForbidden, "Image %s is protected and cannot be deleted.", r.ID)
	}
	dropImage(tx, r.ID)
	return None{}, nil
})
