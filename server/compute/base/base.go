// Package base is what the rooms of the compute service share: what an operator may set, request schemas, values that come in several forms, and the
// appending of JSON. The rooms are packages beside it, each with its rows of routes; server/compute puts them together.
package base

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Options are what an operator may set. The zero value is Nova's defaults.
type Options struct {
	NoAdminPass      bool             // the reverse of [api]enable_instance_password: create does not show a password
	DefaultZone      string           // [DEFAULT]default_schedule_zone: of instances whose request names none; "" is any
	MaxPerRequest    int              // the most instances that one request may ask for, whatever the quota says; 0 is 10000
	ConsoleLineLimit int              // the most lines of console output in one answer; 0 is no limit
	ResizeToSameHost bool             // [DEFAULT]allow_resize_to_same_host: a resize may stay on its host
	ReclaimAfter     time.Duration    // [DEFAULT]reclaim_instance_interval: for how long a deleted instance can be restored; 0 is not at all
	Now              func() time.Time // puts the time into commands; nil is time.Now
}

// WithDefaults fills in what is not set.
func (o Options) WithDefaults() Options {
	if o.MaxPerRequest <= 0 {
		o.MaxPerRequest = 10000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Time is the time of a command.
func (o Options) Time() structs.Time { return structs.TimeOf(o.Now()) }
