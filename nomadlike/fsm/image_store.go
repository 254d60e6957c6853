package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageCreate makes an image within its project's limits.
var ImageCreate = registerOnce(54, "image-create", func(tx *state.Txn, r *structs.ImageCreateRequest) (None, error) {
	p := r.Image.ProjectID
	if err := withinImageLimits(p, tx.ImageUsage(p), r.Limits, map[string]int64{structs.ImageCountTotal: 1}); err != nil {
		return None{}, err
	}
	if tx.Image(r.Image.ID) != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Image ID %s already exists!", r.Image.ID)
	}
	tx.PutImage(&r.Image)
	return None{}, nil
})

// ImageStore writes an image whose data begin to arrive or are there, within its project's limits: what an upload did not announce is judged at its end.
var ImageStore = registerOnce(55, "image-store", func(tx *state.Txn, r *structs.ImageStoreRequest) (None, error) {
	old := tx.Image(r.Image.ID)
	switch {
	case old == nil:
		return None{}, structs.Errorf(structs.KindNotFound, "No image found with ID %s", r.Image.ID)
	case old.ModifyIndex != r.IfIndex:
		return None{}, structs.Errorf(structs.KindConflict, "Image %s was changed by somebody else meanwhile", r.Image.ID)
	}
	p := r.Image.ProjectID
	if err := withinImageLimits(p, tx.ImageUsage(p), r.Limits, imageDeltas(old, &r.Image, r.Announced)); err != nil {
		return None{}, err
	}
	tx.PutImage(&r.Image)
	return None{}, nil
})

// made is what an image of an instance adds when it is begun: how large it will be is not known.
var made = map[string]int64{structs.ImageCountTotal: 1, structs.ImageSizeTotal: 0}

// imageDeltas is what an image's new state, of whose data some are announced, adds to its project's usage.
func imageDeltas(old, i *structs.Image, announced int64) map[string]int64 {
	switch {
	case old.HasData(): // its bytes are counted
	case i.HasData():
		return map[string]int64{structs.ImageSizeTotal: i.Size >> 20}
	case i.Staged() && !old.Staged():
		return map[string]int64{structs.ImageStageTotal: i.Size >> 20}
	case old.Status == structs.ImageQueued && i.Status == structs.ImageUploading:
		return map[string]int64{structs.ImageStageTotal: announced >> 20, structs.ImageCountUploading: 1}
	case old.Status == structs.ImageQueued && i.Status == structs.ImageImporting:
		return map[string]int64{structs.ImageSizeTotal: 0, structs.ImageCountUploading: 1}
	case old.Status == structs.ImageQueued:
		return map[string]int64{structs.ImageSizeTotal: announced >> 20, structs.ImageCountUploading: 1}
	case old.Status == structs.ImageUploading && i.Status == structs.ImageImporting:
		return map[string]int64{structs.ImageSizeTotal: 0}
	}
	return nil
}

// withinImageLimits refuses what would bring a project over a limit, in the words of Glance around oslo.limit's.
func withinImageLimits(p structs.ProjectID, usage structs.ImageUsage, limits structs.ImageLimits, deltas map[string]int64) error {
	for _, name := range structs.ImageLimitNames {
		delta, asked := deltas[name]
		limit := limits.Of(name)
		if asked && limit >= 0 && usage[name]+delta > limit {
			return structs.Errorf(structs.KindTooLarge, "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota threshold was "+
				"breached.\n\nThe response body:\nProject %s is over a limit for [Resource %s is over limit of %d due to current usage %d and delta %d]", p, name, limit, usage[name], delta)
		}
	}
	return nil
}
