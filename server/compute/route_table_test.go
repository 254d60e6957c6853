package compute_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// tableRow is one row of testdata/routes.tsv: a route of Nova's.
type tableRow struct {
	method, path, action string
	first, last          httpapi.Microversion // last 0: still there
	gone                 bool                 // 410 at every microversion
	policy               string               // the rule that every request needs, "" when it is none
	role                 string               // who passes it by default
	either               bool                 // from some microversion on the body says which of two rules holds
}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// plainPath is a path without the names of its variables, which differ between Nova's table and ours.
func plainPath(p string) string {
	if p == "" {
		p = "/"
	}
	return variable.ReplaceAllString(p, "{}")
}

func routeKey(method, path, action string) string {
	return strings.TrimSpace(method + " " + plainPath(path) + " " + action)
}

func (r tableRow) String() string { return strings.TrimSpace(r.method + " " + r.path + " " + r.action) }
func (r tableRow) key() string    { return routeKey(r.method, r.path, r.action) }

// lines returns the fields of a tab-separated file less its comments.
func lines(tb testing.TB, file string) [][]string {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
			all = append(all, strings.Split(line, "\t"))
		}
	}
	return all
}

func minor(tb testing.TB, s string) httpapi.Microversion {
	tb.Helper()
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(s, "2."))
	if err != nil {
		tb.Fatal(err)
	}
	return httpapi.Microversion(n)
}

func loadTable(tb testing.TB) []tableRow {
	tb.Helper()
	var table []tableRow
	for _, f := range lines(tb, "testdata/routes.tsv")[1:] {
		r := tableRow{method: f[0], path: f[1], action: f[2], first: minor(tb, f[3]), last: minor(tb, f[4]), gone: f[5] == "410 always"}
		// A rule that is marked ~ only widens the answer; those after the first hold for some requests.
		first, second, _ := strings.Cut(f[7], ";")
		if first != "-" && first[0] != '~' {
			r.policy = first
		}
		r.either = second != "" && !strings.Contains(second, "~")
		r.role, _, _ = strings.Cut(f[8], ";")
		if r.policy == "" && !r.gone && !strings.HasPrefix(r.role, "no check") {
			r.role = "any authenticated"
		}
		table = append(table, r)
	}
	if len(table) != 265 {
		tb.Fatalf("%d rows in the table", len(table))
	}
	return table
}

// loadMissing returns which rows are not served, with why.
func loadMissing(tb testing.TB) map[string]string {
	tb.Helper()
	missing := map[string]string{}
	for _, f := range lines(tb, "testdata/routes-missing.txt") {
		if len(f) != 2 || strings.TrimSpace(f[1]) == "" {
			tb.Fatalf("%q is not a row, a tab and a reason", f)
		}
		method, rest, _ := strings.Cut(f[0], " ")
		path, action, _ := strings.Cut(rest, " ")
		missing[routeKey(method, path, action)] = f[1]
	}
	return missing
}

// versionDocument is the one row that needs no token: service Versions serves it.
const versionDocument = "GET /"

// servedRoutes are our rows by key.
func servedRoutes() map[string][]httpapi.Route {
	all := map[string][]httpapi.Route{}
	for _, r := range compute.New(compute.Options{}).Routes {
		k := routeKey(r.Method, r.Path, r.Action)
		all[k] = append(all[k], r)
	}
	return all
}

func rowAt(list []httpapi.Route, v httpapi.Microversion) *httpapi.Route {
	for i := range list {
		if r := &list[i]; v >= r.Min && (r.Max == 0 || v <= r.Max) {
			return r
		}
	}
	return nil
}

// edges are the microversions at which a row is judged, and whether it is there.
func (r tableRow) edges() map[httpapi.Microversion]bool {
	last := r.last
	if last == 0 {
		last = compute.MaxVersion
	}
	all := map[httpapi.Microversion]bool{r.first: true, last: true}
	if r.first > compute.MinVersion {
		all[r.first-1] = false
	}
	if last < compute.MaxVersion {
		all[last+1] = false
	}
	return all
}

// TestRouteTable compares our rows with Nova's: every one is served in its range of microversions and under its rule, or it is on the list of what
// is missing; and we serve no other. The list can so only get shorter.
func TestRouteTable(t *testing.T) {
	t.Parallel()
	served, missing, known := servedRoutes(), loadMissing(t), map[string]bool{versionDocument: true}
	for _, row := range loadTable(t) {
		k := row.key()
		known[k] = true
		if k == versionDocument {
			continue
		}
		list, why := served[k], missing[k]
		switch {
		case len(list) == 0 && why == "":
			t.Errorf("%s is not served and not in testdata/routes-missing.txt", row)
			continue
		case len(list) > 0 && why != "":
			t.Errorf("%s is served: take its line out of testdata/routes-missing.txt", row)
		case len(list) == 0:
			continue
		}
		for v, there := range row.edges() {
			if got := rowAt(list, v) != nil; got != there {
				t.Errorf("%s at 2.%d: served %t, want %t", row, v, got, there)
			}
		}
		for _, r := range list {
			if row.either && r.Min > row.first && r.Rule.Check() == httpapi.Authenticated("").Check() {
				continue // the handler judges
			}
			if row.policy != "" && r.Rule.Name() != row.policy {
				t.Errorf("%s needs %s, want %s", row, r.Rule.Name(), row.policy)
			}
		}
	}
	for k := range missing {
		if !known[k] {
			t.Errorf("testdata/routes-missing.txt has %s, which is no row of Nova's", k)
		}
	}
	for k := range served {
		if !known[k] {
			t.Errorf("%s is served and is no row of Nova's", k)
		}
	}
}

// roles are who passes a rule by its default, by the token's name.
var roles = []struct {
	prefix string // of the table's column
	pass   []string
}{
	{"any authenticated", []string{"reader", "alice", "boss", "service", "bob", "admin", "unscoped"}},
	{"no check", []string{"reader", "alice", "boss", "service", "bob", "admin", "unscoped"}},
	{"admin or the user himself", []string{"reader", "alice", "boss", "service", "bob", "admin", "unscoped"}},
	{"project_reader_or_admin", []string{"reader", "alice", "boss", "bob", "admin"}},
	{"project_member_or_admin", []string{"alice", "boss", "bob", "admin"}},
	{"project_manager_or_admin", []string{"boss", "admin"}},
	{"service_or_admin", []string{"service", "admin"}},
	{"admin", []string{"admin"}},
}

func passes(tb testing.TB, role string) []string {
	tb.Helper()
	for _, r := range roles {
		if strings.HasPrefix(role, r.prefix) {
			return r.pass
		}
	}
	tb.Fatalf("unknown role %q", role)
	return nil
}

var tableTokens = people{
	"admin":    everybody["admin"],
	"alice":    everybody["alice"],
	"bob":      everybody["bob"],
	"reader":   everybody["reader"],
	"unscoped": everybody["unscoped"],
	"boss":     {UserID: bobUser, ProjectID: aliceProject, Roles: []string{"manager", "member", "reader"}},
	"service":  {UserID: bobUser, ProjectID: aliceProject, Roles: []string{"service"}},
}

// stubbed is the service with handlers that only say which row they are: what is in front of them is judged alone.
func stubbed(tb testing.TB) http.Handler {
	tb.Helper()
	s := compute.New(compute.Options{})
	for i := range s.Routes {
		r := &s.Routes[i]
		r.Query, r.Body, r.Status = nil, nil, http.StatusOK
		r.Handler = func(q *httpapi.Request) (any, error) {
			q.Writer.Header().Set("Served-By", routeKey(q.Route.Method, q.Route.Path, q.Route.Action))
			return httpapi.Reply{Status: http.StatusOK, Body: map[string]string{}}, nil
		}
	}
	h, err := httpapi.NewHandler(coretest.New(), []*httpapi.Service{s, compute.Versions()}, httpapi.Options{Auth: tableTokens})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// ask sends a row's request below a base path.
func (r tableRow) ask(h http.Handler, base, token string, v httpapi.Microversion) *httptest.ResponseRecorder {
	body := "{}"
	if r.action != "" {
		body = fmt.Sprintf("{%q: null}", r.action)
	}
	if r.method == http.MethodGet || r.method == http.MethodDelete {
		body = ""
	}
	req := httptest.NewRequest(r.method, base+variable.ReplaceAllString(r.path, "99999999-2222-4333-8444-555555555555"), strings.NewReader(body))
	req.Header.Set("OpenStack-API-Version", fmt.Sprintf("compute 2.%d", v))
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// TestRouteTableOverHTTP asks for every row that is served at the edges of its range, as everybody: the range, the rule, the token and the project
// in the path are judged before the handler.
func TestRouteTableOverHTTP(t *testing.T) {
	t.Parallel()
	h, missing := stubbed(t), loadMissing(t)
	for _, row := range loadTable(t) {
		if missing[row.key()] != "" || row.key() == versionDocument {
			continue
		}
		for v, there := range row.edges() {
			w := row.ask(h, compute.Prefix, "admin", v)
			switch {
			case there && (w.Code != http.StatusOK || w.Header().Get("Served-By") != row.key()):
				t.Errorf("%s at 2.%d is served by %q: %d: %s", row, v, w.Header().Get("Served-By"), w.Code, w.Body)
			case !there:
				checkOutOfRange(t, row, v, w)
			}
		}
		for name := range tableTokens {
			want := http.StatusForbidden
			if slices.Contains(passes(t, row.role), name) {
				want = http.StatusOK
			}
			if w := row.ask(h, compute.Prefix, name, row.first); w.Code != want {
				t.Errorf("%s as %s: %d, want %d: %s", row, name, w.Code, want, w.Body)
			}
		}
		if w := row.ask(h, compute.Prefix, "", row.first); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d: %s", row, w.Code, w.Body)
		}
		if w := row.ask(h, compute.Prefix+"/"+aliceProject, "bob", row.first); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Malformed request URL") {
			t.Errorf("%s below another's project: %d: %s", row, w.Code, w.Body)
		}
	}
}

func checkOutOfRange(t *testing.T, row tableRow, v httpapi.Microversion, w *httptest.ResponseRecorder) {
	t.Helper()
	const want = `{"itemNotFound":{"code":404,"message":"The resource could not be found."}}`
	if w.Code != http.StatusNotFound || w.Body.String() != want {
		t.Errorf("%s at 2.%d: %d: %s", row, v, w.Code, w.Body)
	}
	if got := w.Header().Get("OpenStack-API-Version"); got != fmt.Sprintf("compute 2.%d", v) {
		t.Errorf("%s at 2.%d says version %q", row, v, got)
	}
}

// TestRouteTableAnswers asks for every row that is served with its own handler about things that are not there: none may fail within, and what is
// gone is 410 at every microversion.
func TestRouteTableAnswers(t *testing.T) {
	t.Parallel()
	h, missing := newHandler(t, coretest.New(), compute.Options{}), loadMissing(t)
	for _, row := range loadTable(t) {
		if missing[row.key()] != "" {
			continue
		}
		if row.gone {
			for v := compute.MinVersion; v <= compute.MaxVersion; v++ {
				const want = `{"computeFault":{"code":410,"message":"This resource is no longer available. No forwarding address is given."}}`
				if w := row.ask(h, compute.Prefix, "alice", v); w.Code != http.StatusGone || w.Body.String() != want {
					t.Errorf("%s at 2.%d: %d: %s", row, v, w.Code, w.Body)
				}
			}
			continue
		}
		for v, there := range row.edges() {
			w := row.ask(h, compute.Prefix, "admin", v)
			switch {
			case !there:
				checkOutOfRange(t, row, v, w)
			case w.Code == http.StatusInternalServerError || w.Code == http.StatusGone:
				t.Errorf("%s at 2.%d: %d: %s", row, v, w.Code, w.Body)
			case w.Header().Get("OpenStack-API-Version") == "" && row.key() != versionDocument:
				t.Errorf("%s at 2.%d has no version header: %d: %s", row, v, w.Code, w.Body)
			}
		}
	}
}
