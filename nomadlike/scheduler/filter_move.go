package scheduler

import (
	"fmt"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Move is what an instance that has a host asks of another one.
type Move struct {
	Source   structs.HostID
	Driver   string            // of the source; both hosts have the same, so that one can read what the other writes
	SameHost bool              // the source itself will do, where its driver can change a flavor
	Carries  bool              // the source's driver can give the instance away
	Needs    string            // method of the driver contract by which a host takes it; "" is none
	Holds    structs.Resources // what the instance has of the source
}

// MoveOf returns what an operation that moves asks of hosts, nil for one that does not.
func MoveOf(r state.Reader, op *structs.Operation) *Move {
	if !operation.Moves(op.Kind) {
		return nil
	}
	m := &Move{Source: op.SourceID, SameHost: op.Args.SameHost, Carries: true}
	gives := ""
	switch op.Kind {
	case structs.OpResize, structs.OpMigrate:
		gives, m.Needs = "ExportDisks", "ImportDisks"
	case structs.OpLiveMigrate:
		gives, m.Needs = "LiveMigrate", "PrepareMigration"
	}
	if h := r.Host(op.SourceID); h != nil && m.Needs != "" {
		m.Driver, m.Carries = h.Driver, can(h, gives)
	}
	return m
}

// can reports whether the host's driver has the method; of one that did not say it is believed.
func can(h *structs.Host, method string) bool {
	return h.Methods == nil || slices.Contains(h.Methods, method)
}

// MoveRefuses says why the host cannot take the instance, "" when it can. It is judged again when a placement is committed.
func MoveRefuses(m *Move, h *structs.Host) string {
	switch {
	case h.ID == m.Source && !m.SameHost:
		return "the instance is there already"
	case h.ID == m.Source && !can(h, "Resize"):
		return fmt.Sprintf("its driver %s cannot change an instance's flavor where it is (Resize)", h.Driver)
	case h.ID == m.Source:
		return ""
	case !m.Carries:
		return fmt.Sprintf("the driver %s of the instance's host cannot give it to another host", m.Driver)
	case m.Driver != "" && m.Driver != h.Driver:
		return fmt.Sprintf("its driver is %s, the instance's host has %s", h.Driver, m.Driver)
	case m.Needs != "" && !can(h, m.Needs):
		return fmt.Sprintf("its driver %s cannot take an instance from another host (%s)", h.Driver, m.Needs)
	}
	return ""
}

// moveHosts passes hosts that can take an instance from its present one: Nova's ignore_hosts and allow_resize_to_same_host, and what its drivers' pre-checks find
// later.
type moveHosts struct{}

func (moveHosts) name() string                      { return "MoveHosts" }
func (moveHosts) applies(q *query) bool             { return q.Move != nil }
func (moveHosts) pass(q *query, h *candidate) bool  { return MoveRefuses(q.Move, h.host) == "" }
func (moveHosts) why(q *query, h *candidate) string { return MoveRefuses(q.Move, h.host) }
