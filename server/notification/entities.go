package notification

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// twoPhased tells a change of the API's own that is over when it is committed: its start and its end.
func (c *translation) twoPhased(action string, begin, done map[string]any, when structs.Time, user structs.UserID) {
	for _, p := range []struct {
		phase   string
		payload map[string]any
	}{{".start", begin}, {".end", done}} {
		c.tell(telling{event: action + p.phase, publisher: publisher(binaryAPI, ""), payload: p.payload, when: when, user: user})
	}
}

// generatedMark ends the comment of a key that the API made itself.
const generatedMark = "Generated-by-Nova"

func keypairPayload(k *structs.Keypair) map[string]any {
	return object("KeypairPayload", "1.0", map[string]any{"user_id": string(k.UserID), "name": k.Name, "fingerprint": orNil(k.Fingerprint),
		"public_key": orNil(k.PublicKey), "type": k.Type})
}

func keypairChanged(c *translation, e *event.Event) {
	k, ok := e.Entity.(*structs.Keypair)
	switch {
	case !ok:
	case e.Deleted:
		c.twoPhased("keypair.delete", keypairPayload(k), keypairPayload(k), 0, k.UserID)
	case e.Before == nil:
		begun, action := *k, "keypair.import"
		begun.Fingerprint = ""
		if strings.HasSuffix(strings.TrimSpace(k.PublicKey), generatedMark) {
			begun.PublicKey, action = "", "keypair.create"
		}
		c.twoPhased(action, keypairPayload(&begun), keypairPayload(k), k.CreatedAt, k.UserID)
	}
}

// flavorPayload has projects nil where Nova does not load them.
func flavorPayload(f *structs.Flavor, projects any) map[string]any {
	return object("FlavorPayload", "1.4", map[string]any{"flavorid": string(f.ID), "name": f.Name, "vcpus": f.VCPUs, "memory_mb": f.MemoryMiB, "root_gb": f.RootGiB,
		"ephemeral_gb": f.EphemeralGiB, "swap": f.SwapMiB, "rxtx_factor": f.RxTxFactor, "is_public": f.Public, "description": orNull(f.Description),
		"extra_specs": stringMap(f.ExtraSpecs), "disabled": false, "vcpu_weight": 0, "projects": projects})
}

func flavorChanged(c *translation, e *event.Event) {
	f, ok := e.Entity.(*structs.Flavor)
	if !ok {
		return
	}
	t := telling{event: "flavor.update", publisher: publisher(binaryAPI, ""), payload: flavorPayload(f, stringList(f.Projects)), when: f.UpdatedAt}
	switch {
	case e.Deleted:
		t.event, t.payload, t.when = "flavor.delete", flavorPayload(f, nil), 0
	case e.Before == nil:
		t.event, t.when = "flavor.create", f.CreatedAt
	}
	c.tell(t)
}

// aggregatePayload has the names of hosts.
func (c *translation) aggregatePayload(a *structs.Aggregate) map[string]any {
	hosts := make([]any, len(a.Hosts))
	for i, id := range a.Hosts {
		hosts[i] = c.hostName(id)
	}
	return object("AggregatePayload", "1.1", map[string]any{"id": int64(a.ID), "uuid": a.UUID, "name": a.Name, "metadata": stringMap(a.Metadata), "hosts": hosts})
}

func aggregateChanged(c *translation, e *event.Event) {
	a, ok := e.Entity.(*structs.Aggregate)
	if !ok {
		return
	}
	is := c.aggregatePayload(a)
	before, _ := e.Before.(*structs.Aggregate)
	switch {
	case e.Deleted:
		c.twoPhased("aggregate.delete", is, is, 0, "")
		return
	case before == nil: // it has neither number nor hosts when its making begins
		begun := c.aggregatePayload(a)
		data := begun[keyData].(map[string]any)
		data["id"], data["hosts"] = nil, nil
		c.twoPhased("aggregate.create", begun, is, a.CreatedAt, "")
		return
	}
	was := c.aggregatePayload(before)
	if before.Name != a.Name { // the start has the new name already
		begun := c.aggregatePayload(before)
		begun[keyData].(map[string]any)["name"] = a.Name
		c.twoPhased("aggregate.update_prop", begun, is, a.UpdatedAt, "")
	}
	if !maps.Equal(before.Metadata, a.Metadata) {
		c.twoPhased("aggregate.update_metadata", was, is, a.UpdatedAt, "")
	}
	switch {
	case len(a.Hosts) > len(before.Hosts):
		c.twoPhased("aggregate.add_host", was, is, 0, "")
	case !slices.Equal(a.Hosts, before.Hosts):
		c.twoPhased("aggregate.remove_host", was, is, 0, "")
	}
}

func serverGroupPayload(g *structs.ServerGroup, members []any) map[string]any {
	rules := map[string]any{}
	if g.MaxPerHost > 0 {
		rules["max_server_per_host"] = strconv.FormatInt(g.MaxPerHost, 10)
	}
	return object("ServerGroupPayload", "1.1", map[string]any{"uuid": string(g.ID), "name": g.Name, "project_id": string(g.ProjectID), "user_id": string(g.UserID),
		"policies": []any{string(g.Policy)}, "policy": string(g.Policy), "rules": rules, "members": members, "hosts": nil})
}

func serverGroupChanged(c *translation, e *event.Event) {
	g, ok := e.Entity.(*structs.ServerGroup)
	t := telling{publisher: publisher(binaryAPI, "")}
	switch {
	case !ok:
		return
	case e.Deleted:
		t.event, t.payload = "server_group.delete", serverGroupPayload(g, c.members(g.ID, c.commit[c.at].Index))
	case e.Before == nil:
		t.event, t.when, t.payload = "server_group.create", g.CreatedAt, serverGroupPayload(g, []any{})
	default:
		return
	}
	t.project, t.user = g.ProjectID, g.UserID
	c.tell(t)
}

// members are the group's members that were made by then.
func (c *translation) members(id structs.ServerGroupID, by uint64) []any {
	list := []any{}
	for ins := range c.reader.GroupMembers(id) {
		if ins.CreateIndex <= by {
			list = append(list, string(ins.ID))
		}
	}
	return list
}

func (c *translation) memberAdded(ins *structs.Instance) {
	g := c.reader.ServerGroup(ins.ServerGroupID)
	if g == nil {
		return
	}
	c.tell(telling{event: "server_group.add_member", publisher: publisher(binaryAPI, ""), payload: serverGroupPayload(g, c.members(g.ID, ins.CreateIndex)),
		when: ins.CreatedAt, project: g.ProjectID, user: g.UserID})
}

// serviceVersion is the version of Nova's compute service whose notifications these are.
const serviceVersion = 73

func servicePayload(h *structs.Host) map[string]any {
	return object("ServiceStatusPayload", "1.1", map[string]any{"uuid": string(h.ID), "host": h.Name, "binary": binaryCompute, "topic": "compute",
		"availability_zone": orNil(h.Zone), "disabled": h.Disabled, "disabled_reason": orNil(h.DisabledReason), "forced_down": h.ForcedDown,
		"last_seen_up": instant(h.StatusAt), "report_count": 0, "version": serviceVersion})
}

// hostChanged tells of a host as Nova does of its compute service: of what an operator says of it, not of its coming and going.
func hostChanged(c *translation, e *event.Event) {
	h, ok := e.Entity.(*structs.Host)
	if !ok {
		return
	}
	before, _ := e.Before.(*structs.Host)
	t := telling{publisher: publisher(binaryCompute, h.Name), payload: servicePayload(h), when: h.UpdatedAt}
	switch {
	case e.Deleted:
		t.event, t.when = "service.delete", 0
	case before == nil:
		t.event = "service.create"
	case before.Disabled != h.Disabled || before.DisabledReason != h.DisabledReason || before.ForcedDown != h.ForcedDown:
		t.event = "service.update"
	}
	if t.event != "" {
		c.tell(t)
	}
	if m := h.Metrics; m != nil && !e.Deleted && before != nil && (before.Metrics == nil || before.Metrics.At != m.At) {
		c.tell(telling{event: "metrics.update", publisher: publisher(binaryCompute, h.Name), payload: metricsPayload(h), when: m.At})
	}
	if !e.Deleted && before != nil && before.DriverHealthy && !h.DriverHealthy && h.Driver == "libvirt" {
		c.tell(telling{event: "libvirt.connect.error", publisher: publisher(binaryCompute, h.Name), payload: libvirtPayload(h), when: h.UpdatedAt, failed: true})
	}
}

// addressOf is the host's address without the port of its client.
func addressOf(h *structs.Host) string {
	if ip, _, err := net.SplitHostPort(h.RPCAddr); err == nil {
		return ip
	}
	return h.RPCAddr
}

func libvirtPayload(h *structs.Host) map[string]any {
	return object("LibvirtErrorPayload", "1.0", map[string]any{"ip": orNil(addressOf(h)),
		"reason": exception(exceptionData{Name: "libvirtError", Message: h.DriverHealth, Function: "health"})})
}

func metricsPayload(h *structs.Host) map[string]any {
	list := []any{}
	for _, m := range h.Metrics.List() {
		list = append(list, object("MetricPayload", "1.0", map[string]any{"name": m.Name, "value": m.Value, "numa_membw_values": nil, "timestamp": instant(h.Metrics.At),
			"source": h.Metrics.Source}))
	}
	return object("MetricsPayload", "1.0", map[string]any{"host": h.Name, "host_ip": orNil(addressOf(h)), "nodename": orNil(h.HypervisorHostname), "metrics": list})
}
