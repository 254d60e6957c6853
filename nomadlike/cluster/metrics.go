package cluster

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The metrics of a server. What the state says is the same on every server; what the broker says is of the leader alone.
var (
	metricLeader    = newDesc("server_leader", "1 on the server that leads.")
	metricApplied   = newDesc("raft_applied_index", "Index of the newest entry applied to this server's state.")
	metricCommit    = newDesc("raft_commit_index", "Index of the newest entry known to be committed.")
	metricTerm      = newDesc("raft_term", "Raft's term.")
	metricPeers     = newDesc("raft_peers", "Servers in Raft's configuration.")
	metricHosts     = newDesc("hosts", "Hosts by status.", "status")
	metricInstances = newDesc("instances", "Instances by vm_state.", "vm_state")
	metricActive    = newDesc("operations_active", "Operations that are not finished, by kind and step.", "kind", "step")
	metricPending   = newDesc("evaluations_pending", "Evaluations that wait for a placement.")
	metricBroker    = newDesc("broker_evaluations", "Evaluations in the leader's broker by state.", "state")
	metricOldest    = newDesc("broker_oldest_seconds", "Age of the oldest evaluation in the leader's broker.")
	metricPlans     = newDesc("plan_queue_plans", "Plans that wait for the applier.")
	metricLeases    = newDesc("leases", "Host leases that the leader keeps.")
	metricImages    = newDesc("image_sent_bytes_total", "Bytes of images that this server has sent to hosts.")
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kilonova_"+name, help, labels, nil)
}

// Collector reads the server's metrics when it is asked; nothing is counted meanwhile.
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ s *Server }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricLeader, metricApplied, metricCommit, metricTerm, metricPeers, metricHosts, metricInstances, metricActive,
		metricPending, metricBroker, metricOldest, metricPlans, metricLeases, metricImages} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.s
	leads := 0.0
	if s.isEstablished() {
		leads = 1
	}
	gauge(metricLeader, leads)
	gauge(metricApplied, float64(s.store.Index()))
	gauge(metricCommit, float64(s.node.CommitIndex()))
	if term, err := strconv.ParseFloat(s.node.Stats()["term"], 64); err == nil {
		gauge(metricTerm, term)
	}
	if peers, err := s.node.Peers(); err == nil {
		gauge(metricPeers, float64(len(peers)))
	}
	c.collectState(gauge)
	st := s.broker.Stats()
	gauge(metricBroker, float64(st.Ready), "ready")
	gauge(metricBroker, float64(st.Unacked), "unacked")
	gauge(metricBroker, float64(st.Delayed), "delayed")
	gauge(metricBroker, float64(st.Waiting), "waiting")
	gauge(metricOldest, float64(st.OldestMS)/1000)
	gauge(metricPlans, float64(s.plans.Waiting()))
	s.leases.mu.Lock()
	n := 0
	if s.leases.table != nil {
		n = s.leases.table.Len()
	}
	s.leases.mu.Unlock()
	gauge(metricLeases, float64(n))
	ch <- prometheus.MustNewConstMetric(metricImages, prometheus.CounterValue, float64(s.blobs.handout.bytes.Load()))
}

func (c collector) collectState(gauge func(*prometheus.Desc, float64, ...string)) {
	r := c.s.store.Snapshot()
	hosts := map[structs.HostStatus]int{structs.HostUp: 0, structs.HostSuspect: 0, structs.HostDown: 0}
	for h := range r.Hosts() {
		hosts[h.Status]++
	}
	for st, n := range hosts {
		gauge(metricHosts, float64(n), string(st))
	}
	instances := map[structs.VMState]int{}
	for i := range r.AllInstances() {
		instances[i.VM]++
	}
	for st, n := range instances {
		gauge(metricInstances, float64(n), string(st))
	}
	type at struct {
		kind structs.OperationKind
		step structs.StepName
	}
	active := map[at]int{}
	for op := range r.ActiveOperations() {
		active[at{op.Kind, op.Step}]++
	}
	for k, n := range active {
		gauge(metricActive, float64(n), string(k.kind), string(k.step))
	}
	pending := 0
	for range r.PendingEvaluations() {
		pending++
	}
	gauge(metricPending, float64(pending))
}
