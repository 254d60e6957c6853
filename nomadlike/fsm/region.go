package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// RegionWrite makes or changes a region.
var RegionWrite = registerOnce(80, "region-write", func(tx *state.Txn, r *structs.RegionWriteRequest) (None, error) {
	v := &r.Region
	old := tx.Region(v.ID)
	if r.Index == 0 && old != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store region - Duplicate ID, %s.", v.ID)
	}
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return None{}, err
	}
	own := tx.ClusterSettings().Region
	for above := v.ParentID; above != "" && above != own; {
		if above == v.ID {
			return None{}, structs.Errorf(structs.KindInvalid, "The specified parent region %s would create a circular region hierarchy.", v.ParentID)
		}
		parent := tx.Region(above)
		if parent == nil {
			return None{}, noSuch("region", above)
		}
		above = parent.ParentID
	}
	tx.PutRegion(v)
	return None{}, nil
})

// RegionDelete removes a region and those below it.
var RegionDelete = registerOnce(81, "region-delete", func(tx *state.Txn, r *structs.RegionDeleteRequest) (None, error) {
	if tx.Region(r.ID) == nil {
		return None{}, noSuch("region", r.ID)
	}
	gone := []string{r.ID}
	for i := 0; i < len(gone); i++ {
		for range tx.EndpointsInRegion(gone[i]) {
			return None{}, structs.Errorf(structs.KindForbidden, "Unable to delete region %s because it or its child regions have associated endpoints.", r.ID)
		}
		for below := range tx.RegionsBelow(gone[i]) {
			if !slices.Contains(gone, below.ID) {
				gone = append(gone, below.ID)
			}
		}
	}
	for _, id := range gone {
		tx.DeleteRegion(id)
	}
	return None{}, nil
})
