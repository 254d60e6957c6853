package structs

// Region is a part of the cloud that endpoints are in. The cluster's own is there without a record.
type Region struct {
	Meta
	ID          string `codec:"id"` // as its maker names it: any text of at most 255 characters
	Description string `codec:"desc"`
	ParentID    string `codec:"parent,omitempty"`
	Extra       Extra  `codec:"extra,omitempty"`
}

// RegionWriteRequest makes a region, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the id is taken, or the region was
// changed meanwhile (ErrChanged).
type RegionWriteRequest struct {
	Region Region `codec:"r"`
	Index  uint64 `codec:"ix,omitempty"` // 0: a new one
}

// RegionDeleteRequest removes a region with those below it. KindConflict: an endpoint is in one of them.
type RegionDeleteRequest struct {
	ID string `codec:"id"`
}
