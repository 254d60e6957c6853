package notification

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// imageCachingChanged tells of an aggregate whose hosts cache images: its beginning, each host that is done, and its end.
func imageCachingChanged(c *translation, e *event.Event) {
	caching, ok := e.Entity.(*structs.ImageCaching)
	if !ok || e.Deleted { // the write before the removal has told the end
		return
	}
	const action = "aggregate.cache_images"
	before, _ := e.Before.(*structs.ImageCaching)
	if before == nil {
		c.tell(telling{event: action + ".start", publisher: publisher(binaryAPI, ""), payload: c.aggregatePayload(&caching.Aggregate), when: caching.CreatedAt})
		return
	}
	for i := len(before.Done); i < len(caching.Done); i++ {
		done := caching.Done[i]
		c.tell(telling{event: action + ".progress", publisher: publisher(binaryConductor, ""), when: caching.UpdatedAt, subject: string(done.HostID),
			payload: object("AggregateCachePayload", "1.0", map[string]any{"id": int64(caching.Aggregate.ID), "uuid": caching.Aggregate.UUID, "name": caching.Aggregate.Name,
				"host": c.hostName(done.HostID), "total": len(caching.Aggregate.Hosts), "index": i + 1,
				"images_cached": stringList(done.Cached), "images_failed": stringList(done.Failed)})})
	}
	if caching.Ended() {
		c.tell(telling{event: action + ".end", publisher: publisher(binaryAPI, ""), payload: c.aggregatePayload(&caching.Aggregate), when: caching.UpdatedAt})
	}
}
