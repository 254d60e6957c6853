package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageCachingBegin has the hosts of an aggregate cache images.
var ImageCachingBegin = register(37, "image-caching-begin", func(tx *state.Txn, r *structs.ImageCachingBeginRequest) (None, error) {
	if r.ID == "" {
		return None{}, structs.Errorf(structs.KindInternal, "image-caching-begin needs an id")
	}
	a := tx.Aggregate(r.AggregateID)
	switch {
	case a == nil:
		return None{}, aggregateNotFound(r.AggregateID)
	case tx.ImageCaching(r.ID) != nil: // proposed again by someone who did not learn that it was applied
		return None{}, nil
	}
	tx.PutImageCaching(&structs.ImageCaching{ID: r.ID, Aggregate: *a.Copy(), Images: r.Images, CreatedAt: r.Now})
	return None{}, nil
})

// ImageCachingReport tells of hosts that have cached images or could not. The last one's report removes the record, after a write that tells of the end.
var ImageCachingReport = register(38, "image-caching-report", func(tx *state.Txn, r *structs.ImageCachingReportRequest) (None, error) {
	old := tx.ImageCaching(r.ID)
	if old == nil {
		return None{}, nil // it has ended
	}
	c := *old
	c.Done, c.UpdatedAt = append([]structs.ImageCachingHost(nil), old.Done...), r.Now
	for _, h := range r.Done {
		if c.Aggregate.Has(h.HostID) && !c.IsDone(h.HostID) {
			c.Done = append(c.Done, h)
		}
	}
	ended := c.Ended()
	if ended || len(c.Done) > len(old.Done) {
		tx.PutImageCaching(&c)
	}
	if ended {
		tx.DeleteImageCaching(c.ID)
	}
	return None{}, nil
})
