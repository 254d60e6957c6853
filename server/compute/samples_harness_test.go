package compute_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// sampleRoot has doc/api_samples of openstack/nova at commit 00a0304, which is under the Apache License 2.0, as they are.
const sampleRoot = "testdata/api_samples"

// sampleRow is a way to ask for what a sample shows, in every version's folder that has the sample.
type sampleRow struct {
	folder    string // of the resource
	req, resp string // files without .json; "" is none. A request that a folder does not have is the one of the version before
	ask       string // status, method and path with placeholders
	prep      func(w *world)
	loose     string // keys whose values are compared by type only, "*" all; see world.compare
}

// sampleCase is a row at one microversion.
type sampleCase struct {
	sampleRow
	minor int
	files []string // what it covers: of its own folder
	body  string   // file of the request, "" none
	want  string   // file of the answer, "" none
}

func (s sampleCase) name() string { return strings.TrimSuffix(s.files[len(s.files)-1], ".json") }

// sampleFiles are the paths of all samples below the root.
func sampleFiles(tb testing.TB) map[string]bool {
	tb.Helper()
	files := map[string]bool{}
	err := fs.WalkDir(os.DirFS(sampleRoot), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[p] = true
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// cases gives a row one case for each folder that has its answer or, when it has none, its request.
func (r sampleRow) cases(files map[string]bool) []sampleCase {
	file := func(minor int, name string) string {
		if name == "" {
			return ""
		}
		if minor > 1 {
			name = fmt.Sprintf("v2.%d/%s", minor, name)
		}
		if p := path.Join(r.folder, name+".json"); files[p] {
			return p
		}
		return ""
	}
	var list []sampleCase
	body := ""
	for minor := 1; minor <= 104; minor++ {
		c := sampleCase{sampleRow: r, minor: minor, want: file(minor, r.resp)}
		if at := strings.LastIndex(r.req, "-v2"); at > 0 && minor == 1 { // the request of a version in the first one's folder
			c.minor, _ = strconv.Atoi(r.req[at+3:])
		}
		own := file(minor, r.req)
		if own != "" {
			body = own
		}
		for _, f := range []string{own, c.want} {
			if f != "" {
				c.files = append(c.files, f)
			}
		}
		if c.body = body; len(c.files) > 0 && (r.req == "" || body != "") {
			list = append(list, c)
		}
	}
	return list
}

// world is a cloud in which one sample is tried.
type world struct {
	*cloud
	sampleCase
	token string
	vars  map[string]string // values of placeholders
	text  string            // the request's body
	want  any               // the answer's sample
}

// sampleRecorder turns the end of a test into an error.
type sampleRecorder struct {
	testing.TB
	said []string
}

type stopRecorder struct{}

func (r *sampleRecorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *sampleRecorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopRecorder{})
}
func (r *sampleRecorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *sampleRecorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

// oneVolume has the attached one only.
type oneVolume struct{ *pretended }

func (v oneVolume) Volumes(*httpapi.Request) ([]proxy.Volume, error) {
	return []proxy.Volume{*v.volume()}, nil
}

func (v oneVolume) Volume(r *httpapi.Request, id string) (*proxy.Volume, error) {
	one, err := v.pretended.Volume(r, id)
	one.Migrating = true
	return one, err
}

// try runs a case and returns what is wrong.
func (s sampleCase) try(t *testing.T) (wrong []string) {
	t.Helper()
	rec := &sampleRecorder{TB: t}
	defer func() {
		switch p := recover().(type) {
		case nil, stopRecorder:
			wrong = rec.said
		default:
			panic(p)
		}
	}()
	core, p := coretest.New(), &pretended{}
	core.Info.Members = []nomadlike.Member{{Name: "server-1", Role: "server", Status: "alive"}}
	others := proxy.Services{Networks: p, FloatingIPs: p, SecurityGroups: p, Volumes: oneVolume{p}, Snapshots: p}
	if strings.HasSuffix(s.resp, "-empty-resp") {
		others = proxy.Services{}
	}
	h, err := httpapi.NewHandler(core, compute.Services(compute.Options{Now: core.Time, Consoles: sampleConsoles}, sampleNeighbours(s, others)), httpapi.Options{Auth: everybody})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	w := &world{cloud: &cloud{rec, core, srv, srv.URL + compute.Prefix}, sampleCase: s, token: "admin"}
	w.run()
	return rec.said
}

func readSample(tb testing.TB, file string) (text string, v any) {
	tb.Helper()
	b, err := os.ReadFile(path.Join(sampleRoot, file))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return string(b), v
}

func (w *world) run() {
	w.vars = map[string]string{"project": adminProject, "user": adminUser, "page": ""}
	if w.body != "" {
		w.text, _ = readSample(w.tb, w.body)
	}
	if w.sampleCase.want != "" {
		var text string
		text, w.want = readSample(w.tb, w.sampleCase.want)
		if strings.Contains(text, "/servers/") && !strings.Contains(text, "OS-EXT-SRV-ATTR:host\"") && strings.Contains(text, "OS-EXT-STS") {
			w.token, w.vars["project"], w.vars["user"] = "alice", aliceProject, aliceUser
		}
		if strings.Contains(text, `"next"`) {
			w.vars["page"] = "limit=1"
		}
	}
	w.furnish()
	if w.prep != nil {
		w.prep(w)
	}
	if strings.Contains(w.ask, "{server}") && w.vars["server"] == "" {
		w.server()
	}
	ask := w.fill(w.ask)
	status, method, target := 0, "", ""
	if _, err := fmt.Sscan(ask, &status, &method, &target); err != nil {
		w.tb.Fatalf("%s: %v", ask, err)
	}
	var body any
	if w.text != "" {
		body = w.text
	}
	if strings.HasPrefix(target, "~") {
		target = w.srv.URL + target[1:]
	} else {
		target = "/" + w.vars["project"] + target
	}
	a := w.cloud.want(status, w.token, fmt.Sprint("2.", w.minor), method, target, body)
	if w.want == nil || status >= 400 { // what Nova has removed answers so, whatever its sample says
		return
	}
	var got any
	if err := json.Unmarshal(a.body, &got); err != nil {
		w.tb.Fatalf("%v: %.200s", err, a.body)
	}
	w.compare("", "", got, w.want)
}

// fill replaces placeholders.
func (w *world) fill(s string) string {
	for k, v := range w.vars {
		s = strings.ReplaceAll(s, "{"+k+"}", v)
	}
	return s
}

// swap replaces a text of the request, which must be in it.
func (w *world) swap(old, with string) {
	if !strings.Contains(w.text, old) {
		w.tb.Fatalf("the request has no %s: %s", old, w.text)
	}
	w.text = strings.ReplaceAll(w.text, old, with)
}

// drop takes a key out of the object of the request.
func (w *world) drop(object, key string) {
	var v map[string]any
	if err := json.Unmarshal([]byte(w.text), &v); err != nil {
		w.tb.Fatal(err)
	}
	if object == "" {
		delete(v, key)
	} else if o, ok := v[object].(map[string]any); ok {
		delete(o, key)
	}
	w.text = bare(w.tb, v)
}

// volumesKey are as many as the instance has, the sample's or none.
const volumesKey = "os-extended-volumes:volumes_attached"

// statefulKeys are keys whose values no preparation can fix: who asks, where, and secrets. Type and form are compared, emptiness too.
var statefulKeys = regexp.MustCompile(`^(adminPass|hostId|host|host_name|hypervisor_hostname|OS-EXT-SRV-ATTR:(host|hypervisor_hostname|instance_name|reservation_id)|` +
	`tenant_id|project_id|user_id|fingerprint|public_key|private_key|progress|reservation_id|host_ip|uuid|OS-EXT-SRV-ATTR:root_device_name)$`)

var (
	uuidForm    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	projectForm = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	digitRuns   = regexp.MustCompile(`[0-9]+`)
	timeForm    = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$`)
)

// formOf is what stays of a text when ids, times and hosts are taken out.
func formOf(s string) string {
	if timeForm.MatchString(s) {
		return digitRuns.ReplaceAllString(s, "0")
	}
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		p := strings.TrimPrefix(u.Path, "/compute")
		if strings.HasPrefix(u.Host, "glance") {
			p = "/image" + p
		}
		p = strings.Replace(p, "/v2/", "/v2.1/", 1)
		s = "link " + p
		for _, k := range slices.Sorted(maps.Keys(u.Query())) {
			s += "?" + k
		}
	}
	return projectForm.ReplaceAllString(uuidForm.ReplaceAllString(s, "UUID"), "PROJECT")
}

func jsonKind(v any) string { return fmt.Sprintf("%T", v) }

// compare reports how an answer's value differs from the sample's. Objects have the same keys and lists the same length; below a loose key lists
// may be shorter or longer, their elements are like the sample's first, and values are of the sample's type.
func (w *world) compare(at, key string, got, want any) {
	loose := w.loose == "*" || key != "" && slices.Contains(strings.Fields(w.loose), key)
	if jsonKind(got) != jsonKind(want) {
		if !(loose && (got == nil || want == nil)) {
			w.tb.Errorf("%s is %.80v, want %.80v", at, got, want)
		}
		return
	}
	switch want := want.(type) {
	case map[string]any:
		w.compareObject(at, got.(map[string]any), want)
	case []any:
		w.compareList(at, key, loose, got.([]any), want)
	case string:
		var g, s map[string]any
		if json.Unmarshal([]byte(got.(string)), &g) == nil && json.Unmarshal([]byte(want), &s) == nil {
			w.compareObject(at, g, s)
		} else if g := got.(string); !loose && formOf(g) != formOf(want) && (!statefulKeys.MatchString(key) || (g == "") != (want == "")) {
			w.tb.Errorf("%s is %.80q, want %.80q", at, g, want)
		}
	default:
		if !loose && !statefulKeys.MatchString(key) && got != want {
			w.tb.Errorf("%s is %v, want %v", at, got, want)
		}
	}
}

func (w *world) compareObject(at string, got, want map[string]any) {
	if strings.HasSuffix(at, ".hosts") || strings.HasSuffix(at, ".log") {
		w.compareNamed(at, got, want)
		return
	}
	nets, _ := got["addresses"].(map[string]any)
	for k, v := range want {
		g, ok := got[k]
		if k == "addresses" && ok || k == "security_groups" && !ok && nets != nil && len(nets) == 0 {
			continue // an instance without interfaces, which has no groups, is as right as the sample's
		}
		if !ok {
			w.tb.Errorf("%s.%s is missing", at, k)
			continue
		}
		w.compare(at+"."+k, k, g, v)
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			w.tb.Errorf("%s.%s is there: %.80v", at, k, got[k])
		}
	}
}

// compareNamed is for objects whose keys are hosts' names: what all the sample's hosts have is what all of ours may have.
func (w *world) compareNamed(at string, got, want map[string]any) {
	union := map[string]any{}
	for _, v := range want {
		maps.Copy(union, v.(map[string]any))
	}
	for name, v := range got {
		w.compare(at+"."+name, "", v, union)
	}
	if w.loose != "*" && (len(got) == 0) != (len(want) == 0) {
		w.tb.Errorf("%s is %v, want %v", at, got, want)
	}
}

// sampleLike returns the sample's element with the same id, else the one at an index.
func sampleLike(got any, want []any, i int) any {
	if o, ok := got.(map[string]any); ok && o["id"] != nil {
		for _, v := range want {
			if s, ok := v.(map[string]any); ok && s["id"] == o["id"] {
				return v
			}
		}
	}
	return want[min(i, len(want)-1)]
}

func (w *world) compareList(at, key string, loose bool, got, want []any) {
	if !loose && key != volumesKey && len(got) != len(want) {
		w.tb.Errorf("%s has %d elements, want %d", at, len(got), len(want))
		return
	}
	if len(got) == 0 && len(want) > 0 && key != volumesKey && w.loose != "*" {
		w.tb.Errorf("%s is empty", at)
	}
	for i, g := range got {
		if loose {
			i = 0
		}
		if len(want) > 0 {
			w.compare(fmt.Sprintf("%s[%d]", at, i), key, g, sampleLike(g, want, i))
		}
	}
}

// furnish gives a cloud what the samples take for granted: a host, the flavors, an image.
func (w *world) furnish() {
	w.withProjects()
	w.host("compute", "fake-mini")
	w.cloud.core.Console = func(*structs.Instance, int) ([]byte, error) {
		return []byte("FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE"), nil
	}
	w.cloud.core.Endpoint = sampleEndpoint
	_, all := readSample(w.tb, "flavors/v2.102/flavors-detail-resp.json")
	for _, one := range all.(map[string]any)["flavors"].([]any) {
		f := one.(map[string]any)
		add := structs.Flavor{ID: structs.FlavorID(f["id"].(string)), Name: f["name"].(string), VCPUs: int(f["vcpus"].(float64)), MemoryMiB: int64(f["ram"].(float64)),
			RootGiB: int64(f["disk"].(float64)), Public: true, ExtraSpecs: map[string]string{}}
		if d, ok := f["description"].(string); ok {
			add.Description = &d
		}
		for k, v := range f["extra_specs"].(map[string]any) {
			add.ExtraSpecs[k] = v.(string)
		}
		w.addFlavor(add)
	}
	w.addImage(structs.Image{ID: sampleImage, Name: "fakeimage7", Size: 74185822, Properties: map[string]string{"architecture": "x86_64", "auto_disk_config": "True"}})
}

const sampleImage = "70a599e0-31e7-49b7-b260-868f441e862b"

func (w *world) host(name, node string) *structs.Host {
	return w.setHost(structs.Host{ID: structs.HostID(fmt.Sprintf("%08x-1c62-4d5e-8147-9e89757a09e3", hashOf(name))), Name: name, Zone: "nova", Session: "s", Driver: "fake",
		DriverHealthy: true, HypervisorType: "fake", HypervisorHostname: node, HypervisorVersion: 1000, RPCAddr: "1.1.1.1:4747", Architectures: []string{"x86_64"},
		Total: structs.Resources{VCPUs: 2, MemoryMiB: 8192, DiskGiB: 1028}, Reserved: structs.Resources{MemoryMiB: 512},
		CPUInfo: structs.CPUInfo{Arch: "x86_64", Model: "Nehalem", Vendor: "Intel", Sockets: 4, Cores: 1, Threads: 1, Features: []string{"pge", "clflush"}}})
}

func hashOf(s string) (sum uint32) {
	for _, c := range s {
		sum = sum*31 + uint32(c)
	}
	return sum
}

// server boots an instance as the answer's sample shows it, or a plain one, and puts its id into the placeholder.
func (w *world) server() {
	shown := map[string]any{}
	if o, ok := w.want.(map[string]any); ok {
		if s, ok := o["server"].(map[string]any); ok {
			shown = s
		} else if list, ok := o["servers"].([]any); ok {
			shown = list[0].(map[string]any)
		}
	}
	body := map[string]any{"name": "new-server-test", "imageRef": sampleImage, "accessIPv4": "1.2.3.4", "accessIPv6": "80fe::",
		"metadata": map[string]string{"My Server Name": "Apache1"}, "user_data": "IyEvYmluL2Jhc2gKL2Jpbi9zdQplY2hvICJJIGFtIGluIHlvdSEiCg=="}
	for _, k := range []string{"accessIPv4", "accessIPv6", "description", "tags", "trusted_image_certificates"} {
		if v := shown[k]; v != nil {
			body[k] = v
		}
	}
	if md, ok := shown["metadata"].(map[string]any); ok && len(md) > 0 {
		body["metadata"] = md
	}
	if key, ok := shown["key_name"].(string); ok {
		w.cloud.want(201, w.token, "2.2", "POST", "/os-keypairs", map[string]any{"keypair": map[string]any{"name": key}})
		body["key_name"] = key
	}
	if zone, ok := shown["OS-EXT-AZ:availability_zone"].(string); ok && zone != "nova" && zone != "" {
		w.zone(zone)
	}
	if zone, ok := shown["pinned_availability_zone"].(string); ok {
		body["availability_zone"] = zone
	}
	if name, ok := shown["name"].(string); ok && w.text == "" {
		body["name"] = name
	}
	if hn, ok := shown["OS-EXT-SRV-ATTR:hostname"].(string); ok && w.text == "" {
		body["hostname"] = hn
	}
	for _, id := range []string{"6", "1"} {
		if f, ok := shown["flavor"].(map[string]any); ok && (f["original_name"] == "m1.tiny.specs" || f["id"] == "6") || id == "1" {
			body["flavorRef"] = id
			break
		}
	}
	all := map[string]any{"server": body}
	if groups, ok := shown["server_groups"].([]any); ok && len(groups) > 0 {
		all["os:scheduler_hints"] = map[string]any{"group": w.newGroup(w.token, "2.64", `"name": "g", "policy": "affinity"`)}
	}
	if hints, ok := shown["scheduler_hints"].(map[string]any); ok && hints["same_host"] != nil {
		all["os:scheduler_hints"] = map[string]any{"same_host": w.boot(w.token, map[string]any{"imageRef": sampleImage})}
	}
	body["networks"] = "none"
	a := w.cloud.want(202, w.token, "2.104", "POST", "/servers", all)
	w.core.Drive(nil)
	w.vars["server"] = a.json(w.tb)["server"].(map[string]any)["id"].(string)
	if why, ok := shown["locked_reason"].(string); ok && shown["locked"] == true {
		w.cloud.want(202, w.token, "2.73", "POST", "/servers/"+w.vars["server"]+"/action", map[string]any{"lock": map[string]any{"locked_reason": why}})
	}
}

// zone puts the host into an availability zone.
func (w *world) zone(name string) {
	w.cloud.want(200, "admin", "2.104", "POST", w.aggregate("zone "+name, name)+"/action", addHost("compute"))
}

// act sends an action to the instance and waits for its end.
func (w *world) act(body string) {
	if a := w.call(w.token, "2.1", "POST", "/servers/"+w.vars["server"]+"/action", body); a.StatusCode != http.StatusAccepted && a.StatusCode != http.StatusOK {
		w.tb.Fatalf("%s: %d %s", body, a.StatusCode, a.body)
	}
	w.core.Drive(nil)
}
