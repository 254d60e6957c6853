package fuzz_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/computetest"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The targets of this file send requests to every row of the table and demand of each answer what send and faulty say. The corpora below
// testdata/fuzz are what they have found; `make fuzz` runs each for a while, and a plain test runs the seeds and corpora.

func takesBody(r *httpapi.Route) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}
func isGet(r *httpapi.Route) bool { return r.Method == http.MethodGet }

// fuzzSeed is a request to a row.
type fuzzSeed struct {
	route string
	minor uint8
	body  string
}

// matching returns the rows that a request may mean: by method and path, and for an action by the body's key.
func (c *fuzzCloud) matching(method, path, body string) (keys []string) {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	for i := range c.routes {
		r := &c.routes[i]
		own := strings.Split(r.Path, "/")
		if r.Method != method || len(own) != len(segments) {
			continue
		}
		fits := true
		for n, s := range own {
			fits = fits && (s == segments[n] || strings.Contains(s, "{") || strings.Contains(segments[n], "{"))
		}
		var v map[string]json.RawMessage
		if r.Action != "" && (json.Unmarshal([]byte(body), &v) != nil || len(v) != 1 || v[r.Action] == nil) {
			fits = false
		}
		if fits && !slices.Contains(keys, r.String()) {
			keys = append(keys, r.String())
		}
	}
	return keys
}

// fuzzFit puts what is there in the place of what the samples name.
var fuzzFit = strings.NewReplacer("test-event", "network-changed", "3df201cf-2451-44f2-8d25-a4ca826fc1f3", string(fuzzInstance(0)), "a07f71dc-8151-4e7d-a0cc-cd24a3f11113", other,
	"227cc671-f30b-4488-96fd-7d0bf13648d8", thing, "192.168.1.30", "10.0.0.2", "10.10.10.10", "192.0.2.1", "172.16.10.7", "192.0.2.1", "fake_tenant", aliceProject, `"compute"`, `"host-2"`)

// fuzzBodies are bodies of rows that no sample has, or whose samples are refused for good.
var fuzzBodies = []fuzzSeed{
	{"POST /servers/{server_id}/metadata", 104, `{"metadata": {"role": "x", "b": "c"}}`},
	{"PUT /servers/{server_id}/metadata", 104, `{"metadata": {"role": "x"}}`},
	{"PUT /servers/{server_id}/metadata/{id}", 104, `{"meta": {"role": "x"}}`},
	{"PUT /servers/{server_id}/tags", 104, `{"tags": ["a", "b"]}`},
	{"PUT /servers/{server_id}/tags/{id}", 104, ""},
	{"PUT /servers/{server_id}/os-volume_attachments/{id}", 84, `{"volumeAttachment": {"volumeId": "` + other + `"}}`},
	{"PUT /servers/{server_id}/os-volume_attachments/{id}", 85, `{"volumeAttachment": {"volumeId": "` + thing + `", "delete_on_termination": true}}`},
	{"PUT /os-security-groups/{id}", 1, `{"security_group": {"name": "n", "description": "d"}}`},
	{"PUT /flavors/{flavor_id}/os-extra_specs/{id}", 86, `{"hw:cpu_policy": "dedicated"}`},
	{"PUT /images/{image_id}/metadata/{id}", 1, `{"meta": {"my_own": "y"}}`},
	{"POST /flavors/{flavor_id}/os-extra_specs", 86, `{"extra_specs": {"hw:numa_nodes": "1", "x": "y", "hw:numa_cpus.0": "0,1", "quota:cpu_shares": "5"}}`},
	{"POST /os-aggregates/{id}/action remove_host", 1, `{"remove_host": {"host": "host-1"}}`},
	{"POST /os-server-groups", 64, `{"server_group": {"name": "n", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}}`},
	{"POST /servers", 104, `{"server": {"name": "n", "flavorRef": "1", "imageRef": "` + sampleImage + `", "networks": "none", "min_count": 2, "max_count": 3, "tags": ["a"], "description": null,
		"metadata": {"a": "b"}, "availability_zone": "nova", "key_name": "key", "user_data": "YQ==", "config_drive": true, "host": "host-1", "hypervisor_hostname": "host-1", "hostname": "h",
		"trusted_image_certificates": ["c"], "OS-DCF:diskConfig": "AUTO", "accessIPv4": "1.2.3.4", "security_groups": [{"name": "default"}], "return_reservation_id": false,
		"block_device_mapping_v2": [{"boot_index": 0, "uuid": "` + sampleImage + `", "source_type": "image", "destination_type": "local", "volume_size": 1, "delete_on_termination": true}]},
		"os:scheduler_hints": {"group": "` + fuzzGroup + `", "same_host": ["` + string(fuzzInstance(0)) + `"], "different_cell": "x", "query": "[\"=\", \"$free_ram_mb\", 1]", "own": {"a": [1]}}}`},
	{"POST /os-volumes_boot", 60, `{"server": {"name": "n", "flavorRef": "1", "imageRef": "` + sampleImage + `", "networks": "none"}}`},
	{"PUT /os-volumes_boot/{id}", 60, `{"server": {"name": "n", "description": "d", "accessIPv4": "1.2.3.4", "OS-DCF:diskConfig": "AUTO"}}`},
	{"POST /os-volumes_boot/{id}/action rebuild", 60, `{"rebuild": {"imageRef": "` + sampleImage + `", "name": "n", "metadata": {}, "key_name": null, "user_data": "", "description": "x"}}`},
	{"POST /os-volumes_boot/{id}/action reboot", 60, `{"reboot": {"type": "SOFT"}}`},
	{"POST /os-volumes_boot/{id}/action createImage", 60, `{"createImage": {"name": "n", "metadata": {"a": "b"}}}`},
}

// sampleMinor is the folder of a sample that first appeared in a later microversion.
var sampleMinor = regexp.MustCompile(`/v2\.(\d+)/`)

// samples are the request bodies of Nova's samples, with their microversions.
func samples(tb testing.TB) (seeds []fuzzSeed) {
	tb.Helper()
	err := filepath.WalkDir("../testdata/api_samples", func(p string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".json") || strings.HasSuffix(p, "-resp.json") {
			return err
		}
		s := fuzzSeed{minor: 1}
		if m := sampleMinor.FindStringSubmatch(filepath.ToSlash(p)); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return err
			}
			s.minor = uint8(n)
		}
		b, err := os.ReadFile(p)
		s.body = fuzzFit.Replace(string(b))
		seeds = append(seeds, s)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return seeds
}

// takes reports whether a row takes a sample and would not take anything.
func takes(r *httpapi.Route, s fuzzSeed) bool {
	v := httpapi.Microversion(s.minor)
	if r.Action != "" && !strings.Contains(s.body, `"`+r.Action+`"`) {
		return false
	}
	if r.Body == nil || v < r.Min || r.Max != 0 && v > r.Max || r.Body.Validate([]byte(`{"no such key": 1}`), v) == nil {
		return false
	}
	return r.Body.Validate([]byte(s.body), v) == nil
}

var (
	seedsOnce sync.Once
	allSeeds  []fuzzSeed
)

// bodySeeds are made once: to find which rows take a sample takes long.
func (c *fuzzCloud) bodySeeds(tb testing.TB) []fuzzSeed {
	tb.Helper()
	seedsOnce.Do(func() { allSeeds = c.makeSeeds(tb) })
	return allSeeds
}

// makeSeeds gives each row the samples that it takes and bodies of our own; a row without either gets an empty one.
func (c *fuzzCloud) makeSeeds(tb testing.TB) []fuzzSeed {
	tb.Helper()
	seeds, rows := slices.Clone(fuzzBodies), map[string]bool{}
	for _, s := range seeds {
		rows[s.route] = true
		if c.byKey[s.route] == nil {
			tb.Fatalf("%s is no row", s.route)
		}
	}
	seen := map[string]bool{}
	for _, s := range samples(tb) {
		for i := range c.routes {
			if r := &c.routes[i]; !seen[r.String()+s.body] && takes(r, s) {
				rows[r.String()], seen[r.String()+s.body] = true, true
				seeds = append(seeds, fuzzSeed{r.String(), s.minor, s.body})
			}
		}
	}
	for i := range c.routes {
		r := &c.routes[i]
		if !takesBody(r) || rows[r.String()] {
			continue
		}
		body := "{}"
		switch {
		case r.Action != "":
			body = fmt.Sprintf("{%q: null}", r.Action)
		case r.Method == http.MethodDelete:
			body = ""
		}
		seeds = append(seeds, fuzzSeed{r.String(), uint8(within(r, 104)), body})
	}
	return seeds
}

// wrongSeeds are the wrong requests of package computetest.
func (c *fuzzCloud) wrongSeeds() (seeds []fuzzSeed) {
	image := sampleImage
	w := computetest.World{Member: "alice", Other: "bob", Admin: "admin", MemberProject: aliceProject, OtherProject: bobProject, OtherUser: adminUser, Active: string(fuzzInstance(0)),
		Others: string(fuzzInstance(1)), Image: image, Queued: image, TooBig: image, MinMemory: image, MinDisk: image, Flavor: "1", Private: "p", ZeroDisk: "6", Keypair: "key", Host: fuzzHost, Name: "host-1"}
	for _, b := range computetest.BadRequests(w) {
		minor := 1
		_, _ = fmt.Sscanf(b.Version, "2.%d", &minor)
		for _, key := range c.matching(b.Method, b.Path, b.Body) {
			if b.Method != "" && b.Method != http.MethodGet {
				seeds = append(seeds, fuzzSeed{key, uint8(minor), b.Body})
			}
		}
	}
	return seeds
}

// FuzzBody sends any bytes as a body.
func FuzzBody(f *testing.F) {
	c := newFuzzCloud(f)
	for n, s := range slices.Concat(c.bodySeeds(f), c.wrongSeeds()) {
		f.Add(s.route, s.minor, uint8(n%3%2), []byte(s.body)) // two of three as alice
	}
	f.Fuzz(func(t *testing.T, route string, minor, pick uint8, body []byte) {
		c.again(t)
		c.try(t, c.route(route, takesBody), minor, pick, "", string(body))
	})
}

// treeSeeds are the samples by their rows, and the names that are in them.
func (c *fuzzCloud) treeSeeds(seeds []fuzzSeed) (byRoute map[string][]string, keys []string) {
	byRoute, names := map[string][]string{}, map[string]bool{}
	for _, s := range seeds {
		byRoute[s.route] = append(byRoute[s.route], s.body)
		for _, h := range parseNode([]byte(s.body)).holders() {
			for _, k := range h.keys {
				names[k] = true
			}
		}
	}
	return byRoute, sortedNames(names)
}

// FuzzBodyTree sends a sample's body whose values are changed: dice say which, and to what.
func FuzzBodyTree(f *testing.F) {
	c := newFuzzCloud(f)
	seeds := c.bodySeeds(f)
	byRoute, keys := c.treeSeeds(seeds)
	for n, s := range seeds {
		f.Add(s.route, s.minor, uint8(n), []byte{})
		f.Add("", uint8(n), uint8(n), []byte{byte(n), byte(n >> 8), 1})
	}
	f.Fuzz(func(t *testing.T, route string, minor, pick uint8, rolls []byte) {
		c.again(t)
		d := newDice(rolls)
		any := seeds[d.roll(len(seeds))] // rows with many samples have much that can be wrong
		r, body := c.byKey[any.route], any.body
		if named := c.byKey[route]; named != nil && takesBody(named) {
			if r, body = named, "{}"; len(byRoute[route]) > 0 {
				body = byRoute[route][d.roll(len(byRoute[route]))]
			}
		}
		c.try(t, r, minor, pick, "", mutate([]byte(body), d, keys))
	})
}

// FuzzSequence sends some requests one after the other to one cloud, most of them right ones; dice choose all. Between two of them the hosts may do
// what they were told.
func FuzzSequence(f *testing.F) {
	c := newFuzzCloud(f)
	byRoute, keys := c.treeSeeds(c.bodySeeds(f))
	for n := range 30 {
		rolls := make([]byte, 60)
		rand.NewChaCha8([32]byte{byte(n)}).Read(rolls)
		f.Add(rolls)
	}
	f.Fuzz(func(t *testing.T, rolls []byte) {
		c.again(t)
		d := newDice(rolls[:min(len(rolls), 200)]) // what is longer takes long, and says no more
		for len(d.left) > 0 && !t.Failed() {
			c.step(t, d, byRoute, keys)
		}
	})
}

func (c *fuzzCloud) step(t *testing.T, d *dice, byRoute map[string][]string, keys []string) {
	t.Helper()
	r := &c.routes[d.roll(len(c.routes))]
	minor, pick, query, body := uint8(104-d.roll(104)), uint8(1), "", ""
	if how := d.roll(256); how%4 == 0 {
		pick = uint8(how)
	}
	if isGet(r) {
		query = fuzzQuery(d)
	} else if own := byRoute[r.String()]; len(own) > 0 {
		if body = own[d.roll(len(own))]; d.roll(3) == 1 {
			body = mutate([]byte(body), d, keys)
		}
	}
	c.try(t, r, minor, pick, query, body)
	if d.roll(3) == 1 {
		c.core.Drive(nil)
		c.dirty = true
	}
}

func sortedNames(m map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// fuzzParams are query parameters that some row knows.
var fuzzParams = strings.Fields(`limit marker offset sort_key sort_dir all_tenants all_projects project_id tenant_id user_id name status image flavor ip ip6 changes-since changes-before tags tags-any not-tags
	not-tags-any reservation_id host node deleted soft_deleted locked availability_zone config_drive key_name created_at launched_at terminated_at power_state task_state vm_state progress hostname display_name
	display_description uuid access_ip_v4 auto_disk_config kernel_id launch_index root_device_name image_ref locked_by updated_at instance_type_id is_public minRam minDisk detailed start end hypervisor_hostname_pattern
	with_servers binary service hidden migration_type source_compute metadata system_metadata _x reserved tenant zone server property-a type fields length x hypervisor_hostname compute_host instance_uuid before`)

var fuzzValues = strings.Fields(`0 1 -1 2 1000 1001 99999999999999999999 1e3 1.5 %201 %2B1 None true false 2 desc asc DESC created_at uuid host locked x ACTIVE active DELETED SOFT_DELETED SHUTOFF BOGUS
	%28 %28a%2B%29%2B%24 %5Bz-a .* %25 % %zz %ff %00 %0a %C3%A9 %F0%9F%98%80 a;b a%26b prod web prod,web , 2026-01-01T00:00:00Z 2026-01-01 0000-00-00 9999-12-31T23:59:59.999999 2026-02-30T00:00:00 1970-01-01T00:00:00%2B00:00
	host-1 nova 99999999-2222-4333-8444-555555555555 00000000-2222-4333-8444-000000000003 00000000-2222-4333-8444-000000000007 11111111111111111111111111111111 fe80::1 1.2.3.4 %3F 10 6 none key 2026-01-01T00:00:00.123456 ../x`)

// fuzzQuery makes a query of known names and hostile values.
func fuzzQuery(d *dice) string {
	var b strings.Builder
	for n := range 1 + d.roll(5) {
		if n > 0 {
			b.WriteByte('&')
		}
		b.WriteString(fuzzParams[d.roll(len(fuzzParams))])
		switch k := d.roll(len(fuzzValues) + 3); k {
		case len(fuzzValues):
		case len(fuzzValues) + 1:
			b.WriteString("=" + strings.Repeat("a", 70000))
		case len(fuzzValues) + 2:
			b.WriteByte('=')
		default:
			b.WriteString("=" + fuzzValues[k])
		}
	}
	return b.String()
}

// FuzzQuery sends any query to every row that is read.
func FuzzQuery(f *testing.F) {
	c := newFuzzCloud(f)
	queries := []string{"limit=0", "limit=1&marker=" + string(fuzzInstance(3)), "sort_key=uuid&sort_dir=asc&sort_key=host", "name=(", "a;b=c&%zz=%", "=", "&&&", strings.Repeat("limit=1&", 500),
		"name=" + strings.Repeat("a", 70000), "limit=99999999999999999999&offset=-1", "all_tenants=x", "changes-since=2026-01-01&changes-before=2025-01-01", "%00=%00&\xff=\xff", "tags=a,b&not-tags=,"}
	for i := range c.routes {
		if r := &c.routes[i]; isGet(r) {
			f.Add(r.String(), uint8(within(r, 104)), uint8(1), queries[i%len(queries)])
			f.Add(r.String(), uint8(1), uint8(0), "")
		}
	}
	for _, p := range fuzzParams {
		f.Add("GET /servers/detail", uint8(101), uint8(1), p+"=1")
		f.Add("GET /servers", uint8(75), uint8(0), p)
	}
	for _, q := range queries {
		f.Add("GET /servers/detail", uint8(60), uint8(1), q)
		f.Add("GET /flavors", uint8(60), uint8(0), q)
	}
	f.Fuzz(func(t *testing.T, route string, minor, pick uint8, query string) {
		c.again(t)
		c.try(t, c.route(route, isGet), minor, pick, query, "")
	})
}

// FuzzQueryParams sends parameters that rows know with values that they do not expect.
func FuzzQueryParams(f *testing.F) {
	c := newFuzzCloud(f)
	for i := range c.routes {
		if r := &c.routes[i]; isGet(r) {
			f.Add(r.String(), uint8(i), uint8(i), []byte{byte(i), byte(i * 7), byte(i * 3), byte(i * 11), byte(i * 5), byte(i * 13)})
		}
	}
	for i := range 200 {
		f.Add([]string{"GET /servers/detail", "GET /servers"}[i%2], uint8(i), uint8(i), []byte{byte(i), byte(i * 7), byte(i * 3), byte(i * 11), byte(i * 5), byte(i * 13), byte(i * 17), byte(i * 19)})
	}
	f.Fuzz(func(t *testing.T, route string, minor, pick uint8, rolls []byte) {
		c.again(t)
		c.try(t, c.route(route, isGet), minor, pick, fuzzQuery(newDice(rolls)), "")
	})
}

// FuzzPath puts any text in the place of a row's variables, and any in the headers.
func FuzzPath(f *testing.F) {
	c := newFuzzCloud(f)
	ids := []string{thing, strings.ToUpper(sampleImage), "%2e%2e", "..", ".", "a%2Fb", "%00", "%ff", "%F0%9F%98%80", "%zz", "", "%", strings.Repeat("a", 5000), "0", "-1", "99999999999999999999", "1%20", "detail",
		"%C2%85", "*", "{id}", "a;b", "a:b", "1e3", "%0a"}
	versions := []string{"", "compute 2.1", "compute 2.104", "compute latest", "compute 2.105", "compute 2.0", "compute 3.1", "compute 2", "compute 2.-1", "compute 2.01", "compute 99999999999.99999999999",
		"volume 3.1", "compute 2.1,volume 3.1", ",", "compute", "compute\t2.1", "compute latest latest", "\xff", "compute 2.\u0661"}
	types := []string{"", "application/json", "text/plain", "application/json; charset=\xff", ";", "application/xml", "application/json;", "multipart/form-data"}
	for i := range c.routes {
		r := &c.routes[i]
		f.Add(r.String(), ids[i%len(ids)], versions[i%len(versions)], types[i%len(types)], "admin")
		f.Add(r.String(), ids[(i+7)%len(ids)], "compute 2.60", "", []string{"alice", "", "reader", "unscoped", "x"}[i%5])
	}
	f.Fuzz(func(t *testing.T, route, id, version, kind, token string) {
		c.again(t)
		r := c.route(route, func(*httpapi.Route) bool { return true })
		body := ""
		if takesBody(r) {
			body = fmt.Sprintf("{%q: null}", r.Action)
		}
		req := ask(r.Method, compute.Prefix+variable.ReplaceAllLiteralString(r.Path, id), body)
		if req == nil {
			t.Skip("no HTTP request")
		}
		for k, v := range map[string]string{"OpenStack-API-Version": version, "Content-Type": kind, "X-Auth-Token": token} {
			if strings.ContainsAny(v, "\r\n\x00") {
				t.Skip("no HTTP header")
			}
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		c.send(t, req, c.honest[rowKey(r.Method, r.Path, r.Action)])
	})
}
