package notification

import (
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// StateChange says of which changes of an instance's state instance.update tells: Nova's notify_on_state_change.
type StateChange string

// The values of notify_on_state_change. With none there is no instance.update at all, as in Nova.
const (
	NoUpdates         StateChange = ""
	OnVMState         StateChange = "vm_state"
	OnVMAndTaskStates StateChange = "vm_and_task_state"
)

// Settings choose what is told.
type Settings struct {
	NotifyOnStateChange StateChange
	// UsagePeriod is that of the usage audit, also of notifications that tell of the period which is not over yet. The zero value is a month, Nova's default.
	UsagePeriod structs.UsagePeriod
}

// Commits cuts events into commits.
func Commits(events []event.Event) [][]event.Event {
	var out [][]event.Event
	for begin := 0; begin < len(events); {
		end := begin + 1
		for end < len(events) && events[end].Index == events[begin].Index {
			end++
		}
		out = append(out, events[begin:end])
		begin = end
	}
	return out
}

// Translate returns what one commit has to tell, in the order of its changes. It is pure: it depends on the events, on the settings and on what r says of things that
// the commit names and did not change (names of hosts, the members of a group). The events are all those of one commit.
func Translate(s Settings, r state.Reader, commit []event.Event) []Notification {
	if !tells(commit) {
		return nil
	}
	c := &translation{settings: s, reader: r, commit: commit, cluster: r.ClusterSettings().ClusterID, written: map[string]int{}}
	for at := range commit {
		c.change(at)
	}
	return c.out
}

// tells is false for commits that cannot have anything to tell, which are most.
func tells(commit []event.Event) bool {
	for i := range commit {
		if translators[commit[i].Table] != nil {
			return true
		}
	}
	return false
}

// translation is one commit being translated.
type translation struct {
	settings Settings
	reader   state.Reader
	commit   []event.Event
	cluster  string
	written  map[string]int // how often an entity was written at an index
	out      []Notification

	// Of the change in work.
	at       int
	entity   string
	index    uint64
	position int
}

// translators are the tables that have something to tell.
var translators = map[string]func(c *translation, e *event.Event){
	"operations":      operationChanged,
	"instances":       instanceChanged,
	"keypairs":        keypairChanged,
	"flavors":         flavorChanged,
	"host_aggregates": aggregateChanged,
	"server_groups":   serverGroupChanged,
	"hosts":           hostChanged,
	"usage_audits":    usageAudited,
	"image_cachings":  imageCachingChanged,
}

func (c *translation) change(at int) {
	e := &c.commit[at]
	tell := translators[e.Table]
	if tell == nil {
		return
	}
	// A deletion has no index of its own: it is told from other writes of the entity by being the one after the last.
	c.at, c.index, c.entity = at, modified(e.Entity), e.Table+"/"+key(e.Entity)
	if e.Deleted {
		c.entity += "/deleted"
	}
	id := fmt.Sprintf("%s/%d", c.entity, c.index)
	c.position = c.written[id]
	c.written[id]++
	tell(c, e)
}

type entity interface{ GetMeta() *structs.Meta }

func modified(v any) uint64 {
	if e, ok := v.(entity); ok {
		return e.GetMeta().ModifyIndex
	}
	return 0
}

func key(v any) string {
	switch v := v.(type) {
	case *structs.Operation:
		return string(v.ID)
	case *structs.Instance:
		return string(v.ID)
	case *structs.Keypair:
		return string(v.UserID) + "/" + v.Name
	case *structs.Flavor:
		return string(v.ID)
	case *structs.Aggregate:
		return v.UUID
	case *structs.ServerGroup:
		return string(v.ID)
	case *structs.Host:
		return string(v.ID)
	case *structs.UsageAudit:
		return fmt.Sprintf("%d/%d/%s", v.Begin, v.End, v.HostID)
	case *structs.ImageCaching:
		return v.ID
	}
	return ""
}

// entry is the log entry of the first of the events. A deletion does not say its own, but cannot be of a later one than what was written after it.
func entry(events []event.Event) uint64 {
	for i := range events {
		if index := modified(events[i].Entity); !events[i].Deleted && index > 0 {
			return index
		}
	}
	return events[0].Index
}

// telling is one notification as the tables of this package word it.
type telling struct {
	event     string
	publisher string
	payload   map[string]any
	when      structs.Time // 0: when the commit was seen, for changes that have no time of their own
	subject   string       // tells it from others of the same event and change
	project   structs.ProjectID
	user      structs.UserID
	failed    bool
}

func (c *translation) tell(t telling) {
	when, e := t.when, &c.commit[c.at]
	if when.IsZero() {
		when = e.At
	}
	about := c.entity
	if t.subject != "" {
		about += "/" + t.subject
	}
	n := Notification{EventType: t.event, Priority: Info, PublisherID: t.publisher, Timestamp: stamp(when), Payload: t.payload, Index: e.Index, Entry: entry(c.commit[c.at:]),
		ProjectID: t.project, UserID: t.user, MessageID: messageID(c.cluster, about, c.index, c.position, t.event)}
	if t.failed {
		n.Priority = Error
	}
	c.out = append(c.out, n)
}

// The binaries that Nova's publishers are called after. What no host did has the name of the cluster behind it.
const (
	binaryAPI       = "nova-api"
	binaryCompute   = "nova-compute"
	binaryConductor = "nova-conductor"
	binaryScheduler = "nova-scheduler"

	apiHost = "kilonova"
)

func publisher(binary, host string) string {
	if host == "" {
		host = apiHost
	}
	return binary + ":" + host
}

// host returns a host as of the commit; nil when it is not known any more.
func (c *translation) host(id structs.HostID) *structs.Host {
	if id == "" {
		return nil
	}
	if h := c.reader.Host(id); h != nil {
		return h
	}
	for i := range c.commit {
		if h, ok := c.commit[i].Entity.(*structs.Host); ok && h.ID == id {
			return h
		}
	}
	return nil
}

func (c *translation) hostName(id structs.HostID) string {
	if h := c.host(id); h != nil {
		return h.Name
	}
	return string(id)
}

// operation returns an operation as of the commit, or nil.
func (c *translation) operation(id structs.OperationID) *structs.Operation {
	if id == "" {
		return nil
	}
	for i := range c.commit {
		if op, ok := c.commit[i].Entity.(*structs.Operation); ok && op.ID == id {
			return op
		}
	}
	return c.reader.Operation(id)
}

// instance returns the operation's instance before and after the log entry of the change in work: the write that follows it in that entry, or else the last
// one before it. When the entry did not write the instance both are what the state says now; nil when it is gone.
func (c *translation) instance(id structs.InstanceID) (before, after *structs.Instance) {
	found := -1
	for i := range c.commit {
		ins, ok := c.commit[i].Entity.(*structs.Instance)
		if !ok || ins.ID != id || c.commit[i].Deleted || ins.ModifyIndex != c.index {
			continue
		}
		found = i
		if i > c.at {
			break
		}
	}
	if found < 0 {
		ins := c.reader.Instance(id)
		return ins, ins
	}
	after = c.commit[found].Entity.(*structs.Instance)
	if before, _ = c.commit[found].Before.(*structs.Instance); before == nil {
		before = after
	}
	return before, after
}
