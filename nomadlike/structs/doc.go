// Package structs holds the replicated entities and the messages that change them, one file per entity.
//
// What a read of the state returns is shared and constant: whoever wants to change an entity copies it first (Copy) and
// proposes the change through the log. Every stored entity embeds Meta. Times are Time values that the proposer put into
// the entry: nothing here reads a clock.
package structs

import (
	"math"
	"time"
)

// Meta is what the state keeps of every stored entity: the log indexes at which it was made and last changed.
type Meta struct {
	CreateIndex uint64 `codec:"ci"`
	ModifyIndex uint64 `codec:"mi"`
}

// GetMeta gives generic code access to the indexes.
func (m *Meta) GetMeta() *Meta { return m }

// Time is nanoseconds since the Unix epoch, UTC; 0 means "not set". A number rather than time.Time, so that its encoding
// is compact and the same on every server.
type Time int64

// TimeOf converts t; what is before or after all that Time can tell is its first or last moment.
func TimeOf(t time.Time) Time {
	switch year := t.UTC().Year(); {
	case t.IsZero():
		return 0
	case year < 1678:
		return math.MinInt64
	case year > 2261:
		return math.MaxInt64
	}
	return Time(t.UnixNano())
}

// Time converts back; the zero Time gives the zero time.Time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// Add returns t later by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns how much later t is than u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// IsZero reports whether t is not set.
func (t Time) IsZero() bool { return t == 0 }
