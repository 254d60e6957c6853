// Package agent turns an operator's configuration into what a server, a client or both need to run.
//
// A Config is what files, environment and flags said, each field a pointer so that "false" and "not said" differ. Load and
// merge make one of many; resolve turns it into a Runtime, which is complete, checked and never changed.
package agent

// Config is one source's configuration as written. A nil field was not said. Every field appears in
// testdata/full.hcl, and a test fails for one that does not.
type Config struct {
	Name     *string `hcl:"name,optional"`      // of this agent: Raft, Serf and the compute API know it by this name
	Region   *string `hcl:"region,optional"`    // of the whole cluster
	Zone     *string `hcl:"zone,optional"`      // availability zone of this agent's hosts
	DataDir  *string `hcl:"data_dir,optional"`  // absolute
	BindAddr *string `hcl:"bind_addr,optional"` // IP address that HTTP, RPC and Serf listen on unless addresses says otherwise
	LogLevel *string `hcl:"log_level,optional"` // trace, debug, info, warn, error
	LogJSON  *bool   `hcl:"log_json,optional"`

	Server    *ServerConfig    `hcl:"server,block"`
	Client    *ClientConfig    `hcl:"client,block"`
	TLS       *TLSConfig       `hcl:"tls,block"`
	Ports     *PortsConfig     `hcl:"ports,block"`
	Addresses *AddressesConfig `hcl:"addresses,block"`
	Advertise *AddressesConfig `hcl:"advertise,block"`
	Telemetry *TelemetryConfig `hcl:"telemetry,block"`
	Plugins   []*PluginConfig  `hcl:"plugin,block"`
}

// ServerConfig is the server block: the control plane.
type ServerConfig struct {
	Enabled         *bool `hcl:"enabled,optional"`
	BootstrapExpect *int  `hcl:"bootstrap_expect,optional"` // how many servers start a new cluster together

	Encrypt       *string  `hcl:"encrypt,optional" secret:"true"` // gossip key: 32 bytes in base64
	RetryJoin     []string `hcl:"retry_join,optional"`            // Serf addresses of other agents
	RetryInterval *string  `hcl:"retry_interval,optional"`
	RetryMax      *int     `hcl:"retry_max_attempts,optional"` // 0: without end

	TokenTTL          *string `hcl:"token_ttl,optional"`             // life of an identity token
	ReclaimInterval   *string `hcl:"reclaim_interval,optional"`      // for how long a deleted instance can be restored
	ShelvedOffload    *string `hcl:"shelved_offload_after,optional"` // for how long a shelved instance keeps its host, or never
	LeaseTTL          *string `hcl:"lease_ttl,optional"`             // how long a host is up after its last heartbeat
	HeartbeatInterval *string `hcl:"heartbeat_interval,optional"`    // how often a host renews its lease

	RaftSnapshotInterval  *string `hcl:"raft_snapshot_interval,optional"`
	RaftSnapshotThreshold *int    `hcl:"raft_snapshot_threshold,optional"` // log entries
	RaftTrailingLogs      *int    `hcl:"raft_trailing_logs,optional"`      // kept after a snapshot for followers that lag
	RaftMultiplier        *int    `hcl:"raft_multiplier,optional"`         // stretches Raft's timeouts for slow machines

	PolicyFile *string `hcl:"policy_file,optional"` // access rules in oslo.policy's language; absolute

	Scheduler     *SchedulerConfig     `hcl:"scheduler,block"`
	Notifications *NotificationsConfig `hcl:"notifications,block"`
	Consoles      *ConsolesConfig      `hcl:"consoles,block"`
	Image         *ImageConfig         `hcl:"image,block"`
	Identity      *IdentityConfig      `hcl:"identity,block"`
}

// IdentityConfig is the identity block within server: what passwords must be and what becomes of users who do not give the right one, by Keystone's names.
type IdentityConfig struct {
	Mode          *string `hcl:"mode,optional"` // builtin, or keystone: the keys that follow say which
	AuthURL       *string `hcl:"auth_url,optional"`
	Username      *string `hcl:"username,optional"`
	PasswordFile  *string `hcl:"password_file,optional"` // absolute
	UserDomain    *string `hcl:"user_domain,optional"`
	Project       *string `hcl:"project,optional"`
	ProjectDomain *string `hcl:"project_domain,optional"`
	CacheTime     *string `hcl:"cache_time,optional"`
	CAFile        *string `hcl:"ca_file,optional"`

	LockoutFailures     *int    `hcl:"lockout_failure_attempts,optional"` // 0: nobody is locked out
	LockoutDuration     *string `hcl:"lockout_duration,optional"`         // 0s: until an administrator enables the user
	PasswordExpiresDays *int    `hcl:"password_expires_days,optional"`    // 0: never
	MinimumPasswordAge  *int    `hcl:"minimum_password_age,optional"`     // days
	UniquePasswords     *int    `hcl:"unique_last_password_count,optional"`
	PasswordRegex       *string `hcl:"password_regex,optional"`
	PasswordRegexWords  *string `hcl:"password_regex_description,optional"`
	InactiveDays        *int    `hcl:"disable_user_account_days_inactive,optional"` // 0: never
	ChangeAtFirstUse    *bool   `hcl:"change_password_upon_first_use,optional"`
	MaxProjectDepth     *int    `hcl:"max_project_tree_depth,optional"`
	SignatureTTL        *string `hcl:"credential_auth_ttl,optional"`     // of requests that are signed with access keys
	MaxRedelegations    *int    `hcl:"max_redelegation_count,optional"`  // of trusts; 0: none is handed on
	ReceiptTTL          *string `hcl:"receipt_expiration,optional"`      // of a login that has shown one of several things
	HashRounds          *int    `hcl:"password_hash_rounds,optional"`    // bcrypt's cost
	ChecksAtOnce        *int    `hcl:"password_checks_at_once,optional"` // 0: half of the processors
}

// ImageConfig is the image block within server: what the images of every project may come to, by the names of Glance's limits (-1 is no limit), how data may arrive
// by an import, and where they are kept; or, with the mode glance, which Glance has them instead.
type ImageConfig struct {
	Mode          *string `hcl:"mode,optional"`     // builtin, or glance: the keys that follow say which
	Endpoint      *string `hcl:"endpoint,optional"` // of the Glance, as its catalog has it
	AuthURL       *string `hcl:"auth_url,optional"` // of the Identity service that it asks; this and what follows are the identity block's where that names a Keystone
	Username      *string `hcl:"username,optional"`
	PasswordFile  *string `hcl:"password_file,optional"` // absolute
	UserDomain    *string `hcl:"user_domain,optional"`
	Project       *string `hcl:"project,optional"`
	ProjectDomain *string `hcl:"project_domain,optional"`
	CAFile        *string `hcl:"ca_file,optional"`

	SizeTotal      *int `hcl:"image_size_total,optional"`      // MiB of data
	StageTotal     *int `hcl:"image_stage_total,optional"`     // MiB of data that are staged
	CountTotal     *int `hcl:"image_count_total,optional"`     // images
	CountUploading *int `hcl:"image_count_uploading,optional"` // images whose data are arriving

	Copies         *int    `hcl:"copies,optional"`          // servers that keep an image's bytes; 0 is all
	VerifyInterval *string `hcl:"verify_interval,optional"` // 0s: never

	ImportMethods []string           `hcl:"enabled_import_methods,optional"`
	TaskTTL       *string            `hcl:"task_time_to_live,optional"` // of the record of an import that has ended
	DefaultStore  *string            `hcl:"default_store,optional"`
	WebDownload   *WebDownloadConfig `hcl:"web_download,block"`
	S3            []*S3StoreConfig   `hcl:"s3,block"`
}

// WebDownloadConfig is the web_download block within image: what users may have the servers fetch, by the names of Glance's [import_filtering_opts].
type WebDownloadConfig struct {
	AllowedSchemes    []string `hcl:"allowed_schemes,optional"`
	DisallowedSchemes []string `hcl:"disallowed_schemes,optional"`
	AllowedHosts      []string `hcl:"allowed_hosts,optional"`
	DisallowedHosts   []string `hcl:"disallowed_hosts,optional"`
	AllowedPorts      []int    `hcl:"allowed_ports,optional"`
	DisallowedPorts   []int    `hcl:"disallowed_ports,optional"`
	AllowedNetworks   []string `hcl:"allowed_networks,optional"` // inside networks that may be reached
}

// S3StoreConfig is an s3 block within image: a store of images in a bucket of an S3-compatible server.
type S3StoreConfig struct {
	Name          string  `hcl:"name,label"`
	Description   *string `hcl:"description,optional"`
	Endpoint      *string `hcl:"endpoint,optional"`
	Bucket        *string `hcl:"bucket,optional"`
	Region        *string `hcl:"region,optional"`
	AccessKey     *string `hcl:"access_key,optional"`
	SecretKey     *string `hcl:"secret_key,optional" secret:"true"`
	SecretKeyFile *string `hcl:"secret_key_file,optional"`
	PathStyle     *bool   `hcl:"path_style,optional"`
	Prefix        *string `hcl:"prefix,optional"`
}

// ConsolesConfig is the consoles block within server: where browsers reach the proxies of remote consoles. A kind without a URL cannot be asked for.
type ConsolesConfig struct {
	VNCURL         *string `hcl:"vnc_url,optional"` // noVNC's page
	SPICEURL       *string `hcl:"spice_url,optional"`
	SPICEDirectURL *string `hcl:"spice_direct_url,optional"`
	SerialURL      *string `hcl:"serial_url,optional"` // a web socket's
	MKSURL         *string `hcl:"mks_url,optional"`
	TokenTTL       *string `hcl:"token_ttl,optional"` // for how long a URL that was handed out opens its console
}

// NotificationsConfig is the notifications block within server: Nova's versioned notifications and who gets them.
type NotificationsConfig struct {
	Enabled             *bool            `hcl:"enabled,optional"`
	NotifyOnStateChange *string          `hcl:"notify_on_state_change,optional"` // as Nova's: "", vm_state, vm_and_task_state
	UsageAuditPeriod    *string          `hcl:"usage_audit_period,optional"`     // as Nova's instance_usage_audit_period; "" is no audit
	Webhooks            []*WebhookConfig `hcl:"webhook,block"`
	AMQP                []*AMQPConfig    `hcl:"amqp,block"`
}

// WebhookConfig is a webhook block: a URL that each notification is posted to.
type WebhookConfig struct {
	Name       string   `hcl:"name,label"`
	URL        *string  `hcl:"url,optional" secret:"true"` // may hold a token
	URLFile    *string  `hcl:"url_file,optional"`
	Secret     *string  `hcl:"secret,optional" secret:"true"` // signs bodies
	SecretFile *string  `hcl:"secret_file,optional"`
	Events     []string `hcl:"events,optional"` // patterns; none is all
	Timeout    *string  `hcl:"timeout,optional"`
}

// AMQPConfig is an amqp block: a message broker that notifications are published to as oslo.messaging does.
type AMQPConfig struct {
	Name     string   `hcl:"name,label"`
	URL      *string  `hcl:"url,optional" secret:"true"` // holds a password
	URLFile  *string  `hcl:"url_file,optional"`
	Exchange *string  `hcl:"exchange,optional"`
	Topics   []string `hcl:"topics,optional"`
	Durable  *bool    `hcl:"durable,optional"` // of exchange and queues
	Events   []string `hcl:"events,optional"`
	Timeout  *string  `hcl:"timeout,optional"`
}

// SchedulerConfig is the scheduler block within server. What it says of the whole cluster (all but workers and resize_to_same_host) is written
// to the replicated settings by the leader.
type SchedulerConfig struct {
	Workers *int               `hcl:"workers,optional"` // evaluations in work at once on this server
	Filters []string           `hcl:"filters,optional"` // host filters in their order, by Nova's names
	Weights map[string]float64 `hcl:"weights,optional"` // multiplier by weigher
	// MetricWeights are ratios by metric of hosts that have cpu_metrics: Nova's [metrics]weight_setting.
	MetricWeights   map[string]float64 `hcl:"metric_weights,optional"`
	MetricsRequired *bool              `hcl:"metrics_required,optional"`             // [metrics]required
	MetricMissing   *float64           `hcl:"metric_weight_of_unavailable,optional"` // [metrics]weight_of_unavailable

	CPURatio    *float64 `hcl:"cpu_ratio,optional"`
	MemoryRatio *float64 `hcl:"memory_ratio,optional"`
	DiskRatio   *float64 `hcl:"disk_ratio,optional"`

	ResizeToSameHost *bool `hcl:"resize_to_same_host,optional"` // of requests to this server
}

// ClientConfig is the client block: a compute host.
type ClientConfig struct {
	Enabled *bool `hcl:"enabled,optional"`

	Encrypt       *string  `hcl:"encrypt,optional" secret:"true"`
	RetryJoin     []string `hcl:"retry_join,optional"`
	RetryInterval *string  `hcl:"retry_interval,optional"`
	RetryMax      *int     `hcl:"retry_max_attempts,optional"`

	Drivers        []string        `hcl:"drivers,optional"`         // the host's driver, one
	StateDir       *string         `hcl:"state_dir,optional"`       // default: client in data_dir
	SimulatedHosts *int            `hcl:"simulated_hosts,optional"` // with the fake driver: that many hosts in one process
	CPUMetrics     *bool           `hcl:"cpu_metrics,optional"`     // measure the processors: Nova's compute_monitors = cpu.virt_driver
	Reserved       *ReservedConfig `hcl:"reserved,block"`
}

// ReservedConfig is the reserved block within client: what the scheduler leaves to the machine itself.
type ReservedConfig struct {
	VCPUs     *int `hcl:"vcpus,optional"`
	MemoryMiB *int `hcl:"memory_mib,optional"`
	DiskGiB   *int `hcl:"disk_gib,optional"`
}

// TLSConfig is the tls block.
type TLSConfig struct {
	HTTP     *bool   `hcl:"http,optional"` // serve HTTPS
	RPC      *bool   `hcl:"rpc,optional"`  // mutual TLS between agents: both sides show a certificate of our CA
	CAFile   *string `hcl:"ca_file,optional"`
	CertFile *string `hcl:"cert_file,optional"`
	KeyFile  *string `hcl:"key_file,optional"`
	// VerifyHTTPSClient demands one from HTTPS clients as well.
	VerifyHTTPSClient *bool `hcl:"verify_https_client,optional"`
	// VerifyServerHostname demands that a server's certificate names server.<region>.kilonova, so that a client's stolen
	// certificate cannot pose as a server; default true with rpc.
	VerifyServerHostname *bool `hcl:"verify_server_hostname,optional"`
}

// PortsConfig is the ports block.
type PortsConfig struct {
	HTTP *int `hcl:"http,optional"`
	RPC  *int `hcl:"rpc,optional"`
	Serf *int `hcl:"serf,optional"`
}

// AddressesConfig is the addresses block (IP addresses to listen on) and the advertise block (host or host:port that
// others reach this agent at).
type AddressesConfig struct {
	HTTP *string `hcl:"http,optional"`
	RPC  *string `hcl:"rpc,optional"`
	Serf *string `hcl:"serf,optional"`
}

// TelemetryConfig is the telemetry block.
type TelemetryConfig struct {
	Prometheus *bool `hcl:"prometheus,optional"` // serve /metrics
}

// PluginConfig is a plugin block: a driver's program and settings.
type PluginConfig struct {
	Name     string          `hcl:"name,label"`
	Path     *string         `hcl:"path,optional"` // absolute; default: this program itself, for a built-in driver
	Args     []string        `hcl:"args,optional"`
	Settings *PluginSettings `hcl:"config,block"`
}

// PluginSettings is the config block within plugin: any attributes, handed to the driver as JSON. Only the driver knows
// which of them are secret, so sanitized output hides all their values.
type PluginSettings struct {
	Values map[string]any `hcl:",remain"`
}
