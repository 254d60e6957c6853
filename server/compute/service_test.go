package compute_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

func TestVersionDocuments(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	root := c.srv.URL
	list := `{"versions":[{"id":"v2.1","status":"CURRENT","version":"2.104","min_version":"2.1","updated":"2013-07-23T11:33:21Z","links":[{"rel":"self","href":"` +
		root + `/compute/v2.1/"}]}]}`
	one := `{"version":{"id":"v2.1","status":"CURRENT","version":"2.104","min_version":"2.1","updated":"2013-07-23T11:33:21Z","links":[{"rel":"self","href":"` + root +
		`/compute/v2.1/"},{"rel":"describedby","href":"https://docs.openstack.org/api-ref/compute/","type":"text/html"}],` +
		`"media-types":[{"base":"application/json","type":"application/vnd.openstack.compute+json;version=2.1"}]}}`
	for path, want := range map[string]string{"/compute": list, "/compute/": list, "/compute/v2.1": one, "/compute/v2.1/": one} {
		if a := c.want(200, "", "", "GET", root+path, nil); string(a.body) != want {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if a := c.want(300, "", "", "GET", root+"/compute/v3", nil); !strings.Contains(string(a.body), root+"/compute/v2.1/v3") {
		t.Errorf("%s", a.body)
	}
	c.want(404, "alice", "", "GET", root+"/compute/v2.1/nosuch", nil)
	c.want(401, "", "", "GET", root+"/compute/v2.1/servers", nil)
}

func TestProjectInTheURL(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	v := c.want(200, "alice", "", "GET", "/"+aliceProject+"/servers/"+id, nil).json(t)["server"].(map[string]any)
	links := fmt.Sprint(v["links"])
	want := fmt.Sprintf("[map[href:%s/%s/servers/%s rel:self] map[href:%s/compute/%s/servers/%s rel:bookmark]]", c.base, aliceProject, id, c.srv.URL, aliceProject, id)
	if links != want {
		t.Errorf("links %s,\nwant %s", links, want)
	}
	if got := fmt.Sprint(v["image"]); !strings.Contains(got, c.srv.URL+"/compute/"+aliceProject+"/images/") {
		t.Errorf("image %s", got)
	}
	page := c.want(200, "alice", "", "GET", "/"+aliceProject+"/servers?limit=1&name=vm", nil).json(t)["servers_links"]
	if got, want := fmt.Sprint(page), fmt.Sprintf("[map[href:%s/%s/servers?limit=1&marker=%s&name=vm rel:next]]", c.base, aliceProject, id); got != want {
		t.Errorf("next %s,\nwant %s", got, want)
	}
}

// TestConsoleFailures: what a host says of itself when it cannot answer is for administrators.
func TestConsoleFailures(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	const secret = "host-1: libvirtd is not reachable at /run/libvirt/libvirt-sock"
	for _, one := range []struct {
		kind   structs.Kind
		status int
		says   string
	}{
		{structs.KindUnavailable, 503, "The console of instance " + id + " cannot be read now."},
		{structs.KindTimeout, 503, "The console of instance " + id + " cannot be read now."},
		{structs.KindConflict, 409, "Instance " + id + " is not ready"},
		{structs.KindInvalid, 400, "The console of instance " + id + " cannot be read now."},
		{structs.KindInternal, 500, "Unexpected API Error."},
	} {
		c.core.Console = func(*structs.Instance, int) ([]byte, error) { return nil, structs.Errorf(one.kind, "%s", secret) }
		for token, seen := range map[string]bool{"alice": false, "admin": one.kind != structs.KindInternal} {
			a := c.want(one.status, token, "", "POST", "/servers/"+id+"/action", `{"os-getConsoleOutput": {}}`)
			if strings.Contains(string(a.body), secret) != seen || !seen && !strings.Contains(string(a.body), one.says) {
				t.Errorf("%s, %s: %s", token, one.kind, a.body)
			}
		}
	}
}

func TestConsoleOutput(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	asked := -1
	var failure error
	c.core.Console = func(_ *structs.Instance, lines int) ([]byte, error) {
		asked = lines
		return []byte("a\x00\x07\tb\r\nc\xff\x1b[0m"), failure
	}
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	act := func(status int, args string) answer {
		t.Helper()
		return c.want(status, "alice", "", "POST", "/servers/"+id+"/action", `{"os-getConsoleOutput": `+args+`}`)
	}
	for args, lines := range map[string]int{`{}`: 0, `{"length": null}`: 0, `{"length": -1}`: 0, `{"length": "-1"}`: 0, `{"length": 5}`: 5, `{"length": "50"}`: 50} {
		if got := act(200, args).json(t)["output"]; got != "a\tb\nc\ufffd[0m" || asked != lines {
			t.Errorf("%s: %q of %d lines", args, got, asked)
		}
	}
	if got := act(200, `{"length": 0}`).json(t)["output"]; got != "" {
		t.Errorf("of no lines: %q", got)
	}
	for kind, want := range map[structs.Kind]string{structs.KindNotSupported: "501 The requested functionality is not supported.",
		structs.KindNotFound: "404 Guest does not have a console available.", structs.KindUnavailable: "503 The console of instance " + id + " cannot be read now."} {
		failure = structs.Errorf(kind, "the host does not answer")
		status, message, _ := strings.Cut(want, " ")
		a := c.call("alice", "", "POST", "/servers/"+id+"/action", `{"os-getConsoleOutput": {}}`)
		if fmt.Sprint(a.StatusCode) != status || !strings.Contains(string(a.body), message) {
			t.Errorf("%v: %d %s", kind, a.StatusCode, a.body)
		}
	}
	unplaced := c.made("alice", "", map[string]any{"name": "x", "flavorRef": "1", "imageRef": c.cirros().ID}, nil)
	c.want(409, "alice", "", "POST", "/servers/"+string(unplaced.ID)+"/action", `{"os-getConsoleOutput": {}}`)
}

func TestLockedInstance(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	id := c.plant(structs.Instance{Name: "x", Flavor: structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 1}, Locked: true, LockedBy: "owner"}, at(1), true)
	for _, row := range []struct{ method, path, body string }{{"POST", "/action", `{"os-stop": null}`}, {"DELETE", "", ""}} {
		var body any
		if row.body != "" {
			body = row.body
		}
		if a := c.want(409, "alice", "", row.method, "/servers/"+id+row.path, body); !strings.Contains(string(a.body), "Instance "+id+" is locked") {
			t.Errorf("%s", a.body)
		}
	}
	c.want(202, "admin", "", "POST", "/servers/"+id+"/action", `{"os-stop": null}`)
}

// TestEveryRouteHasARule walks the rows: what is not for everybody needs a role, and every row answers something else than 500 to a stranger.
func TestEveryRouteHasARule(t *testing.T) {
	t.Parallel()
	for _, r := range compute.New(compute.Options{}).Routes {
		if r.Rule == nil || r.Rule.Allows(nil) {
			t.Errorf("%s %s %s is open to everybody", r.Method, r.Path, r.Action)
		}
		if r.Method == http.MethodGet && r.Query == nil {
			t.Errorf("%s %s does not check its query", r.Method, r.Path)
		}
	}
}

func TestAnswerChecker(t *testing.T) {
	t.Parallel()
	a := loadAnswers(t)
	for body, want := range map[string]string{`{"keypairs": []}`: "<nil>", `{}`: " lacks keypairs", `{"keypairs": [], "more": 1}`: "more may not be there",
		`{"keypairs": {}}`: "keypairs is map[string]interface {}, not array"} {
		if got := fmt.Sprint(a.check("GET /os-keypairs", 1, []byte(body))); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
