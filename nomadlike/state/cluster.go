package state

import "github.com/kilonova-cloud/kilonova/nomadlike/structs"

var clusterTable = newTable("cluster", func(*structs.ClusterSettings) []string { return []string{structs.ClusterSettingsKey} })

// ClusterSettings returns the cluster's settings: the stored ones, or the defaults before they are stored.
func (r Reader) ClusterSettings() *structs.ClusterSettings {
	if s := first(r, clusterTable, structs.ClusterSettingsKey); s != nil {
		return s
	}
	d := structs.DefaultClusterSettings()
	return &d
}

// HasClusterSettings reports whether the settings are stored.
func (r Reader) HasClusterSettings() bool {
	return first(r, clusterTable, structs.ClusterSettingsKey) != nil
}

// PutClusterSettings writes the settings.
func (t *Txn) PutClusterSettings(s *structs.ClusterSettings) { put(t, clusterTable, s) }
