package compute_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// checked is want with 200 that also compares the answer's keys and types with Nova's.
func (c *cloud) checked(a answers, route, token, version, path string, body any) answer {
	c.tb.Helper()
	method, _, _ := strings.Cut(route, " ")
	got := c.want(200, token, version, method, path, body)
	n := 0
	if _, err := fmt.Sscanf(version, "2.%d", &n); err != nil {
		c.tb.Fatal(err)
	}
	if err := a.check(route, n, got.body); err != nil {
		c.tb.Errorf("%s at %s: %v in %s", route, version, err, got.body)
	}
	return got
}

// says demands a status and a text in the answer.
func (c *cloud) says(status int, text, token, version, method, path string, body any) {
	c.tb.Helper()
	if a := c.want(status, token, version, method, path, body); !strings.Contains(string(a.body), text) {
		c.tb.Errorf("%s %s: %s, want %q in it", method, path, a.body, text)
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	c, a := newCloud(t), loadAnswers(t)
	for _, version := range []string{"2.1", "2.104"} {
		list := c.checked(a, "GET /extensions", "reader", version, "/extensions", nil).json(t)["extensions"].([]any)
		if len(list) != 99 {
			t.Errorf("%d extensions", len(list))
		}
		one := c.checked(a, "GET /extensions/{id}", "unscoped", version, "/extensions/os-agents", nil)
		if want := `{"extension":{"alias":"os-agents","description":"Guest agents.","links":[],"name":"Agents",` +
			`"namespace":"http://docs.openstack.org/compute/ext/fake_xml","updated":"2014-12-03T00:00:00Z"}}`; string(one.body) != want {
			t.Errorf("%s", one.body)
		}
	}
	c.want(404, "alice", "", "GET", "/extensions/OS-EXT-VIF-NET", nil)
	c.says(400, "Additional properties are not allowed ('foo' was unexpected)", "alice", "2.102", "GET", "/extensions?foo=1", nil)
}

// addImageOf is addImage with an owner.
func (c *cloud) addImageOf(project structs.ProjectID, i structs.Image) structs.Image {
	c.tb.Helper()
	i = c.addImage(i)
	i.ProjectID = project
	propose(c.tb, c.core, fsm.ImageUpsert, &structs.ImageUpsertRequest{Image: i})
	return i
}

func TestImageProxy(t *testing.T) {
	t.Parallel()
	c, a := newCloud(t), loadAnswers(t)
	server := "99999999-2222-4333-8444-555555555555"
	snapshot := c.addImageOf(aliceProject, structs.Image{Name: "snapshot", Visibility: "private", Size: 7, MinDiskGiB: 3, MinMemoryMiB: 64,
		Properties: map[string]string{"instance_uuid": server, "auto_disk_config": "True", "image_type": "snapshot"}})
	public := c.cirros()
	saving := c.addImage(structs.Image{Name: "saving", Status: structs.ImageSaving})
	queued := c.addImage(structs.Image{Name: "queued", Status: structs.ImageQueued})
	c.addImageOf(bobProject, structs.Image{Name: "bob's", Visibility: "private"})
	community := c.addImageOf(bobProject, structs.Image{Name: "community", Visibility: "community"})
	c.addImage(structs.Image{Name: "hidden", Hidden: true})

	path := "/images/" + string(snapshot.ID)
	v := c.checked(a, "GET /images/{id}", "alice", "2.35", path, nil).json(t)["image"].(map[string]any)
	links := `[map[href:` + c.base + path + ` rel:self] map[href:` + c.srv.URL + `/compute` + path + ` rel:bookmark] map[href:` + c.srv.URL + `/image` + path +
		` rel:alternate type:application/vnd.openstack.image]]`
	for k, want := range map[string]string{"status": "ACTIVE", "progress": "100", "minDisk": "3", "minRam": "64", "OS-EXT-IMG-SIZE:size": "7",
		"OS-DCF:diskConfig": "AUTO", "created": "2026-03-01T12:00:00Z", "updated": "2026-03-01T12:00:00Z", "links": links,
		"server": "map[id:" + server + " links:[map[href:" + c.base + "/servers/" + server + " rel:self] map[href:" + c.srv.URL + "/compute/servers/" + server +
			" rel:bookmark]]]"} {
		if got := fmt.Sprint(v[k]); got != want {
			t.Errorf("%s is %s,\nwant %s", k, got, want)
		}
	}
	for id, want := range map[structs.ImageID]string{saving.ID: "SAVING 50", queued.ID: "SAVING 25", public.ID: "ACTIVE 100"} {
		v := c.checked(a, "GET /images/{id}", "bob", "2.1", "/images/"+string(id), nil).json(t)["image"].(map[string]any)
		if got := fmt.Sprint(v["status"], " ", v["progress"]); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	c.says(404, "Image not found.", "bob", "2.1", "GET", path, nil)
	c.says(404, "Image not found.", "alice", "2.1", "GET", "/images/nosuch", nil)
	c.want(200, "alice", "2.1", "GET", "/images/"+string(community.ID), nil)

	names := func(token, query string) string {
		t.Helper()
		var list []string
		for _, i := range c.checked(a, "GET /images/detail", token, "2.35", "/images/detail"+query, nil).json(t)["images"].([]any) {
			list = append(list, i.(map[string]any)["name"].(string))
		}
		return strings.Join(slices.Sorted(slices.Values(list)), " ")
	}
	for query, want := range map[string]string{"": "cirros queued saving snapshot", "?status=SAVING": "saving", "?name=cirros": "cirros", "?type=snapshot": "snapshot",
		"?server=http://x/servers/" + server: "snapshot", "?property-my_own=x": "cirros", "?minDisk=3": "snapshot", "?minRam=64&minDisk=3": "snapshot",
		"?changes-since=2026-03-01T12:00:00Z": "cirros queued saving snapshot", "?changes-since=2026-03-02T12:00:00Z": "", "?foo=bar": "cirros queued saving snapshot"} {
		if got := names("alice", query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := names("bob", ""); got != "bob's cirros community queued saving" {
		t.Errorf("bob sees %s", got)
	}
	for _, q := range []string{"limit=0", "limit=x", "changes-since=yesterday", "minRam=x", "marker=nosuch"} {
		c.want(400, "alice", "2.1", "GET", "/images?"+q, nil)
	}
	seen, next := map[string]bool{}, c.base+"/images?limit=2"
	for next != "" {
		v := c.checked(a, "GET /images", "alice", "2.1", next, nil).json(t)
		for _, i := range v["images"].([]any) {
			seen[i.(map[string]any)["id"].(string)] = true
		}
		next = ""
		if l, ok := v["images_links"].([]any); ok {
			next = l[0].(map[string]any)["href"].(string)
		}
	}
	if len(seen) != 4 {
		t.Errorf("pages have %d images", len(seen))
	}

	c.says(403, "You are not allowed to delete the image.", "alice", "2.1", "DELETE", "/images/"+string(public.ID), nil)
	c.want(204, "alice", "2.35", "DELETE", path, nil)
	c.want(404, "alice", "2.35", "DELETE", path, nil)
	c.want(404, "alice", "2.36", "GET", "/images", nil)
	kept := c.addImageOf(aliceProject, structs.Image{Name: "kept", Protected: true})
	c.says(403, "You are not allowed to delete the image.", "alice", "2.1", "DELETE", "/images/"+string(kept.ID), nil)
}

func TestImageMetadataProxy(t *testing.T) {
	t.Parallel()
	c, a := newCloud(t), loadAnswers(t)
	own := c.addImageOf(aliceProject, structs.Image{Name: "own"})
	path := "/images/" + string(own.ID) + "/metadata"
	check := func(route, method, path, body, want string) {
		t.Helper()
		if got := c.checked(a, method+" "+route, "alice", "2.38", path, body); string(got.body) != want {
			t.Errorf("%s %s: %s, want %s", method, path, got.body, want)
		}
	}
	all, one := "/images/{image_id}/metadata", "/images/{image_id}/metadata/{id}"
	check(all, "GET", path, "", `{"metadata":{}}`)
	check(all, "POST", path, `{"metadata": {"a": "1", "b": "2"}}`, `{"metadata":{"a":"1","b":"2"}}`)
	check(all, "POST", path, `{"metadata": {"b": "3"}}`, `{"metadata":{"a":"1","b":"3"}}`)
	check(one, "PUT", path+"/c", `{"meta": {"c": "4"}}`, `{"meta":{"c":"4"}}`)
	check(one, "GET", path+"/c", "", `{"meta":{"c":"4"}}`)
	check(all, "GET", path, "", `{"metadata":{"a":"1","b":"3","c":"4"}}`)
	check(all, "PUT", path, `{"metadata": {"d": "5"}}`, `{"metadata":{"d":"5"}}`)
	c.want(204, "alice", "2.38", "DELETE", path+"/d", nil)
	check(all, "GET", path, "", `{"metadata":{}}`)
	c.says(404, "Invalid metadata key", "alice", "2.38", "DELETE", path+"/d", nil)
	c.want(404, "alice", "2.38", "GET", path+"/d", nil)
	c.want(404, "alice", "2.39", "GET", path, nil)
	c.says(400, "Request body and URI mismatch", "alice", "", "PUT", path+"/x", `{"meta": {"y": "1"}}`)
	c.says(400, "too many properties", "alice", "", "PUT", path+"/x", `{"meta": {"x": "1", "y": "1"}}`)
	c.says(403, "Not authorized for image", "bob", "", "POST", path, `{"metadata": {"a": "1"}}`)
	c.says(403, "Not authorized for image", "alice", "", "POST", path, `{"metadata": {"size": "1"}}`)
	c.says(403, "Not authorized for image", "alice", "", "PUT", path+"/os_glance_x", `{"meta": {"os_glance_x": "1"}}`)
	many := map[string]string{}
	for i := range 129 {
		many[fmt.Sprint("k", i)] = "v"
	}
	c.says(403, "Image metadata limit exceeded", "alice", "", "POST", path, map[string]any{"metadata": many})
	check(all, "GET", path, "", `{"metadata":{}}`)
	kept := c.addImageOf(aliceProject, structs.Image{Name: "kept", Properties: map[string]string{"os_glance_x": "1", "a": "1"}})
	path = "/images/" + string(kept.ID) + "/metadata"
	c.says(403, "Not authorized for image", "alice", "", "DELETE", path+"/os_glance_x", nil)
	c.says(403, "Not authorized for image", "alice", "", "PUT", path, `{"metadata": {}}`)
	check(all, "PUT", path, `{"metadata": {"os_glance_x": "1"}}`, `{"metadata":{"os_glance_x":"1"}}`)
	mine := c.addImageOf(bobProject, structs.Image{Name: "bob's", Visibility: "private"})
	c.says(404, "Image not found.", "alice", "", "GET", "/images/"+string(mine.ID)+"/metadata", nil)
}

// A cloud without network and volume services has nothing of theirs.
func TestProxiesWithoutServices(t *testing.T) {
	t.Parallel()
	c, id := newCloud(t), "99999999-2222-4333-8444-555555555555"
	for path, want := range map[string]string{"/os-volumes": `{"volumes":[]}`, "/os-volumes/detail": `{"volumes":[]}`, "/os-snapshots": `{"snapshots":[]}`,
		"/os-snapshots/detail": `{"snapshots":[]}`, "/os-networks": `{"networks":[]}`, "/os-tenant-networks": `{"networks":[]}`,
		"/os-floating-ip-pools": `{"floating_ip_pools":[]}`, "/os-floating-ips": `{"floating_ips":[]}`, "/os-security-groups": `{"security_groups":[]}`} {
		if got := c.want(200, "alice", "2.35", "GET", path, nil); string(got.body) != want {
			t.Errorf("%s: %s", path, got.body)
		}
		c.want(404, "alice", "2.36", "GET", path, nil)
	}
	c.says(404, "Volume "+id+" could not be found.", "alice", "", "GET", "/os-volumes/"+id, nil)
	c.says(404, "Volume "+id+" could not be found.", "alice", "", "DELETE", "/os-volumes/"+id, nil)
	c.says(501, "There is no Volume service in this cloud.", "alice", "", "POST", "/os-volumes", `{"volume": {"size": 1}}`)
	c.says(404, "Snapshot "+id+" could not be found.", "alice", "", "GET", "/os-snapshots/"+id, nil)
	c.says(404, "Network not found", "alice", "", "GET", "/os-networks/"+id, nil)
	c.says(404, "Network not found", "alice", "", "GET", "/os-tenant-networks/"+id, nil)
	c.says(404, "Floating IP not found for ID "+id, "alice", "", "GET", "/os-floating-ips/"+id, nil)
	c.says(404, "Floating IP pool not found.", "alice", "", "POST", "/os-floating-ips", nil)
	c.says(404, "Security group "+id+" not found.", "alice", "", "GET", "/os-security-groups/"+id, nil)
	c.says(400, "Security group id should be uuid", "alice", "", "GET", "/os-security-groups/7", nil)
	c.says(501, "Ironic client unavailable, cannot access Ironic.", "admin", "", "GET", "/os-baremetal-nodes", nil)
	c.says(400, "Please use Ironic command node-create", "alice", "", "POST", "/os-baremetal-nodes", `{}`)
	c.says(400, "Please use Ironic command port-delete", "alice", "", "POST", "/os-baremetal-nodes/1/action", `{"remove_interface": {}}`)
}

// pretended is a cloud with one of everything, and what was asked of it.
type pretended struct{ asked []string }

const thing = "99999999-2222-4333-8444-555555555555"

func (p *pretended) ask(format string, args ...any) {
	p.asked = append(p.asked, fmt.Sprintf(format, args...))
}

func (p *pretended) Networks(*httpapi.Request) ([]proxy.Network, error) {
	return []proxy.Network{{ID: thing, Name: "net"}}, nil
}

func (p *pretended) Network(_ *httpapi.Request, id string) (*proxy.Network, error) {
	return &proxy.Network{ID: id, Name: "net"}, nil
}

func (p *pretended) Pools(*httpapi.Request) ([]string, error) { return []string{"public"}, nil }

func (p *pretended) ip() *proxy.FloatingIP {
	return &proxy.FloatingIP{ID: thing, Address: "192.0.2.1", Pool: "public", FixedIP: "10.0.0.2", InstanceID: thing}
}

func (p *pretended) FloatingIPs(*httpapi.Request) ([]proxy.FloatingIP, error) {
	return []proxy.FloatingIP{*p.ip(), {ID: "x", Address: "192.0.2.2", Pool: "public"}}, nil
}

func (p *pretended) FloatingIP(*httpapi.Request, string) (*proxy.FloatingIP, error) {
	return p.ip(), nil
}

func (p *pretended) Allocate(_ *httpapi.Request, pool string) (*proxy.FloatingIP, error) {
	p.ask("allocate %q", pool)
	return p.ip(), nil
}

func (p *pretended) Release(_ *httpapi.Request, id string) error { p.ask("release %s", id); return nil }

func (p *pretended) group(name string) proxy.SecurityGroup {
	port := int64(22)
	return proxy.SecurityGroup{ID: thing, Name: name, Description: "d", ProjectID: aliceProject, Rules: []proxy.SecurityGroupRule{
		{ID: thing, GroupID: thing, Protocol: "tcp", FromPort: &port, ToPort: &port, CIDR: "0.0.0.0/0"},
		{ID: thing, GroupID: thing, SourceID: thing, SourceName: "other", SourceProject: aliceProject}}}
}

func (p *pretended) SecurityGroups(_ *httpapi.Request, all bool) ([]proxy.SecurityGroup, error) {
	p.ask("groups %t", all)
	return []proxy.SecurityGroup{p.group("z"), p.group("a"), p.group("b")}, nil
}

func (p *pretended) SecurityGroup(*httpapi.Request, string) (*proxy.SecurityGroup, error) {
	g := p.group("g")
	return &g, nil
}

func (p *pretended) CreateSecurityGroup(_ *httpapi.Request, name, description string) (*proxy.SecurityGroup, error) {
	p.ask("create group %s %s", name, description)
	return p.SecurityGroup(nil, "")
}

func (p *pretended) UpdateSecurityGroup(_ *httpapi.Request, id, name, description string) (*proxy.SecurityGroup, error) {
	p.ask("update group %s %s", name, description)
	return p.SecurityGroup(nil, id)
}

func (p *pretended) DeleteSecurityGroup(*httpapi.Request, string) error {
	p.ask("delete group")
	return nil
}

func (p *pretended) CreateSecurityGroupRule(_ *httpapi.Request, r proxy.SecurityGroupRule) (*proxy.SecurityGroupRule, error) {
	ports := "any"
	if r.FromPort != nil && r.ToPort != nil {
		ports = fmt.Sprint(*r.FromPort, "-", *r.ToPort)
	}
	p.ask("rule %q %s %s %s", r.Protocol, ports, r.CIDR, r.SourceName)
	r.ID = thing
	return &r, nil
}

func (p *pretended) DeleteSecurityGroupRule(*httpapi.Request, string) error {
	p.ask("delete rule")
	return nil
}

func (p *pretended) volume() *proxy.Volume {
	name := "v"
	return &proxy.Volume{ID: thing, Status: "in-use", Zone: "nova", SizeGiB: 3, CreatedAt: someTime, Name: &name, Type: "fast", AttachedTo: thing, Device: "/dev/vdb"}
}

func (p *pretended) Volumes(*httpapi.Request) ([]proxy.Volume, error) {
	return []proxy.Volume{*p.volume(), {ID: thing, Status: "available", CreatedAt: someTime}, {ID: thing, Status: "error", CreatedAt: someTime}}, nil
}

func (p *pretended) Volume(*httpapi.Request, string) (*proxy.Volume, error) { return p.volume(), nil }

func (p *pretended) CreateVolume(_ *httpapi.Request, s proxy.VolumeSpec) (*proxy.Volume, error) {
	p.ask("create volume %d %s %s %v", s.SizeGiB, *s.Name, s.Type, s.Metadata)
	return p.volume(), nil
}

func (p *pretended) DeleteVolume(*httpapi.Request, string) error { p.ask("delete volume"); return nil }

func (p *pretended) snapshot() *proxy.Snapshot {
	return &proxy.Snapshot{ID: thing, VolumeID: thing, Status: "available", SizeGiB: 3, CreatedAt: someTime}
}

func (p *pretended) Snapshots(*httpapi.Request) ([]proxy.Snapshot, error) {
	return []proxy.Snapshot{*p.snapshot()}, nil
}

func (p *pretended) Snapshot(*httpapi.Request, string) (*proxy.Snapshot, error) {
	return p.snapshot(), nil
}

func (p *pretended) CreateSnapshot(_ *httpapi.Request, volume string, _, _ *string, force bool) (*proxy.Snapshot, error) {
	p.ask("create snapshot %s %t", volume, force)
	return p.snapshot(), nil
}

func (p *pretended) DeleteSnapshot(*httpapi.Request, string) error {
	p.ask("delete snapshot")
	return nil
}

func newProxied(t *testing.T) (*cloud, *pretended) {
	t.Helper()
	p, core := &pretended{}, coretest.New()
	s := compute.NewWith(compute.Options{}, proxy.Services{Networks: p, FloatingIPs: p, SecurityGroups: p, Volumes: p, Snapshots: p})
	h, err := httpapi.NewHandler(core, []*httpapi.Service{s, compute.Versions()}, httpapi.Options{Auth: everybody})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &cloud{t, core, srv, srv.URL + compute.Prefix}, p
}

func TestProxiesPassOn(t *testing.T) {
	t.Parallel()
	c, p := newProxied(t)
	a := loadAnswers(t)
	for _, row := range []struct{ route, path, body, asked string }{
		{"GET /os-volumes", "/os-volumes", "", ""},
		{"GET /os-volumes/detail", "/os-volumes/detail", "", ""},
		{"GET /os-volumes/{id}", "/os-volumes/" + thing, "", ""},
		{"POST /os-volumes", "/os-volumes", `{"volume": {"size": "3", "display_name": "v", "volume_type": "fast", "metadata": {"a": "b"}}}`, "create volume 3 v fast map[a:b]"},
		{"GET /os-snapshots", "/os-snapshots", "", ""},
		{"GET /os-snapshots/detail", "/os-snapshots/detail", "", ""},
		{"GET /os-snapshots/{id}", "/os-snapshots/" + thing, "", ""},
		{"POST /os-snapshots", "/os-snapshots", `{"snapshot": {"volume_id": "x", "force": "True"}}`, "create snapshot x true"},
		{"GET /os-networks", "/os-networks", "", ""},
		{"GET /os-networks/{id}", "/os-networks/" + thing, "", ""},
		{"GET /os-tenant-networks", "/os-tenant-networks", "", ""},
		{"GET /os-tenant-networks/{id}", "/os-tenant-networks/" + thing, "", ""},
		{"GET /os-floating-ip-pools", "/os-floating-ip-pools", "", ""},
		{"GET /os-floating-ips", "/os-floating-ips", "", ""},
		{"GET /os-floating-ips/{id}", "/os-floating-ips/" + thing, "", ""},
		{"POST /os-floating-ips", "/os-floating-ips", `{"pool": "public"}`, `allocate "public"`},
		{"POST /os-floating-ips", "/os-floating-ips", `{"pool": null}`, `allocate ""`},
		{"POST /os-floating-ips", "/os-floating-ips", "", `allocate ""`},
		{"GET /os-security-groups", "/os-security-groups?all_tenants=1", "", "groups false"},
		{"GET /os-security-groups/{id}", "/os-security-groups/" + thing, "", ""},
		{"POST /os-security-groups", "/os-security-groups", `{"security_group": {"name": "n", "description": "d"}}`, "create group n d"},
		{"PUT /os-security-groups/{id}", "/os-security-groups/" + thing, `{"security_group": {"name": "n", "description": "e"}}`, "update group n e"},
		{"POST /os-security-group-rules", "/os-security-group-rules", rule(`"ip_protocol": "tcp", "from_port": "22", "to_port": 23`), `rule "tcp" 22-23 0.0.0.0/0 `},
		{"POST /os-security-group-rules", "/os-security-group-rules", rule(`"ip_protocol": "icmp", "from_port": -1, "to_port": -1, "cidr": "10.0.0.0/8"`),
			`rule "icmp" -1--1 10.0.0.0/8 `},
		{"POST /os-security-group-rules", "/os-security-group-rules", rule(`"ip_protocol": "UDP", "group_id": "` + thing + `"`), `rule "UDP" 1-65535  g`},
		{"POST /os-security-group-rules", "/os-security-group-rules", rule(`"group_id": "` + thing + `"`), `rule "" any  g`},
	} {
		p.asked = nil
		c.checked(a, row.route, "alice", "2.35", row.path, row.body)
		if got := strings.Join(p.asked, "; "); got != row.asked {
			t.Errorf("%s asked %q, want %q", row.route, got, row.asked)
		}
	}
	for path, want := range map[string]string{"/os-volumes/" + thing: "delete volume", "/os-snapshots/" + thing: "delete snapshot", "/os-floating-ips/" + thing: "release " + thing,
		"/os-security-groups/" + thing: "delete group", "/os-security-group-rules/" + thing: "delete rule"} {
		p.asked = nil
		c.want(202, "alice", "2.35", "DELETE", path, nil)
		if got := strings.Join(p.asked, "; "); got != want {
			t.Errorf("DELETE %s asked %q", path, got)
		}
	}
}

func rule(fields string) string {
	return `{"security_group_rule": {"parent_group_id": "` + thing + `", ` + fields + `}}`
}

func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	c, p := newProxied(t)
	volumes := c.want(200, "alice", "", "GET", "/os-volumes?limit=1&offset=1", nil)
	if want := `{"volumes":[{"attachments":[{}],"availabilityZone":null,"createdAt":"2026-03-01T12:00:00.123456","displayDescription":null,"displayName":null,` +
		`"id":"` + thing + `","metadata":{},"size":0,"snapshotId":null,"status":"available","volumeType":null}]}`; string(volumes.body) != want {
		t.Errorf("%s", volumes.body)
	}
	if got := c.want(200, "alice", "", "POST", "/os-volumes", `{"volume": {"size": 1, "display_name": "n"}}`).Header.Get("Location"); got != c.base+"/os-volumes/"+thing {
		t.Errorf("Location %s", got)
	}
	if got := c.want(200, "alice", "", "GET", "/os-tenant-networks", nil); string(got.body) != `{"networks":[{"cidr":"None","id":"`+thing+`","label":"net"}]}` {
		t.Errorf("%s", got.body)
	}
	if n := len(c.want(200, "admin", "", "GET", "/os-networks/"+thing, nil).json(t)["network"].(map[string]any)); n != 32 {
		t.Errorf("an administrator sees %d fields of a network", n)
	}
	p.asked = nil
	groups := c.want(200, "admin", "", "GET", "/os-security-groups?all_tenants=1&limit=2", nil).json(t)["security_groups"].([]any)
	if len(groups) != 2 || groups[0].(map[string]any)["name"] != "a" || groups[1].(map[string]any)["name"] != "z" || strings.Join(p.asked, "") != "groups true" {
		t.Errorf("%v, asked %v", groups, p.asked)
	}
	for fields, want := range map[string]string{
		`"ip_protocol": "tcp"`:                                                         "Not enough parameters to build a valid rule.",
		`"ip_protocol": "tcp", "from_port": 1, "to_port": "x"`:                         "To and From ports must be integers",
		`"ip_protocol": "icmp", "from_port": 1, "to_port": "x"`:                        "Type and Code must be integers for ICMP protocol type",
		`"ip_protocol": "tcp", "from_port": 0, "to_port": 5`:                           "Invalid port range 0:5. Valid TCP ports should be between 1-65535",
		`"ip_protocol": "udp", "from_port": 9, "to_port": 5`:                           "Invalid port range 9:5. Former value cannot be greater than the later",
		`"ip_protocol": "icmp", "from_port": 256, "to_port": 5`:                        "Invalid port range 256:5. For ICMP, the type:code must be valid",
		`"ip_protocol": "sctp", "from_port": 1, "to_port": 5`:                          "Invalid IP protocol sctp.",
		`"ip_protocol": "tcp", "from_port": 1, "to_port": 5, "cidr": "10.0.0.0"`:       "10.0.0.0 is not a valid IP network.",
		`"ip_protocol": "tcp", "from_port": 1, "to_port": 5, "cidr": "10.0.0.0/0"`:     "Bad prefix for network in cidr 10.0.0.0/0",
		`"ip_protocol": "tcp", "from_port": 1, "to_port": 5, "group_id": "not a uuid"`: "is not a 'uuid'",
	} {
		c.says(http.StatusBadRequest, want, "alice", "", "POST", "/os-security-group-rules", rule(fields))
	}
}

// Until 2.102 /servers has another name, of which only the service's oldest actions are part.
func TestVolumesBoot(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	image := c.cirros().ID
	body := map[string]any{"server": map[string]any{"name": "vm", "flavorRef": "1", "imageRef": image, "networks": "none"}}
	made := c.want(202, "alice", "2.102", "POST", "/os-volumes_boot", body)
	id := made.json(t)["server"].(map[string]any)["id"].(string)
	if got := made.Header.Get("Location"); got != c.base+"/servers/"+id {
		t.Errorf("Location %s", got)
	}
	c.core.Drive(nil)
	for _, path := range []string{"", "/detail", "/" + id, "/detail?name=vm"} {
		alias, own := c.want(200, "alice", "2.102", "GET", "/os-volumes_boot"+path, nil), c.want(200, "alice", "2.102", "GET", "/servers"+path, nil)
		if string(alias.body) != string(own.body) {
			t.Errorf("%s: %s,\nbut %s", path, alias.body, own.body)
		}
		c.want(404, "alice", "2.103", "GET", "/os-volumes_boot"+path, nil)
	}
	c.want(202, "alice", "2.1", "POST", "/os-volumes_boot/"+id+"/action", `{"os-stop": null}`)
	c.says(400, "There is no such action: lock", "alice", "2.1", "POST", "/os-volumes_boot/"+id+"/action", `{"lock": null}`)
	c.want(404, "bob", "2.1", "GET", "/os-volumes_boot/"+id, nil)
	c.want(404, "alice", "2.103", "POST", "/os-volumes_boot", body)
	c.want(204, "alice", "2.102", "DELETE", "/os-volumes_boot/"+id, nil)
}
