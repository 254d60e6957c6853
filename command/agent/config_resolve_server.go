package agent

import (
	"encoding/base64"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func (r *resolver) server() {
	c, out := r.config.Server, &r.rt.Server
	out.Enabled = value(c.Enabled, false)
	out.TokenTTL = r.duration("server.token_ttl", c.TokenTTL, time.Hour, time.Minute)
	out.ReclaimInterval = r.duration("server.reclaim_interval", c.ReclaimInterval, 0, 0)
	out.ShelvedOffloadAfter = r.shelvedOffload(c.ShelvedOffload)
	out.LeaseTTL = r.duration("server.lease_ttl", c.LeaseTTL, 30*time.Second, time.Second)
	out.HeartbeatInterval = r.duration("server.heartbeat_interval", c.HeartbeatInterval, out.LeaseTTL/3, 100*time.Millisecond)
	if out.HeartbeatInterval > out.LeaseTTL/2 {
		r.refuse("server.heartbeat_interval", "%s: one lost heartbeat would end a lease of %s; at most %s (half of lease_ttl) is right",
			out.HeartbeatInterval, out.LeaseTTL, out.LeaseTTL/2)
	}
	out.RaftSnapshotInterval = r.duration("server.raft_snapshot_interval", c.RaftSnapshotInterval, 2*time.Minute, 5*time.Second)
	out.RaftSnapshotThreshold = uint64(r.atLeast("server.raft_snapshot_threshold", c.RaftSnapshotThreshold, 8192, 1))
	out.RaftTrailingLogs = uint64(r.atLeast("server.raft_trailing_logs", c.RaftTrailingLogs, 10240, 1))
	out.RaftMultiplier = r.atLeast("server.raft_multiplier", c.RaftMultiplier, 1, 1)
	if out.RaftMultiplier > 10 {
		r.refuse("server.raft_multiplier", "%d is too large: a lost leader would be noticed too late; 1 to 10 is right", out.RaftMultiplier)
	}
	r.scheduler()
	r.policyFile()
	r.notifications()
	r.consoles()
	r.identity()
	r.image()
	if out.Enabled {
		r.bootstrap()
	}
}

// shelvedOffload also reads Nova's -1.
func (r *resolver) shelvedOffload(text *string) time.Duration {
	if text != nil && (*text == "never" || *text == "-1") {
		return NeverOffload
	}
	path := "server.shelved_offload_after"
	d := r.duration(path, text, 0, math.MinInt64)
	if d < 0 {
		r.refuse(path, "%s is negative; \"0s\", a duration such as \"1h\", or \"never\" is right", *text)
	}
	return d
}

// policyFile refuses a file that the server would start without.
func (r *resolver) policyFile() {
	path, name := value(r.config.Server.PolicyFile, ""), "server.policy_file"
	switch {
	case path == "":
		return
	case !filepath.IsAbs(path):
		r.refuse(name, "%q is relative; an absolute path is right", path)
		return
	}
	r.rt.Server.PolicyFile = path
	if !r.rt.Server.Enabled {
		return
	}
	if _, err := LoadPolicy(path); err != nil {
		r.refuse(name, "%v", err)
	}
}

func (r *resolver) scheduler() {
	c, out := r.config.Server.Scheduler, &r.rt.Server.Scheduler
	out.Workers = r.atLeast("server.scheduler.workers", c.Workers, max(2, runtime.NumCPU()), 1)
	out.ResizeToSameHost = value(c.ResizeToSameHost, true)
	out.Filters, out.Weights = c.Filters, c.Weights
	out.MetricWeights, out.MetricsRequired, out.MetricMissing = c.MetricWeights, c.MetricsRequired, c.MetricMissing
	for i, name := range c.Filters {
		if slices.Contains(c.Filters[:i], name) {
			r.refuse("server.scheduler.filters", "%q stands twice", name)
		}
	}
	out.CPURatio = r.ratio("server.scheduler.cpu_ratio", c.CPURatio)
	out.MemoryRatio = r.ratio("server.scheduler.memory_ratio", c.MemoryRatio)
	out.DiskRatio = r.ratio("server.scheduler.disk_ratio", c.DiskRatio)
}

func (r *resolver) ratio(path string, ratio *float64) *float64 {
	if ratio != nil && (*ratio <= 0 || math.IsInf(*ratio, 0)) {
		r.refuse(path, "%v cannot be a ratio; a number above 0 such as 1 or 4.0 is right", *ratio)
		return nil
	}
	return ratio
}

// bootstrap refuses numbers of servers that can never form, or never keep, a majority.
func (r *resolver) bootstrap() {
	c, path := r.config.Server, "server.bootstrap_expect"
	n := value(c.BootstrapExpect, 0)
	r.rt.Server.BootstrapExpect = n
	switch alone := len(c.RetryJoin) == 0; {
	case n < 0:
		r.refuse(path, "%d is negative; 1, 3 or 5 is right for a new cluster, 0 for a server that joins an existing one", n)
	case n == 0 && alone:
		r.refuse(path, "without it, and without server.retry_join, this server could never be part of a cluster; "+
			"bootstrap_expect = 1 for a single server, or retry_join with the address of another, is right")
	case n > 0 && n%2 == 0:
		r.refuse(path, "%d is even: %d servers survive the loss of no more than %d do; %d or %d is right", n, n, n-1, n-1, n+1)
	case n > 1 && alone:
		r.refuse("server.retry_join", "%d servers are to start a cluster, but no address of any is given; "+
			"retry_join = [\"HOST\", ...] with all of them (this one may be among them) is right", n)
	}
}

// gossip joins what the blocks of the enabled roles say: one process is one member of Serf.
func (r *resolver) gossip() {
	s, c := r.config.Server, r.config.Client
	out := &r.rt.Gossip
	out.RetryInterval, out.RetryMax = 30*time.Second, 0
	if r.rt.Dev {
		out.RetryInterval = time.Second
	}
	if r.rt.Server.Enabled {
		r.join("server", s.Encrypt, s.RetryJoin, s.RetryInterval, s.RetryMax)
	}
	if r.rt.Client.Enabled {
		r.join("client", c.Encrypt, c.RetryJoin, c.RetryInterval, c.RetryMax)
	}
	if r.rt.Client.Enabled && !r.rt.Server.Enabled && len(c.RetryJoin) == 0 {
		r.refuse("client.retry_join", "a client that is no server as well needs the address of at least one server; retry_join = [\"HOST\", ...] is right")
	}
}

func (r *resolver) join(block string, encrypt *string, addrs []string, interval *string, attempts *int) {
	out := &r.rt.Gossip
	if encrypt != nil {
		path := block + ".encrypt"
		key, err := base64.StdEncoding.DecodeString(*encrypt)
		switch {
		case err != nil:
			r.refuse(path, "is not base64; what `kilonova operator gossip keygen` prints is right")
		case len(key) != 32:
			r.refuse(path, "holds %d bytes; 32 bytes in base64, as `kilonova operator gossip keygen` prints, are right", len(key))
		case out.Encrypt != nil && !slices.Equal(out.Encrypt, key):
			r.refuse(path, "differs from server.encrypt, but one agent gossips with one key; the same in both, or only one of them, is right")
		default:
			out.Encrypt = key
		}
	}
	for _, addr := range addrs {
		whole, err := withPort(addr, defaultSerfPort)
		if err != "" {
			r.refuse(block+".retry_join", "%q %s; HOST or HOST:PORT of another agent's Serf is right", addr, err)
		} else if !slices.Contains(out.RetryJoin, whole) {
			out.RetryJoin = append(out.RetryJoin, whole)
		}
	}
	out.RetryInterval = r.duration(block+".retry_interval", interval, out.RetryInterval, 100*time.Millisecond)
	out.RetryMax = r.atLeast(block+".retry_max_attempts", attempts, out.RetryMax, 0)
}

// withPort returns host:port of "host", "host:port", "1.2.3.4", "::1", "[::1]" or "[::1]:port"; problem is "" when it can.
func withPort(addr string, port int) (whole, problem string) {
	host := addr
	text := portText(port)
	if h, p, err := net.SplitHostPort(addr); err == nil {
		host, text = h, p
		if !isPort(p) {
			return "", "has no number from 1 to 65535 as its port"
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, "/ \t@[]") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", "is no address"
	}
	return net.JoinHostPort(host, text), ""
}
