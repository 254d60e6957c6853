package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ClusterSettingsSet writes the cluster's settings.
var ClusterSettingsSet = register(1, "cluster-settings-set", func(tx *state.Txn, r *structs.ClusterSettingsRequest) (None, error) {
	if tx.HasClusterSettings() {
		old := tx.ClusterSettings()
		if r.OnlyIfAbsent {
			return None{}, nil
		}
		if r.Settings.Format < old.Format {
			return None{}, structs.Errorf(structs.KindConflict, "the cluster's format is %d and never goes back (to %d)", old.Format, r.Settings.Format)
		}
	}
	tx.PutClusterSettings(&r.Settings)
	return None{}, nil
})
