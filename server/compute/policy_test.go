package compute_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// underPolicy is a cloud whose rules follow files.
type underPolicy struct {
	*cloud
	live *policy.Live
}

func newCloudUnderPolicy(t *testing.T, file string) *underPolicy {
	t.Helper()
	core := coretest.New()
	u := &underPolicy{live: policy.NewLive(nil)}
	h, err := httpapi.NewHandler(core, compute.Services(compute.Options{}, proxy.Services{}), httpapi.Options{Auth: everybody, Policy: u.live})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u.cloud = &cloud{t, core, srv, srv.URL + compute.Prefix}
	u.put(file)
	return u
}

// put puts a file's rules in force.
func (u *underPolicy) put(file string) {
	u.tb.Helper()
	rules, err := httpapi.PolicyRules(compute.Services(compute.Options{}, proxy.Services{}))
	if err != nil {
		u.tb.Fatal(err)
	}
	set, err := policy.Parse("policy.yaml", []byte(file), rules)
	if err != nil {
		u.tb.Fatal(err)
	}
	u.live.Replace(set)
}

// forbidden demands Nova's 403 with the rule's name.
func (u *underPolicy) forbidden(rule, token, version, method, path string, body any) {
	u.tb.Helper()
	a := u.want(403, token, version, method, path, body)
	if want := "Policy doesn't allow " + rule + " to be performed."; !strings.Contains(string(a.body), want) {
		u.tb.Fatalf("%s, want %s", a.body, want)
	}
}

// A file opens one row, closes another and redefines a base rule; the next file does so for the next request.
func TestPolicyFile(t *testing.T) {
	t.Parallel()
	const aggregates, create = "os_compute_api:os-aggregates:index", "os_compute_api:servers:create"
	u := newCloudUnderPolicy(t, "")
	u.small()
	server := func(name string) map[string]any {
		return map[string]any{"server": map[string]any{"name": name, "flavorRef": "1", "imageRef": u.cirros().ID, "networks": "auto"}}
	}
	u.forbidden(aggregates, "reader", "2.1", "GET", "/os-aggregates", nil)
	u.forbidden(create, "reader", "2.37", "POST", "/servers", server("a"))
	u.want(202, "alice", "2.37", "POST", "/servers", server("b"))

	u.put("os_compute_api:os-aggregates:index: rule:project_reader_or_admin\nos_compute_api:servers:create: rule:context_is_admin\n")
	u.want(200, "reader", "2.1", "GET", "/os-aggregates", nil)
	u.forbidden("os_compute_api:os-aggregates:create", "reader", "2.1", "POST", "/os-aggregates", `{"aggregate": {"name": "x"}}`)
	u.forbidden(create, "alice", "2.37", "POST", "/servers", server("c"))
	u.want(202, "admin", "2.37", "POST", "/servers", server("d"))
	u.want(403, "alice", "", "POST", u.srv.URL+"/compute/v2/servers", server("e"))

	u.put("project_member_api: role:reader and project_id:%(project_id)s\n")
	u.forbidden(aggregates, "reader", "2.1", "GET", "/os-aggregates", nil)
	u.want(202, "reader", "2.37", "POST", "/servers", server("f"))
	u.put(`os_compute_api:servers:create: "!"`)
	u.forbidden(create, "admin", "2.37", "POST", "/servers", server("g"))
}

// Rules that handlers judge follow the file as well.
func TestPolicyFileWithinHandlers(t *testing.T) {
	t.Parallel()
	const override, limits = "os_compute_api:os-lock-server:unlock:unlock_override", "os_compute_api:limits:other_project"
	u := newCloudUnderPolicy(t, "")
	u.core.AddHost("host-1")
	u.small()
	id := u.boot("alice", map[string]any{"imageRef": u.cirros().ID})
	u.act(202, "admin", "2.73", id, `{"lock": null}`)
	u.forbidden(override, "alice", "2.73", "POST", "/servers/"+id+"/action", `{"unlock": null}`)
	u.forbidden(limits, "alice", "2.1", "GET", "/limits?tenant_id="+bobProject, nil)
	u.forbidden("os_compute_api:servers:index:get_all_tenants", "alice", "2.1", "GET", "/servers?all_tenants=1", nil)
	shown := func() string {
		return string(u.want(200, "alice", "2.104", "GET", "/servers/"+id, nil).body)
	}
	if strings.Contains(shown(), "OS-EXT-SRV-ATTR:host\"") {
		t.Error("a member sees the host without a file")
	}
	u.put(override + ": rule:project_member_api\n" + limits + ": role:member\nos_compute_api:servers:index:get_all_tenants: role:member\n" +
		"os_compute_api:os-extended-server-attributes: rule:project_member_api\n")
	u.want(200, "alice", "2.1", "GET", "/limits?tenant_id="+bobProject, nil)
	u.want(200, "bob", "2.1", "GET", "/servers?all_tenants=1", nil)
	if v := shown(); !strings.Contains(v, "OS-EXT-SRV-ATTR:host\"") || strings.Contains(v, "host_status") {
		t.Errorf("the host, but not its status, is open now: %s", v)
	}
	u.act(202, "alice", "2.73", id, `{"unlock": null}`)
}

// What is another project's is not there, however open the rules; within a project they may ask whose an instance is.
func TestPolicyFileAndOwners(t *testing.T) {
	t.Parallel()
	u := newCloudUnderPolicy(t, "project_reader_api: '@'\nproject_member_api: '@'\nos_compute_api:servers:delete: user_id:%(user_id)s or is_admin:True\n"+
		"os_compute_api:os-server-groups:delete: user_id:%(user_id)s\nos_compute_api:os-keypairs:show: '@'\n")
	u.core.AddHost("host-1")
	u.small()
	id := u.boot("alice", map[string]any{"imageRef": u.cirros().ID})
	for _, r := range [][2]string{{"GET", "/servers/" + id}, {"DELETE", "/servers/" + id}, {"GET", "/servers/" + id + "/metadata"}} {
		u.want(404, "bob", "2.1", r[0], r[1], nil)
	}
	u.act(404, "bob", "2.1", id, `{"os-stop": null}`)
	u.want(200, "reader", "2.1", "GET", "/servers/"+id, nil)
	u.forbidden("os_compute_api:servers:delete", "reader", "2.1", "DELETE", "/servers/"+id, nil)
	u.want(204, "alice", "2.1", "DELETE", "/servers/"+id, nil)
	group := u.newGroup("alice", "2.64", `"name": "g", "policy": "affinity"`)
	u.want(404, "bob", "2.64", "DELETE", "/os-server-groups/"+group, nil)
	u.forbidden("os_compute_api:os-server-groups:delete", "reader", "2.64", "DELETE", "/os-server-groups/"+group, nil)
	u.want(204, "alice", "2.64", "DELETE", "/os-server-groups/"+group, nil)
	u.forbidden("os_compute_api:os-keypairs:delete", "bob", "2.10", "DELETE", "/os-keypairs/k?user_id="+aliceUser, nil)
	u.want(404, "bob", "2.10", "GET", "/os-keypairs/k?user_id="+aliceUser, nil)
}

// Who is an administrator is the file's to say: in rules and in what handlers show and hide.
func TestPolicyFileRedefinesAdmin(t *testing.T) {
	t.Parallel()
	u := newCloudUnderPolicy(t, "")
	u.core.AddHost("host-1")
	u.small()
	id := u.boot("alice", map[string]any{"imageRef": u.cirros().ID})
	u.want(404, "bob", "2.1", "GET", "/servers/"+id, nil)
	u.want(200, "admin", "2.1", "GET", "/servers/"+id, nil)
	u.put("context_is_admin: user_id:" + bobUser + " and role:member\n")
	u.want(200, "bob", "2.1", "GET", "/servers/"+id, nil)
	u.want(200, "bob", "2.1", "GET", "/os-hypervisors", nil)
	u.want(404, "admin", "2.1", "GET", "/servers/"+id, nil)
	u.want(403, "admin", "2.1", "GET", "/os-hypervisors", nil)
	if !everybody["admin"].IsAdmin() || everybody["bob"].IsAdmin() {
		t.Error("tokens are shared: what a file says must not stick to them")
	}
	u.put("")
	u.want(404, "bob", "2.1", "GET", "/servers/"+id, nil)
	u.want(200, "admin", "2.1", "GET", "/servers/"+id, nil)
}

// TestRulesHaveNames finds rules that handlers judge and a policy file could not override, since no list names them.
func TestRulesHaveNames(t *testing.T) {
	t.Parallel()
	judged := regexp.MustCompile(`\.(?:Allow|AllowFor|AllowUser|May)\(([^,)]+)`)
	for _, dir := range []string{"base", "flavor", "host", "instance", "project", "proxy", "../native"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		var all strings.Builder
		found := map[string]bool{}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			for _, m := range judged.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
		}
		for arg := range found {
			switch {
			case arg == "r.Route.Rule" || arg == "rule":
			case !regexp.MustCompile(`^rule\w+$`).MatchString(arg):
				t.Errorf("%s: a handler judges %s; a variable that Rules or a row names is right", dir, arg)
			case !regexp.MustCompile(`(?s)(\[\]httpapi\.Rule\{[^}]*\b` + arg + `\b|Rule: ` + arg + `\b)`).MatchString(all.String()):
				t.Errorf("%s: %s is in no list of rules", dir, arg)
			}
		}
	}
}
