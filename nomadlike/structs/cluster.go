package structs

// ClusterSettings is the one record of what holds for the whole cluster.
type ClusterSettings struct {
	Meta
	ClusterID string `codec:"id"`
	Region    string `codec:"region"`
	// Format is the log and snapshot format that every server can read. It only goes up.
	Format       uint32 `codec:"format"`
	Bootstrapped bool   `codec:"boot"`            // the administrator was made
	RolesImply   bool   `codec:"imply,omitempty"` // the default implications of roles were made; whoever takes them away means it
	CreatedAt    Time   `codec:"created"`

	// How much of a host the scheduler may promise: capacity = (total - reserved) * ratio.
	CPURatio    float64 `codec:"cpur"`
	MemoryRatio float64 `codec:"memr"`
	DiskRatio   float64 `codec:"diskr"`

	Filters      []string           `codec:"filters"` // host filters in their order; empty means the defaults
	Weights      map[string]float64 `codec:"weights"` // multiplier by weigher; absent means its default
	DefaultQuota QuotaLimits        `codec:"quota"`

	MetricWeights   map[string]float64 `codec:"mw,omitempty"` // ratio by metric of hosts; empty weighs none
	MetricsOptional bool               `codec:"mo,omitempty"` // hosts that lack a metric of MetricWeights take instances
	MetricMissing   *float64           `codec:"mm,omitempty"` // what such a host weighs; nil is the default
}

// ClusterSettingsKey is the key of the one record.
const ClusterSettingsKey = "cluster"

// FormatCurrent is the newest log and snapshot format that this program writes.
const FormatCurrent uint32 = 1

// DefaultClusterSettings returns what a new cluster starts with; ids and times are the proposer's to fill in.
func DefaultClusterSettings() ClusterSettings {
	return ClusterSettings{Region: "RegionOne", Format: FormatCurrent, CPURatio: 4, MemoryRatio: 1, DiskRatio: 1, DefaultQuota: DefaultQuotaLimits()}
}

// ClusterSettingsRequest writes the settings; with OnlyIfAbsent it is a no-op when they exist.
type ClusterSettingsRequest struct {
	Settings     ClusterSettings `codec:"s"`
	OnlyIfAbsent bool            `codec:"a"`
}
