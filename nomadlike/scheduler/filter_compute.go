package scheduler

import "fmt"

// allHostsFilter is Nova's AllHostsFilter: every host passes. It is there to be configured alone.
type allHostsFilter struct{}

func (allHostsFilter) name() string { return "AllHostsFilter" }

// computeFilter is Nova's ComputeFilter: the host's client is alive, not forced down, and its operator lets it take
// instances. Here its driver must be healthy too. A suspect host does not pass: its lease may be about to end.
type computeFilter struct{}

func (computeFilter) name() string                     { return "ComputeFilter" }
func (computeFilter) applies(*query) bool              { return true }
func (computeFilter) pass(_ *query, h *candidate) bool { return h.up }
func (computeFilter) why(_ *query, h *candidate) string {
	_, why := h.host.Schedulable()
	return why
}

// What Nova's [filter_scheduler] options of the same purpose default to.
const (
	maxIoOpsPerHost     = 8
	maxInstancesPerHost = 50
)

// ioOpsFilter is Nova's IoOpsFilter: fewer than max_io_ops_per_host disk-heavy operations run on the host.
type ioOpsFilter struct{}

func (ioOpsFilter) name() string                     { return "IoOpsFilter" }
func (ioOpsFilter) applies(*query) bool              { return true }
func (ioOpsFilter) pass(_ *query, h *candidate) bool { return h.building < maxIoOpsPerHost }
func (ioOpsFilter) why(_ *query, h *candidate) string {
	return fmt.Sprintf("%d disk-heavy operations run there, %d are allowed", h.building, maxIoOpsPerHost)
}

// numInstancesFilter is Nova's NumInstancesFilter: fewer than max_instances_per_host instances are on the host.
type numInstancesFilter struct{}

func (numInstancesFilter) name() string                     { return "NumInstancesFilter" }
func (numInstancesFilter) applies(*query) bool              { return true }
func (numInstancesFilter) pass(_ *query, h *candidate) bool { return h.instances < maxInstancesPerHost }
func (numInstancesFilter) why(_ *query, h *candidate) string {
	return fmt.Sprintf("%d instances are there, %d are allowed", h.instances, maxInstancesPerHost)
}
