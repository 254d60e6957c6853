package fsm

import (
	"fmt"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// InstanceCreate makes instances with their build operations and evaluations.
var InstanceCreate = register(13, "instance-create", applyInstanceCreate)

func applyInstanceCreate(tx *state.Txn, r *structs.InstanceCreateRequest) ([]structs.InstanceID, error) {
	if len(r.Instances) == 0 || len(r.Operations) != len(r.Instances) || len(r.Evaluations) != len(r.Instances) {
		return nil, structs.Errorf(structs.KindInternal, "instance-create needs as many operations and evaluations as instances")
	}
	if made := alreadyMade(tx, r); len(made) > 0 {
		return made, nil
	}
	n, err := quotaAllows(tx, r)
	if err != nil {
		return nil, err
	}
	if err := groupTakes(tx, &r.Instances[0], n); err != nil {
		return nil, err
	}
	ids := make([]structs.InstanceID, n)
	for i := range n {
		ins := &r.Instances[i]
		op, err := operation.Begin(r.Operations[i], "", 0, r.Now)
		if err != nil {
			return nil, err
		}
		ins.VM, ins.Task, ins.OperationID = structs.VMBuilding, structs.TaskScheduling, op.ID
		ins.CreatedAt, ins.UpdatedAt = r.Now, r.Now
		tx.PutInstance(ins)
		tx.PutOperation(&op)
		tx.PutEvaluation(&r.Evaluations[i])
		tx.AddQuotaUsage(ins.ProjectID, 1, int64(ins.Flavor.VCPUs), ins.Flavor.MemoryMiB)
		ids[i] = ins.ID
	}
	return ids, nil
}

// alreadyMade returns the instances of a request that was applied before, when its proposer did not learn of it and proposes it again.
func alreadyMade(tx *state.Txn, r *structs.InstanceCreateRequest) []structs.InstanceID {
	var ids []structs.InstanceID
	for i := range r.Instances {
		if tx.Instance(r.Instances[i].ID) != nil {
			ids = append(ids, r.Instances[i].ID)
		}
	}
	return ids
}

// quotaAllows returns how many of the request's instances, at most all and at least MinCount, the project's quota has room for.
func quotaAllows(tx *state.Txn, r *structs.InstanceCreateRequest) (int, error) {
	first := &r.Instances[0]
	limits, used := tx.QuotaRoom(first.ProjectID, first.UserID)
	cores, mem := int64(first.Flavor.VCPUs), first.Flavor.MemoryMiB
	n := int64(len(r.Instances))
	room := n
	for _, l := range []struct{ limit, used, each int64 }{
		{limits.Instances, used.Instances, 1}, {limits.Cores, used.Cores, cores}, {limits.MemoryMiB, used.MemoryMiB, mem}} {
		if l.limit >= 0 && l.each > 0 {
			room = min(room, max(0, (l.limit-l.used)/l.each))
		}
	}
	least := int64(max(1, r.MinCount))
	if room >= least {
		return int(room), nil
	}
	return 0, quotaError(limits, used, least, cores, mem)
}

// quotaError words the refusal of n more instances as Nova does; nil when there is room.
func quotaError(l structs.QuotaLimits, u structs.QuotaUsage, n, cores, mem int64) error {
	var names, asked, used, allowed []string
	over := func(name string, limit, have, want int64) {
		if limit >= 0 && have+want > limit {
			names = append(names, name)
			asked, used, allowed = append(asked, fmt.Sprint(want)), append(used, fmt.Sprint(have)), append(allowed, fmt.Sprint(limit))
		}
	}
	over("cores", l.Cores, u.Cores, n*cores)
	over("instances", l.Instances, u.Instances, n)
	over("ram", l.MemoryMiB, u.MemoryMiB, n*mem)
	if len(names) == 0 {
		return nil
	}
	j := func(s []string) string { return strings.Join(s, ", ") }
	return structs.Errorf(structs.KindQuota, "Quota exceeded for %s: Requested %s, but already used %s of %s %s", j(names), j(asked), j(used), j(allowed), j(names))
}

// InstanceUpdate changes what a user may change of an instance without an operation.
var InstanceUpdate = register(20, "instance-update", func(tx *state.Txn, r *structs.InstanceUpdateRequest) (None, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return None{}, notFound(r.ID)
	}
	ins := old.Copy()
	set(&ins.Name, r.Name)
	set(&ins.Hostname, r.Hostname)
	set(&ins.AccessIPv4, r.AccessIPv4)
	set(&ins.AccessIPv6, r.AccessIPv6)
	set(&ins.DiskConfig, r.DiskConfig)
	if r.SetDescription {
		ins.Description = r.NewDescription
	}
	ins.UpdatedAt = r.Now
	tx.PutInstance(ins)
	return None{}, nil
})

func notFound(id structs.InstanceID) error {
	return structs.Errorf(structs.KindNotFound, "Instance %s could not be found.", id)
}

// InstanceSync takes in what guests did of their own accord.
var InstanceSync = register(19, "instance-sync", func(tx *state.Txn, r *structs.InstanceSyncRequest) (None, error) {
	if err := checkSession(tx, r.HostID, r.Epoch); err != nil {
		return None{}, err
	}
	for _, s := range r.Syncs {
		old := tx.Instance(s.InstanceID)
		if old == nil {
			continue
		}
		if s.CleanedUp {
			evacuationComplete(tx, old, r.HostID, r.Now)
		}
		if old.HostID != r.HostID {
			continue
		}
		if s.CleanedUp {
			cleanedUp(tx, old)
			continue
		}
		if s.Generation > old.Generation || old.OperationID != "" || old.Deleted() {
			continue
		}
		if ins := observed(old, s, r.Now); ins != nil {
			tx.PutInstance(ins)
		}
	}
	return None{}, nil
})

// cleanedUp notes that the instance's host has nothing more of it.
func cleanedUp(tx *state.Txn, old *structs.Instance) {
	if !old.Deleted() || !old.Cleanup {
		return
	}
	ins := old.Copy()
	ins.Cleanup = false
	if ins.AlsoOn != "" {
		ins.HostID, ins.Host, ins.AlsoOn, ins.Cleanup = ins.AlsoOn, "", "", true
		if h := tx.Host(ins.HostID); h != nil {
			ins.Host = h.Name
		}
	}
	tx.PutInstance(ins)
}

// evacuationComplete notes that the host which an instance was evacuated from is back and has removed what was left, as Nova's compute does at its start.
func evacuationComplete(tx *state.Txn, ins *structs.Instance, h structs.HostID, now structs.Time) {
	for old := range tx.MigrationsOfInstance(ins.ID) {
		if old.Type != structs.MigrationEvacuation || old.Status != structs.MigrationDone || old.SourceID != h {
			continue
		}
		m := old.Copy()
		m.Status, m.UpdatedAt = structs.MigrationCompleted, now
		tx.PutMigration(m)
		return
	}
}

// observed returns the instance as the hypervisor's word changes it, or nil when it does not. An active instance whose
// guest went off is stopped; an instance that was stopped or failed and whose guest runs is active. (Nova powers the latter off
// again; we take the guest's word, because whoever started it on the host meant it.)
func observed(old *structs.Instance, s structs.InstanceSync, now structs.Time) *structs.Instance {
	ins := old.Copy()
	ins.Power = s.Power
	switch {
	case s.Missing && old.VM == structs.VMActive:
		ins.VM, ins.Power = structs.VMStopped, structs.PowerNoState
	case s.Missing:
		ins.Power = structs.PowerNoState
	case old.VM == structs.VMActive && (s.Power == structs.PowerShutdown || s.Power == structs.PowerCrashed):
		ins.VM = structs.VMStopped
	case old.VM == structs.VMActive && s.Power == structs.PowerPaused:
		ins.VM = structs.VMPaused
	case s.Power == structs.PowerRunning && (old.VM == structs.VMStopped || old.VM == structs.VMPaused):
		ins.VM = structs.VMActive
	}
	if ins.VM == old.VM && ins.Power == old.Power {
		return nil
	}
	ins.UpdatedAt = now
	return ins
}
