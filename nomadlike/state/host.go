package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	hostTable = newTable("hosts", func(v *structs.Host) []string { return []string{string(v.ID)} },
		index[structs.Host]{"name", func(v *structs.Host) []string { return []string{v.Name} }})
	hostUsageTable = newTable("host_usages", func(v *structs.HostUsage) []string { return []string{string(v.HostID)} })
	claimTable     = newTable("claims", func(v *structs.Claim) []string { return []string{string(v.InstanceID), string(v.HostID)} },
		index[structs.Claim]{"host", func(v *structs.Claim) []string { return []string{string(v.HostID)} }})
)

// Host returns a host by id, or nil.
func (r Reader) Host(id structs.HostID) *structs.Host { return first(r, hostTable, string(id)) }

// HostByName returns a host by name, or nil.
func (r Reader) HostByName(name string) *structs.Host { return one(prefix(r, hostTable, "name", name)) }

// Hosts iterates over all hosts by id.
func (r Reader) Hosts() iter.Seq[*structs.Host] { return all(r, hostTable) }

// HostUsage returns what a host's claims add up to.
func (r Reader) HostUsage(id structs.HostID) structs.HostUsage {
	if u := first(r, hostUsageTable, string(id)); u != nil {
		return *u
	}
	return structs.HostUsage{HostID: id}
}

// HostUsages iterates over the usage of hosts that ever had a claim, by host id.
func (r Reader) HostUsages() iter.Seq[*structs.HostUsage] { return all(r, hostUsageTable) }

// Claims iterates over an instance's claims.
func (r Reader) Claims(id structs.InstanceID) iter.Seq[*structs.Claim] {
	return prefix(r, claimTable, "id", string(id))
}

// ClaimsOnHost iterates over a host's claims by instance.
func (r Reader) ClaimsOnHost(id structs.HostID) iter.Seq[*structs.Claim] {
	return prefix(r, claimTable, "host", string(id))
}

// AllClaims iterates over every claim.
func (r Reader) AllClaims() iter.Seq[*structs.Claim] { return all(r, claimTable) }

// HostsIndex and HostUsagesIndex let a cache of hosts see cheaply whether it is stale: they change when any host, or any
// usage, does.
func (r Reader) HostsWatch() <-chan struct{} { return watchOf(r, hostTable) }

func watchOf[T any](r Reader, t *Table[T]) <-chan struct{} {
	it, err := r.tx.Get(t.name, "id_prefix", []string{})
	if err != nil {
		panic("state: " + err.Error())
	}
	return it.WatchCh()
}

// hostEpochs is the series whose last number is the highest epoch of any host that was deleted.
const hostEpochs = "host-epochs"

// FirstHostEpoch is the first epoch of a host that is new: above those of all hosts that were deleted. It may be one of them, and a session of its earlier
// life must not pass for one of this.
func (t *Txn) FirstHostEpoch() uint64 { return uint64(t.lastNum(hostEpochs)) + 1 }

// PutHost writes a host.
func (t *Txn) PutHost(v *structs.Host) { put(t, hostTable, v) }

// DeleteHost removes a host's record and its usage; an unknown one is no error. The caller has made sure that nothing is on it.
func (t *Txn) DeleteHost(id structs.HostID) {
	old := remove(t, hostTable, string(id))
	if old == nil {
		return
	}
	remove(t, hostUsageTable, string(id))
	t.raiseNum(hostEpochs, int64(old.Epoch))
}

// PutClaim writes a claim and adds it to its host's usage; a claim that is there already (same instance and host) is
// replaced, not counted twice.
func (t *Txn) PutClaim(v *structs.Claim) {
	u := t.HostUsage(v.HostID)
	if old := first(t.Reader, claimTable, string(v.InstanceID), string(v.HostID)); old != nil {
		u.Used = u.Used.Sub(old.Resources)
		u.Instances--
	}
	u.Used = u.Used.Add(v.Resources)
	u.Instances++
	put(t, hostUsageTable, &u)
	put(t, claimTable, v)
}

// DeleteClaim removes a claim and takes it off its host's usage; an unknown one is no error.
func (t *Txn) DeleteClaim(i structs.InstanceID, h structs.HostID) {
	old := remove(t, claimTable, string(i), string(h))
	if old == nil {
		return
	}
	u := t.HostUsage(h)
	u.Used = u.Used.Sub(old.Resources)
	u.Instances--
	put(t, hostUsageTable, &u)
}

// AddHostBuilding changes the count of disk-heavy operations that run on a host.
func (t *Txn) AddHostBuilding(h structs.HostID, n int64) {
	u := t.HostUsage(h)
	u.Building += n
	put(t, hostUsageTable, &u)
}
