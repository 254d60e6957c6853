package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// UsageAudit runs the usage audit of a period for some hosts, each of them once.
var UsageAudit = register(29, "usage-audit", func(tx *state.Txn, r *structs.UsageAuditRequest) (None, error) {
	if r.Begin >= r.End {
		return None{}, structs.Errorf(structs.KindInternal, "usage-audit needs a period")
	}
	ended := tx.UsageAudit(r.Begin, r.End, "") != nil
	runs := map[structs.HostID]*structs.UsageAudit{}
	var order []structs.HostID
	for _, id := range r.Hosts {
		h := tx.Host(id)
		if h == nil || runs[id] != nil || tx.UsageAudit(r.Begin, r.End, id) != nil {
			continue
		}
		runs[id] = &structs.UsageAudit{Begin: r.Begin, End: r.End, HostID: id, Host: h.Name, At: r.Now}
		order = append(order, id)
	}
	if ended { // all instances were told of: a host that came later has none of its own
		for _, id := range order {
			tx.PutUsageAudit(runs[id])
		}
		return None{}, nil
	}
	if r.Last {
		runs[""] = &structs.UsageAudit{Begin: r.Begin, End: r.End, At: r.Now}
		order = append(order, "")
	}
	count := func(ins *structs.Instance) {
		host := ins.HostID
		if host != "" && tx.Host(host) == nil {
			host = ""
		}
		if run := runs[host]; run != nil && ins.AliveIn(r.Begin, r.End) {
			run.Instances = append(run.Instances, ins.ID)
			run.Count++
		}
	}
	for ins := range tx.AllInstances() {
		count(ins)
	}
	for ins := range tx.AllDeletedInstances() {
		count(ins)
	}
	for _, id := range order {
		tx.PutUsageAudit(runs[id])
	}
	if r.Last {
		forgetAudits(tx, r)
	}
	return None{}, nil
})

// forgetAudits drops what nobody needs of the runs before the one that ends: which instances they told of, and the oldest ones altogether.
func forgetAudits(tx *state.Txn, r *structs.UsageAuditRequest) {
	periods := 0
	var begin, end structs.Time
	for _, a := range slices.Collect(tx.UsageAudits()) {
		if a.Begin != begin || a.End != end {
			periods++
			begin, end = a.Begin, a.End
		}
		switch ours := a.Begin == r.Begin && a.End == r.End; {
		case periods > structs.UsageAuditPeriods && !ours:
			tx.DeleteUsageAudit(a.Begin, a.End, a.HostID)
		case len(a.Instances) > 0 && !ours:
			bare := a.Copy()
			bare.Instances = nil
			tx.PutUsageAudit(bare)
		}
	}
}
