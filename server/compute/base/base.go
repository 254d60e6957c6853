// Package base is what the rooms of the compute service share: what an operator may set, request schemas, values that come in several forms, and the
// appending of JSON. The rooms are packages beside it, each with its rows of routes; server/compute puts them together.
package base

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Options are what an operator may set. The zero value is Nova's defaults, except that no console is enabled.
type Options struct {
	NoAdminPass      bool                // the reverse of [api]enable_instance_password: create does not show a password
	DefaultZone      string              // [DEFAULT]default_schedule_zone: of instances whose request names none; "" is any
	MaxPerRequest    int                 // the most instances that one request may ask for, whatever the quota says; 0 is 10000
	ConsoleLineLimit int                 // the most lines of console output in one answer; 0 is no limit
	ResizeToSameHost bool                // [DEFAULT]allow_resize_to_same_host: a resize may stay on its host
	ReclaimAfter     time.Duration       // [DEFAULT]reclaim_instance_interval: for how long a deleted instance can be restored; 0 is not at all
	OffloadAfter     time.Duration       // [DEFAULT]shelved_offload_time: for how long a shelved instance keeps its host; 0 is not at all, below 0 is until somebody asks
	Consoles         Consoles            // the remote consoles that can be asked for; none by default
	UsagePeriod      structs.UsagePeriod // [DEFAULT]instance_usage_audit_period: of the usage audit; the zero value is a month
	Images           Images              // the Image service; nil is this cluster's own
	ImageLimits      structs.ImageLimits // of every project's images, where Keystone's limits say nothing; nil is none
	Now              func() time.Time    // puts the time into commands; nil is time.Now
}

// WithDefaults fills in what is not set.
func (o Options) WithDefaults() Options {
	if o.MaxPerRequest <= 0 {
		o.MaxPerRequest = 10000
	}
	if o.Consoles.TokenTTL <= 0 {
		o.Consoles.TokenTTL = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Images == nil {
		o.Images = stateImages{o.Time}
	}
	return o
}

// Time is the time of a command.
func (o Options) Time() structs.Time { return structs.TimeOf(o.Now()) }
