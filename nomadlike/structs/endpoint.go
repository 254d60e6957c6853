package structs

// Endpoint is where a service of the catalog is reached. Those of this binary are there without a record; a record with the id of one of them changes what
// the catalog says of it.
type Endpoint struct {
	Meta
	ID        string `codec:"id"`
	ServiceID string `codec:"svc"`
	Interface string `codec:"if"` // public, internal, admin
	RegionID  string `codec:"region,omitempty"`
	URL       string `codec:"url"` // may have $(project_id)s and $(user_id)s in it
	Enabled   bool   `codec:"on"`
	Extra     Extra  `codec:"extra,omitempty"`
}

// EndpointWriteRequest makes an endpoint, or puts it in the place of the one of which Index is the ModifyIndex.
type EndpointWriteRequest struct {
	Endpoint Endpoint `codec:"e"`
	Index    uint64   `codec:"ix,omitempty"`  // 0: a new one
	Known    bool     `codec:"own,omitempty"` // its service is one of the binary's, which need no record
}

// EndpointDeleteRequest removes an endpoint with its associations.
type EndpointDeleteRequest struct {
	ID string `codec:"id"`
}

// EndpointGroup is a filter of endpoints (OS-EP-FILTER): all that have what it asks for.
type EndpointGroup struct {
	Meta
	ID          string `codec:"id"`
	Name        string `codec:"name"`
	Description string `codec:"desc,omitempty"`
	ServiceID   string `codec:"svc,omitempty"` // each filter: "" is any
	RegionID    string `codec:"region,omitempty"`
	Interface   string `codec:"if,omitempty"`
	EndpointID  string `codec:"ep,omitempty"`
	Enabled     *bool  `codec:"on,omitempty"`
}

// EndpointGroupWriteRequest makes a group, or puts it in the place of the one of which Index is the ModifyIndex.
type EndpointGroupWriteRequest struct {
	Group EndpointGroup `codec:"g"`
	Index uint64        `codec:"ix,omitempty"` // 0: a new one
}

// EndpointGroupDeleteRequest removes a group with its associations.
type EndpointGroupDeleteRequest struct {
	ID string `codec:"id"`
}

// EndpointFilterWriteRequest makes an association or takes it away.
type EndpointFilterWriteRequest struct {
	Filter EndpointFilter `codec:"f"`
	Remove bool           `codec:"rm,omitempty"` // KindNotFound when there is none
}

// EndpointFilter shows an endpoint, or those of a group, to a project (OS-EP-FILTER). A project with any sees these alone.
type EndpointFilter struct {
	Meta
	ProjectID  ProjectID `codec:"p"`
	EndpointID string    `codec:"ep,omitempty"` // this
	GroupID    string    `codec:"g,omitempty"`  // or this
}
