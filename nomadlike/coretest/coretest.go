// Package coretest is a cluster core of one process without Raft, gossip or disk, for tests of what stands on the core. It
// applies commands with the real state machine; Drive plays scheduler and hosts.
package coretest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Core implements nomadlike.Core. Set the fields before use.
type Core struct {
	BlobStore nomadlike.Blobs
	Console   func(ins *structs.Instance, lines int) ([]byte, error)
	Measure   func(ins *structs.Instance) (*structs.Diagnostics, error)
	Endpoint  func(ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error)
	Moving    func(m *structs.Migration) (*structs.MigrationProgress, error)
	Hold      func(op *structs.Operation) bool // operations for which it holds are not driven on; nil holds none
	Clock     func() time.Time                 // nil is time.Now
	Info      nomadlike.ClusterInfo
	HostCalls HostCalls
	// Removable refuses the removal of Raft peers; nil allows it.
	Removable func(id structs.ServerID, force bool) error

	mu     sync.Mutex // orders Propose
	index  uint64
	store  *state.Store
	events *event.Broker
}

// New returns an empty core.
func New() *Core {
	c := &Core{store: state.NewStore(), events: event.NewBroker(4096)}
	c.store.OnCommit(c.events.Publish)
	return c
}

// Propose applies the command at once.
func (c *Core) Propose(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	tx := c.store.Begin(c.index)
	r := fsm.Apply(tx, c.index, fsm.EncodeEntry([]fsm.Item{{Type: typ, Body: body}}))
	tx.Commit()
	return c.index, r[0].Value, r[0].Err
}

// Read returns the newest moment.
func (c *Core) Read(context.Context) (state.Reader, error) { return c.store.Snapshot(), nil }

// Stale returns the newest moment.
func (c *Core) Stale() state.Reader { return c.store.Snapshot() }

// Events returns the change stream.
func (c *Core) Events() *event.Broker { return c.events }

// Blobs returns BlobStore.
func (c *Core) Blobs() nomadlike.Blobs { return c.BlobStore }

// Cluster returns Info.
func (c *Core) Cluster() nomadlike.ClusterInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Info
}

// Join joins nobody.
func (c *Core) Join([]string) (int, error) { return 0, nil }

// RemovePeer takes the peer out of Info, or returns what Removable says against it.
func (c *Core) RemovePeer(_ context.Context, id structs.ServerID, force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.Info.Peers, func(p nomadlike.Peer) bool { return p.ID == id })
	if i < 0 {
		return structs.Errorf(structs.KindNotFound, "No Raft peer has the id %q; `kilonova operator raft list-peers` lists them.", id)
	}
	if c.Removable != nil {
		if err := c.Removable(id, force); err != nil {
			return err
		}
	}
	c.Info.Peers = slices.Delete(slices.Clone(c.Info.Peers), i, i+1)
	return nil
}

// ConsoleOutput calls Console.
func (c *Core) ConsoleOutput(_ context.Context, ins *structs.Instance, lines int) ([]byte, error) {
	if c.Console == nil {
		return nil, structs.Errorf(structs.KindNotSupported, "no console")
	}
	return c.Console(ins, lines)
}

// AddHost registers a host with room for much.
func (c *Core) AddHost(name string) *structs.Host {
	h, err := fsm.HostRegister.Propose(context.Background(), c, &structs.HostRegisterRequest{Now: structs.TimeOf(time.Now()), Host: structs.Host{
		ID: structs.HostID(nomadlike.NewUUID()), Name: name, Zone: "nova", Session: "s", Driver: "fake", DriverHealthy: true, HypervisorType: "fake",
		HypervisorHostname: name, HypervisorVersion: 1000000, Architectures: []string{"x86_64"}, Total: structs.Resources{VCPUs: 1000, MemoryMiB: 8 << 20, DiskGiB: 100000}}})
	if err != nil {
		panic(err)
	}
	return h
}

// powerAfter is the power of a guest that goes on as it was.
func powerAfter(vm structs.VMState) structs.PowerState {
	switch vm {
	case structs.VMStopped:
		return structs.PowerShutdown
	case structs.VMPaused:
		return structs.PowerPaused
	}
	return structs.PowerRunning
}

// Time is the clock's.
func (c *Core) Time() time.Time {
	if c.Clock != nil {
		return c.Clock()
	}
	return time.Now()
}

// Drive takes every operation to its end: placements go to the first host that is up (no host when there is none), and
// every host step succeeds unless fail returns an error text for it. Operations that Hold holds stay where they are.
func (c *Core) Drive(fail func(op *structs.Operation) string) {
	ctx, now := context.Background(), structs.TimeOf(c.Time())
	type try struct {
		evaluation structs.EvaluationID
		host       structs.HostID
	}
	refused := map[try]bool{} // by the state machine: such a placement goes to the next host
	for range 1000 {
		r := c.store.Snapshot()
		var plan structs.PlanApplyRequest
		for e := range r.PendingEvaluations() {
			p := structs.Placement{EvaluationID: e.ID, InstanceID: e.InstanceID, OperationID: e.OperationID}
			for h := range r.Hosts() {
				if ok, _ := h.Schedulable(); ok && !refused[try{e.ID, h.ID}] {
					p.HostID = h.ID
					break
				}
			}
			plan.Placements = append(plan.Placements, p)
		}
		var report structs.OperationReportRequest
		for op := range r.ActiveOperations() {
			if s, ok := operation.Lookup(op); ok && s.On != operation.OnServer && (c.Hold == nil || !c.Hold(op)) {
				o := structs.Outcome{OperationID: op.ID, Step: op.Step, Attempt: op.Attempt, Undo: op.Status == structs.OpUndoing, Generation: op.Generation}
				if m := r.Migration(op.MigrationID); m != nil {
					o.Power = powerAfter(m.PriorVM)
				}
				if fail != nil {
					o.Error = fail(op)
				}
				report.Outcomes = append(report.Outcomes, o)
			}
		}
		if len(plan.Placements)+len(report.Outcomes) == 0 {
			return
		}
		plan.Now, report.Now = now, now
		results, err := fsm.PlanApply.Propose(ctx, c, &plan)
		if err != nil {
			panic(err)
		}
		for i, r := range results {
			if p := &plan.Placements[i]; !r.Applied && !r.Stale {
				refused[try{p.EvaluationID, p.HostID}] = true
			}
		}
		if _, err := fsm.OperationReport.Propose(ctx, c, &report); err != nil {
			panic(err)
		}
	}
	panic("coretest: operations do not come to an end")
}
