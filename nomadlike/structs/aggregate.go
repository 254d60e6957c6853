package structs

import (
	"cmp"
	"maps"
	"slices"
)

// AggregateZoneKey is the key of an aggregate's metadata that makes it an availability zone.
const AggregateZoneKey = "availability_zone"

// Aggregate is a group of hosts with metadata that the scheduler reads. A host may be in many, but at most in one zone.
type Aggregate struct {
	Meta
	ID        AggregateID       `codec:"id"`
	UUID      string            `codec:"uuid"`
	Name      string            `codec:"name"`            // unique
	Hosts     []HostID          `codec:"hosts,omitempty"` // in the order in which they were added
	Metadata  map[string]string `codec:"md,omitempty"`
	CreatedAt Time              `codec:"created"`
	UpdatedAt Time              `codec:"updated,omitempty"` // of name or metadata; 0: never
}

// Zone returns the availability zone that the aggregate is, "" when it is none.
func (a *Aggregate) Zone() string { return a.Metadata[AggregateZoneKey] }

// Has reports whether the host is in the aggregate.
func (a *Aggregate) Has(id HostID) bool { return slices.Contains(a.Hosts, id) }

// Copy returns a deep copy.
func (a *Aggregate) Copy() *Aggregate {
	c := *a
	c.Hosts, c.Metadata = slices.Clone(a.Hosts), maps.Clone(a.Metadata)
	return &c
}

// ConfiguredZone is the zone that the host's own client names; Zone is another one while the host is in an aggregate that is a zone.
func (h *Host) ConfiguredZone() string {
	if h.AggregateZone != "" {
		return h.HomeZone
	}
	return h.Zone
}

// SetZones is the one place where a host's effective zone is worked out: the zone of its aggregate where one is a zone, else the configured one. Everybody else,
// the scheduler and all views, reads Host.Zone.
func (h *Host) SetZones(configured, aggregate string) {
	h.Zone, h.AggregateZone, h.HomeZone = cmp.Or(aggregate, configured), aggregate, ""
	if aggregate != "" {
		h.HomeZone = configured
	}
}

// AggregateCreateRequest makes an aggregate. A taken name is KindConflict. The answer is the stored *Aggregate.
type AggregateCreateRequest struct {
	UUID     string            `codec:"u"`
	Name     string            `codec:"n"`
	Metadata map[string]string `codec:"md,omitempty"`
	Now      Time              `codec:"now"`
}

// AggregateUpdateRequest changes an aggregate's name and metadata: keys are merged into what is there, and null removes one. An unknown aggregate is KindNotFound and
// a taken name KindConflict. KindInvalid are an empty zone, a zone that differs from that of another aggregate of one of its hosts, and a new zone while instances are on one of them.
type AggregateUpdateRequest struct {
	ID       AggregateID        `codec:"id"`
	Name     *string            `codec:"n,omitempty"`
	Metadata map[string]*string `codec:"md,omitempty"`
	// Verb words refusals: what Nova says that it could not do.
	Verb AggregateVerb `codec:"v,omitempty"`
	Now  Time          `codec:"now"`
}

// AggregateVerb is what a change of an aggregate is to its caller.
type AggregateVerb uint8

// The verbs of AggregateUpdateRequest.
const (
	AggregateUpdateVerb AggregateVerb = iota
	AggregateMetadataVerb
)

// AggregateDeleteRequest removes an aggregate. An unknown one is KindNotFound, one with hosts KindInvalid.
type AggregateDeleteRequest struct {
	ID AggregateID `codec:"id"`
}

// AggregateHostRequest puts a host into an aggregate or takes it out. An unknown aggregate or host is KindNotFound, and so is one to take out that is not in. KindConflict
// are a host that is in already, one that is in another zone's aggregate, and one whose zone would change while instances are on it. The answer is the stored *Aggregate.
type AggregateHostRequest struct {
	ID     AggregateID `codec:"id"`
	HostID HostID      `codec:"h"`
}
