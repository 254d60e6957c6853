package agent

import (
	"encoding/json"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Runtime is a complete and checked configuration. It is made by LoadRuntime and constant from then on: a reload makes
// another one.
type Runtime struct {
	Dev     bool   `json:"dev"` // agent -dev: server and client in one process, for trying out
	Name    string `json:"name"`
	Region  string `json:"region"`
	Zone    string `json:"zone"`
	DataDir string `json:"data_dir"` // absolute; exists and can be written
	// TempDataDir: DataDir was made for this run because -dev was given no other. Nothing removes it by itself, since
	// guests may outlive the agent.
	TempDataDir bool   `json:"temp_data_dir"`
	LogLevel    string `json:"log_level"` // a name that hclog.LevelFromString knows
	LogJSON     bool   `json:"log_json"`

	HTTP Endpoint `json:"http"`
	RPC  Endpoint `json:"rpc"`
	Serf Endpoint `json:"serf"`

	Gossip    GossipRuntime    `json:"gossip"`
	Server    ServerRuntime    `json:"server"`
	Client    ClientRuntime    `json:"client"`
	TLS       TLSRuntime       `json:"tls"`
	Telemetry TelemetryRuntime `json:"telemetry"`
	Plugins   []PluginRuntime  `json:"plugins"` // one for each of Client.Drivers and each plugin block, sorted by name

	Files []string `json:"files"` // that the configuration was read from, in their order
	Notes []string `json:"notes"` // choices made for the operator, to be logged at start
}

// Endpoint is one of the agent's ports. Both are "host:port" and parse with net.SplitHostPort.
type Endpoint struct {
	Bind      string `json:"bind"`      // to listen on; with port 0 (only in -dev) the kernel chooses
	Advertise string `json:"advertise"` // that others reach it at; never an unspecified address; port 0 as in Bind
}

// GossipRuntime is how the agent takes part in Serf, whichever its roles.
type GossipRuntime struct {
	Encrypt       []byte        `json:"encrypt" secret:"true"` // 32 bytes, or nil: gossip in the clear
	RetryJoin     []string      `json:"retry_join"`            // host:port; tried until one answers
	RetryInterval time.Duration `json:"retry_interval"`
	RetryMax      int           `json:"retry_max_attempts"` // 0: without end
}

// ServerRuntime is the control plane's part.
type ServerRuntime struct {
	Enabled bool `json:"enabled"`
	// BootstrapExpect is how many servers start a new cluster together; 0 joins an existing one.
	BootstrapExpect       int              `json:"bootstrap_expect"`
	TokenTTL              time.Duration    `json:"token_ttl"`
	ReclaimInterval       time.Duration    `json:"reclaim_interval"`      // 0: a delete is at once and for good
	ShelvedOffloadAfter   time.Duration    `json:"shelved_offload_after"` // 0: at once; NeverOffload: only when somebody asks
	LeaseTTL              time.Duration    `json:"lease_ttl"`
	HeartbeatInterval     time.Duration    `json:"heartbeat_interval"`
	RaftSnapshotInterval  time.Duration    `json:"raft_snapshot_interval"`
	RaftSnapshotThreshold uint64           `json:"raft_snapshot_threshold"`
	RaftTrailingLogs      uint64           `json:"raft_trailing_logs"`
	RaftMultiplier        int              `json:"raft_multiplier"` // 1 to 10, times Raft's default timeouts
	PolicyFile            string           `json:"policy_file"`     // absolute; "" is the default rules; could be read
	Scheduler             SchedulerRuntime `json:"scheduler"`

	Notifications NotificationsRuntime `json:"notifications"`
	Consoles      ConsolesRuntime      `json:"consoles"`
	Image         ImageRuntime         `json:"image"`
	Identity      IdentityRuntime      `json:"identity"`
}

// IdentityRuntime is what passwords must be and what becomes of users who do not give the right one.
type IdentityRuntime struct {
	Keystone KeystoneRuntime `json:"keystone"` // without an auth_url users, projects and tokens are this cluster's own

	LockoutFailures     int           `json:"lockout_failure_attempts"`
	LockoutDuration     time.Duration `json:"lockout_duration"`
	PasswordExpiresDays int           `json:"password_expires_days"`
	MinimumPasswordAge  int           `json:"minimum_password_age"`
	UniquePasswords     int           `json:"unique_last_password_count"`
	PasswordRegex       string        `json:"password_regex"`
	PasswordRegexWords  string        `json:"password_regex_description"`
	InactiveDays        int           `json:"disable_user_account_days_inactive"`
	ChangeAtFirstUse    bool          `json:"change_password_upon_first_use"`
	MaxProjectDepth     int           `json:"max_project_tree_depth"`
	SignatureTTL        time.Duration `json:"credential_auth_ttl"`
	MaxRedelegations    int           `json:"max_redelegation_count"`
	ReceiptTTL          time.Duration `json:"receipt_expiration"`
	HashRounds          int           `json:"password_hash_rounds"`
	ChecksAtOnce        int           `json:"password_checks_at_once"`
}

// KeystoneRuntime is the Keystone whose tokens are taken.
type KeystoneRuntime struct {
	AuthURL       string        `json:"auth_url"`
	Username      string        `json:"username"`
	Password      string        `json:"password" secret:"true"`
	UserDomain    string        `json:"user_domain"`
	Project       string        `json:"project"`
	ProjectDomain string        `json:"project_domain"`
	CacheTime     time.Duration `json:"cache_time"`
	CAFile        string        `json:"ca_file"`
}

// ImageRuntime is what the images of every project may come to (-1 is no limit), how data arrive by an import, and where they are kept.
type ImageRuntime struct {
	SizeTotal      int `json:"image_size_total"`  // MiB
	StageTotal     int `json:"image_stage_total"` // MiB
	CountTotal     int `json:"image_count_total"`
	CountUploading int `json:"image_count_uploading"`

	Copies         int           `json:"copies"`
	VerifyInterval time.Duration `json:"verify_interval"`

	ImportMethods []string           `json:"enabled_import_methods"`
	TaskTTL       time.Duration      `json:"task_time_to_live"`
	DefaultStore  string             `json:"default_store"`
	WebDownload   WebDownloadRuntime `json:"web_download"`
	S3            []S3StoreRuntime   `json:"s3"`

	Glance GlanceRuntime `json:"glance"` // without an endpoint images are this cluster's own
}

// GlanceRuntime is the Image service elsewhere that has the images.
type GlanceRuntime struct {
	Endpoint      string `json:"endpoint"`
	AuthURL       string `json:"auth_url"`
	Username      string `json:"username"`
	Password      string `json:"password" secret:"true"`
	UserDomain    string `json:"user_domain"`
	Project       string `json:"project"`
	ProjectDomain string `json:"project_domain"`
	CAFile        string `json:"ca_file"`
}

// WebDownloadRuntime is what users may have the servers fetch.
type WebDownloadRuntime struct {
	AllowedSchemes    []string `json:"allowed_schemes"`
	DisallowedSchemes []string `json:"disallowed_schemes"`
	AllowedHosts      []string `json:"allowed_hosts"`
	DisallowedHosts   []string `json:"disallowed_hosts"`
	AllowedPorts      []int    `json:"allowed_ports"`
	DisallowedPorts   []int    `json:"disallowed_ports"`
	AllowedNetworks   []string `json:"allowed_networks"`
}

// S3StoreRuntime is one store of images in a bucket.
type S3StoreRuntime struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Endpoint    string `json:"endpoint"`
	Bucket      string `json:"bucket"`
	Region      string `json:"region"`
	AccessKey   string `json:"access_key"`
	SecretKey   string `json:"secret_key" secret:"true"`
	PathStyle   bool   `json:"path_style"`
	Prefix      string `json:"prefix"`
}

// ConsolesRuntime is which remote consoles can be asked for: those with a URL.
type ConsolesRuntime struct {
	VNCURL         string        `json:"vnc_url"`
	SPICEURL       string        `json:"spice_url"`
	SPICEDirectURL string        `json:"spice_direct_url"`
	SerialURL      string        `json:"serial_url"`
	MKSURL         string        `json:"mks_url"`
	TokenTTL       time.Duration `json:"token_ttl"`
}

// NeverOffload is the ShelvedOffloadAfter of "never".
const NeverOffload time.Duration = -time.Second

// NotificationsRuntime is what is told of notifications, and to whom.
type NotificationsRuntime struct {
	Enabled             bool             `json:"enabled"`                // else nobody is told; event streams still can be
	NotifyOnStateChange string           `json:"notify_on_state_change"` // a notification.StateChange
	UsageAuditPeriod    string           `json:"usage_audit_period"`     // a structs.UsagePeriod; "" is no audit
	Webhooks            []WebhookRuntime `json:"webhooks"`               // each with another name
	AMQP                []AMQPRuntime    `json:"amqp"`
}

// WebhookRuntime is one webhook.
type WebhookRuntime struct {
	Name    string        `json:"name"`
	URL     string        `json:"url" secret:"true"`
	Secret  string        `json:"secret" secret:"true"` // "" signs nothing
	Events  []string      `json:"events"`
	Timeout time.Duration `json:"timeout"`
}

// AMQPRuntime is one message broker.
type AMQPRuntime struct {
	Name     string        `json:"name"`
	URL      string        `json:"url" secret:"true"`
	Exchange string        `json:"exchange"`
	Topics   []string      `json:"topics"`
	Durable  bool          `json:"durable"`
	Events   []string      `json:"events"`
	Timeout  time.Duration `json:"timeout"`
}

// SchedulerRuntime is the scheduler's part. A nil or empty value of what holds for the whole cluster (all but Workers and ResizeToSameHost)
// was not said and leaves the replicated setting as it is.
type SchedulerRuntime struct {
	Workers  int                `json:"workers"`
	Filters  []string           `json:"filters"`
	Weights  map[string]float64 `json:"weights"`
	CPURatio *float64           `json:"cpu_ratio"`

	MetricWeights   map[string]float64 `json:"metric_weights"`
	MetricsRequired *bool              `json:"metrics_required"`
	MetricMissing   *float64           `json:"metric_weight_of_unavailable"`

	MemoryRatio *float64 `json:"memory_ratio"`
	DiskRatio   *float64 `json:"disk_ratio"`

	ResizeToSameHost bool `json:"resize_to_same_host"` // holds for requests to this server
}

// ClientRuntime is the compute host's part.
type ClientRuntime struct {
	Enabled        bool            `json:"enabled"`
	Drivers        []string        `json:"drivers"` // exactly one when Enabled
	StateDir       string          `json:"state_dir"`
	SimulatedHosts int             `json:"simulated_hosts"` // 0: this machine is one host; else that many of the fake driver
	CPUMetrics     bool            `json:"cpu_metrics"`
	Reserved       ReservedRuntime `json:"reserved"`
}

// ReservedRuntime is what the scheduler leaves to the machine itself.
type ReservedRuntime struct {
	VCPUs     int64 `json:"vcpus"`
	MemoryMiB int64 `json:"memory_mib"`
	DiskGiB   int64 `json:"disk_gib"`
}

func (r ReservedRuntime) resources() structs.Resources {
	return structs.Resources{VCPUs: r.VCPUs, MemoryMiB: r.MemoryMiB, DiskGiB: r.DiskGiB}
}

// TLSRuntime is the TLS part. Files are absolute and were loaded once: they fit together.
type TLSRuntime struct {
	HTTP                 bool   `json:"http"`
	RPC                  bool   `json:"rpc"`
	CAFile               string `json:"ca_file"` // "" only when neither RPC nor VerifyHTTPSClient needs it
	CertFile             string `json:"cert_file"`
	KeyFile              string `json:"key_file"`
	VerifyHTTPSClient    bool   `json:"verify_https_client"`
	VerifyServerHostname bool   `json:"verify_server_hostname"`
}

// ServerName is the name that servers' certificates carry when VerifyServerHostname holds.
func (r *Runtime) ServerName() string { return "server." + r.Region + ".kilonova" }

// TelemetryRuntime is the telemetry part.
type TelemetryRuntime struct {
	Prometheus bool `json:"prometheus"`
}

// PluginRuntime is one driver's program and settings.
type PluginRuntime struct {
	Name   string          `json:"name"`
	Path   string          `json:"path"` // "" is this program itself, started as `kilonova driver NAME`
	Args   []string        `json:"args"`
	Config json.RawMessage `json:"config" secret:"true"` // an object; keys in their order
}

// command is the driver's argv, nil for this program itself.
func (p PluginRuntime) command() []string {
	if p.Path == "" {
		return nil
	}
	return append([]string{p.Path}, p.Args...)
}

// Plugin returns the settings of a driver; those of an unnamed one are empty.
func (r *Runtime) Plugin(name string) PluginRuntime {
	for _, p := range r.Plugins {
		if p.Name == name {
			return p
		}
	}
	return PluginRuntime{Name: name, Config: json.RawMessage("{}")}
}

// setPlugin changes the settings of a driver that has some.
func (r *Runtime) setPlugin(name string, change func(*PluginRuntime)) {
	for i := range r.Plugins {
		if r.Plugins[i].Name == name {
			change(&r.Plugins[i])
		}
	}
}
