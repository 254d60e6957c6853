package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// HostMetrics keeps what clients measured of their hosts. It is no change of a host's UpdatedAt: nobody changed it.
var HostMetrics = register(39, "host-metrics", func(tx *state.Txn, r *structs.HostMetricsRequest) (None, error) {
	for _, m := range r.Hosts {
		old := tx.Host(m.HostID)
		if old == nil || m.Metrics == nil || old.Epoch != m.Epoch || old.Metrics != nil && old.Metrics.At == m.Metrics.At {
			continue
		}
		h := old.Copy()
		h.Metrics = m.Metrics
		tx.PutHost(h)
	}
	return None{}, nil
})
