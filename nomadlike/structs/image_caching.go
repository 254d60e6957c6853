package structs

import "slices"

// ImageCaching is that an aggregate's hosts cache images, while it is being done. With its end the record goes.
type ImageCaching struct {
	Meta
	ID        string             `codec:"id"`
	Aggregate Aggregate          `codec:"a"` // as it was when it was asked for
	Images    []ImageID          `codec:"img"`
	Done      []ImageCachingHost `codec:"d,omitempty"` // the hosts that are done, in their order
	CreatedAt Time               `codec:"created"`
	UpdatedAt Time               `codec:"updated,omitempty"`
}

// ImageCachingHost is what became of the images on one host.
type ImageCachingHost struct {
	HostID HostID    `codec:"h"`
	Cached []ImageID `codec:"c,omitempty"`
	Failed []ImageID `codec:"f,omitempty"`
}

// IsDone reports whether the host is done.
func (c *ImageCaching) IsDone(id HostID) bool {
	return slices.ContainsFunc(c.Done, func(h ImageCachingHost) bool { return h.HostID == id })
}

// Ended reports whether all hosts are done.
func (c *ImageCaching) Ended() bool { return len(c.Done) >= len(c.Aggregate.Hosts) }

// ImageCachingBeginRequest has the hosts that an aggregate has now cache images. An unknown aggregate is KindNotFound.
type ImageCachingBeginRequest struct {
	ID          string      `codec:"id"`
	AggregateID AggregateID `codec:"a"`
	Images      []ImageID   `codec:"img"`
	Now         Time        `codec:"now"`
}

// ImageCachingReportRequest tells of hosts that are done. When none is left the caching ends.
type ImageCachingReportRequest struct {
	ID   string             `codec:"id"`
	Done []ImageCachingHost `codec:"d,omitempty"`
	Now  Time               `codec:"now"`
}
