package scheduler

import (
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Request is what one instance asks of a host. Its maps and slices belong to the state and are not changed.
type Request struct {
	EvaluationID structs.EvaluationID
	InstanceID   structs.InstanceID
	OperationID  structs.OperationID
	ProjectID    structs.ProjectID
	Flavor       string                // its name
	ServerGroup  structs.ServerGroupID // "" is none
	Resources    structs.Resources
	ExtraSpecs   map[string]string // of the flavor
	ImageProps   map[string]string
	Zone         string           // availability zone that was asked for; "" is any
	Host         string           // host name that was asked for; "" is any
	Avoid        []structs.HostID // where the operation failed already
	Hints        []byte           // scheduler hints, a JSON object; empty is none
	Move         *Move            // of an instance that has a host; else nil
}

// needs is what the request takes of the host beyond what its instance has there already.
func (r *Request) needs(host structs.HostID) structs.Resources {
	if r.Move == nil || r.Move.Source != host {
		return r.Resources
	}
	had := r.Move.Holds
	return structs.Resources{VCPUs: max(0, r.Resources.VCPUs-had.VCPUs), MemoryMiB: max(0, r.Resources.MemoryMiB-had.MemoryMiB), DiskGiB: max(0, r.Resources.DiskGiB-had.DiskGiB)}
}

// RequestOf derives the request from the evaluation's operation and instance. It is false when the operation does not
// want a place in this moment; the rule is fsm.PlanApply's, which calls a placement of it stale.
func RequestOf(r state.Reader, e *structs.Evaluation) (Request, bool) {
	op, ins := r.Operation(e.OperationID), r.Instance(e.InstanceID)
	if op == nil || ins == nil || ins.OperationID != op.ID || op.Status != structs.OpRunning || op.Step != structs.StepPlace {
		return Request{}, false
	}
	flavor, host, move := &ins.Flavor, ins.RequestedHost, MoveOf(r, op)
	if op.Args.NewFlavor != nil {
		flavor = op.Args.NewFlavor
	}
	if move != nil { // the host that its creation asked for does not bind it
		host, move.Holds = "", ResourcesOf(&ins.Flavor)
		if pin := op.Args.Pin; pin != nil {
			host = pin.Host
		}
	}
	return Request{EvaluationID: e.ID, InstanceID: ins.ID, OperationID: op.ID, ProjectID: ins.ProjectID, Flavor: flavor.Name, ServerGroup: ins.ServerGroupID,
		Resources: ResourcesOf(flavor), ExtraSpecs: flavor.ExtraSpecs, ImageProps: ins.ImageProps, Zone: ins.PinnedZone, Host: host, Avoid: op.AvoidHosts,
		Hints: ins.SchedulerHints, Move: move}, true
}

// ResourcesOf returns what an instance of the flavor takes of a host: the flavor's amounts, each replaced by the sum of
// the flavor's resources[G]:CLASS specs when it has any for that class (Nova's resource_request). A host is one provider here,
// so all groups add up on it. Specs that are no whole number from 0 up are ignored, as Nova does.
func ResourcesOf(f *structs.Flavor) structs.Resources {
	r := f.Resources()
	var seen [3]bool
	for key, value := range f.ExtraSpecs {
		class, n, ok := resourceSpec(key, value)
		if !ok {
			continue
		}
		amount, i := (*int64)(nil), 0
		switch class {
		case "VCPU":
			amount, i = &r.VCPUs, 0
		case "MEMORY_MB":
			amount, i = &r.MemoryMiB, 1
		case "DISK_GB":
			amount, i = &r.DiskGiB, 2
		default:
			continue
		}
		if !seen[i] {
			*amount, seen[i] = 0, true
		}
		*amount += n
	}
	return r
}

// resourceSpec reads an extra spec "resources[G]:CLASS" = amount.
func resourceSpec(key, value string) (class string, amount int64, ok bool) {
	class, ok = grouped(key, "resources")
	if !ok {
		return "", 0, false
	}
	amount, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return class, amount, err == nil && amount >= 0 && amount <= 1<<40
}

// grouped splits "<prefix>[G]:<name>", where the group G is of letters, digits, _ and -, and returns the name.
func grouped(key, prefix string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", false
	}
	group, name, ok := strings.Cut(rest, ":")
	if !ok || len(group) > 64 || strings.ContainsFunc(group, notGroupRune) {
		return "", false
	}
	return name, true
}

func notGroupRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
}
