package fsm

import (
	"cmp"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// HostRegister registers a host, or refreshes what its client says of it.
var HostRegister = register(11, "host-register", applyHostRegister)

func applyHostRegister(tx *state.Txn, r *structs.HostRegisterRequest) (*structs.Host, error) {
	h := r.Host.Copy()
	if same := tx.HostByName(h.Name); same != nil && same.ID != h.ID {
		return nil, structs.Errorf(structs.KindConflict, "host name %q belongs to host %s; give this client another name, or its old data directory back", h.Name, same.ID)
	}
	old := tx.Host(h.ID)
	if old == nil {
		h.Num, h.Epoch, h.CreatedAt = tx.NextNum("hosts"), tx.FirstHostEpoch(), r.Now
		h.SetZones(r.Host.Zone, "") // a host that is new is in no aggregate
	} else {
		h.Num, h.Epoch, h.CreatedAt = old.Num, old.Epoch, old.CreatedAt
		h.Disabled, h.DisabledReason, h.ForcedDown, h.Leftovers = old.Disabled, old.DisabledReason, old.ForcedDown, old.Leftovers
		h.Metrics = old.Metrics
		h.SetZones(r.Host.Zone, old.AggregateZone)
		if old.Session != h.Session {
			if r.Host.Epoch != 0 && r.Host.Epoch != old.Epoch {
				return nil, structs.Errorf(structs.KindConflict, "host %s has a newer session (epoch %d, not %d)", h.Name, old.Epoch, r.Host.Epoch)
			}
			h.Epoch++
		}
	}
	h.Status, h.StatusReason, h.StatusAt, h.UpdatedAt = structs.HostUp, "", r.Now, r.Now
	if old != nil && old.Status == structs.HostUp && old.Session == h.Session {
		h.StatusAt = old.StatusAt
	}
	tx.PutHost(h)
	return h, nil
}

// HostStatus changes what the cluster believes of hosts.
var HostStatus = register(12, "host-status", func(tx *state.Txn, r *structs.HostStatusRequest) (None, error) {
	for _, c := range r.Changes {
		old := tx.Host(c.HostID)
		if old == nil || old.Epoch != c.Epoch || !leadsTo(old.Status, c.Status) {
			continue
		}
		h := old.Copy()
		h.Status, h.StatusReason, h.StatusAt, h.UpdatedAt = c.Status, c.Reason, r.Now, r.Now
		tx.PutHost(h)
		if c.Status == structs.HostDown {
			loseHost(tx, h, r.Now)
		}
	}
	return None{}, nil
})

// leadsTo reports whether a host goes from one status to another without registering: up to suspect and back, and from both to down. A change that was
// proposed before another one was applied must not bring a host back that is down.
func leadsTo(from, to structs.HostStatus) bool {
	return from != to && from != structs.HostDown
}

// tellLeftovers has the hosts of an operation that ended look for what it may have left on them: those whose last step failed there, and on which the instance
// is not. A host that is down looks when it is back.
func tellLeftovers(tx *state.Txn, ins *structs.Instance, op *structs.Operation) {
	for _, id := range []structs.HostID{op.SourceID, op.DestID, op.HostID} {
		if id == "" || id == ins.HostID && !ins.Deleted() {
			continue
		}
		failed := false
		for _, r := range op.History {
			if r.HostID == id {
				failed = r.Error != ""
			}
		}
		if failed {
			lookOver(tx, id)
		}
	}
}

// lookOver has a host's client reconcile soon.
func lookOver(tx *state.Txn, id structs.HostID) {
	if h := tx.Host(id); h != nil && h.Status != structs.HostDown {
		h = h.Copy()
		h.Leftovers++
		tx.PutHost(h)
	}
}

// loseHost tells every operation on the host that its host is lost.
func loseHost(tx *state.Txn, h *structs.Host, now structs.Time) {
	var all []structs.Outcome
	for op := range tx.OperationsOnHost(h.ID) {
		all = append(all, lost(op, h))
	}
	for _, o := range all {
		advance(tx, o, now)
	}
}

// lost is the word to an operation that its host is.
func lost(op *structs.Operation, h *structs.Host) structs.Outcome {
	return structs.Outcome{OperationID: op.ID, Generation: op.Generation, HostLost: true, ErrorKind: structs.KindUnavailable,
		Error: "host " + h.Name + " is down: " + cmp.Or(h.StatusReason, "its lease ended")}
}

// addressOf is the host's address without the port of its client.
func addressOf(h *structs.Host) string {
	if i := strings.LastIndexByte(h.RPCAddr, ':'); i >= 0 {
		return strings.Trim(h.RPCAddr[:i], "[]")
	}
	return h.RPCAddr
}

// checkSession refuses what an older session of a host's client says.
func checkSession(tx *state.Txn, id structs.HostID, epoch uint64) error {
	h := tx.Host(id)
	if h == nil {
		return structs.Errorf(structs.KindNotFound, "host %s is not registered", id)
	}
	if h.Epoch != epoch {
		return structs.Errorf(structs.KindConflict, "host %s has a newer session (epoch %d, not %d)", h.Name, h.Epoch, epoch)
	}
	return nil
}
