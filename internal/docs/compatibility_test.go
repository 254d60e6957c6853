package docs

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/drivers/libvirt"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/native"
	"github.com/kilonova-cloud/kilonova/server/placement"
)

var rewrite = flag.Bool("rewrite", false, "write the pages anew")

var folder = filepath.Join("..", "..", "website", "docs", "compatibility")

// page is one generated page: the rows of a service.
type page struct {
	file, title string
	services    []*httpapi.Service
	notes       func(*httpapi.Route) string
}

func pages(t *testing.T) []page {
	return []page{
		{"compute.md", "Compute", compute.Services(compute.Options{}, proxy.Services{}), computeNotes(t)},
		{"identity.md", "Identity", identity.Services(nil, base.Options{}), nil},
		{"image.md", "Image", image.New(image.Options{}), nil},
		{"placement.md", "Placement", placement.Services(), nil},
		{"native.md", "Kilonova's own API", append(native.Services(native.Options{Metrics: http.NotFoundHandler()}),
			native.BootstrapService(), native.MonitorService(hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard}))), nil},
	}
}

// TestCompatibilityPages compares the pages with the route tables, or writes them with -rewrite.
func TestCompatibilityPages(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		want, path := p.text(), filepath.Join(folder, p.file)
		if *rewrite {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil || string(have) != want {
			t.Errorf("website/docs/compatibility/%s is not what the route table makes of it (%v): run `make docs` and commit what it writes\n%s",
				p.file, err, firstDifference(string(have), want))
		}
	}
}

// TestEveryPageIsGenerated fails for a page in the folder that nothing writes any more; index.md is kept by hand and links to each.
func TestEveryPageIsGenerated(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join(folder, "index.md"))
	require.NoError(t, err)
	want := []string{"index.md"}
	for _, p := range pages(t) {
		want = append(want, p.file)
		require.Contains(t, string(index), "]("+p.file+")", "index.md does not link to it")
	}
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	require.ElementsMatch(t, want, found)
}

func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i >= len(h) || h[i] != w[i] {
			return fmt.Sprintf("line %d should be %s", i+1, w[i])
		}
	}
	return fmt.Sprintf("it goes on after line %d", len(w))
}

func (p page) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: the routes\n\n", p.title)
	b.WriteString("<!-- Generated from the route tables by `make docs`. DO NOT EDIT. -->\n\n" +
		"Generated from the table that the server answers by. What differs, and why, is in the [overview](index.md).\n" +
		"Administrators pass every rule by default; what a [policy file](../policies.md) says goes before.\n")
	var versioned *httpapi.Service
	for _, s := range p.services {
		if s.Prefix == compute.LegacyPrefix {
			continue // the same rows as 2.1
		}
		writeService(&b, s, p.notes)
		if s.Versioning != nil {
			versioned = s
		}
	}
	if versioned != nil {
		writeChanges(&b, versioned)
	}
	return b.String()
}

func writeService(b *strings.Builder, s *httpapi.Service, notes func(*httpapi.Route) string) {
	fmt.Fprintf(b, "\n## `%s`\n", s.Prefix)
	if v := s.Versioning; v != nil {
		fmt.Fprintf(b, "\nMicroversions %s to %s, asked for by `OpenStack-API-Version: %s %s`.\n", version(v, v.Min), version(v, v.Max), v.Type, version(v, v.Max))
	}
	groups, order := map[string][]*httpapi.Route{}, []string{}
	for i := range s.Routes {
		r := &s.Routes[i]
		g := groupOf(r)
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], r)
	}
	slices.SortFunc(order, func(a, c string) int { return strings.Compare(sortKey(a), sortKey(c)) })
	for _, g := range order {
		if len(order) > 1 {
			fmt.Fprintf(b, "\n### %s\n", g)
		}
		writeRows(b, s, g, groups[g], notes)
	}
}

func writeRows(b *strings.Builder, s *httpapi.Service, group string, rows []*httpapi.Route, notes func(*httpapi.Route) string) {
	slices.SortStableFunc(rows, func(x, y *httpapi.Route) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), cmp.Compare(strings.Index(methodOrder, x.Method), strings.Index(methodOrder, y.Method)),
			strings.Compare(x.Action, y.Action), cmp.Compare(x.Min, y.Min))
	})
	if group == goneGroup {
		b.WriteString("\n410 at every microversion, with any token, as in Nova.\n\n| method | path | action |\n|---|---|---|\n")
		for _, r := range rows {
			fmt.Fprintf(b, "| %s | `%s` | %s |\n", r.Method, r.Path, quoted(r.Action))
		}
		return
	}
	columns := []string{"method", "path"}
	optional := []struct {
		name string
		cell func(*httpapi.Route) string
	}{
		{"action", func(r *httpapi.Route) string { return quoted(r.Action) }},
		{"microversions", func(r *httpapi.Route) string { return versions(s.Versioning, r) }},
	}
	cells := []func(*httpapi.Route) string{func(r *httpapi.Route) string { return r.Method }, func(r *httpapi.Route) string { return quoted(cmp.Or(shown(r.Path), s.Prefix)) }}
	for _, o := range optional {
		if slices.ContainsFunc(rows, func(r *httpapi.Route) bool { return o.cell(r) != "" }) {
			columns, cells = append(columns, o.name), append(cells, o.cell)
		}
	}
	columns = append(columns, "success", "rule", "by default for")
	cells = append(cells, status, ruleName, who)
	if notes != nil && slices.ContainsFunc(rows, func(r *httpapi.Route) bool { return notes(r) != "" }) {
		columns, cells = append(columns, "notes"), append(cells, notes)
	}
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range rows {
		var row []string
		for _, cell := range cells {
			row = append(row, cell(r))
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

const (
	methodOrder = "HEAD GET POST PUT PATCH DELETE"
	goneGroup   = "What Nova has removed"
)

// groupOf is the resource that a row is about: its first segment, and of a server's parts the next one that is no variable.
func groupOf(r *httpapi.Route) string {
	if r.Status == http.StatusGone {
		return goneGroup
	}
	segments := strings.Split(strings.Trim(r.Path, "/"), "/")
	switch {
	case segments[0] == "" || strings.HasPrefix(segments[0], "{") || segments[0] == "v2" || segments[0] == "v2.1":
		return "Versions"
	case segments[0] == "servers" && len(segments) > 2:
		return "`/servers/{id}/" + segments[2] + "`"
	}
	return "`/" + segments[0] + "`"
}

func sortKey(group string) string {
	switch group {
	case goneGroup:
		return "~"
	case "Versions":
		return " "
	}
	return group
}

// shown is a path without the patterns of its variables.
func shown(path string) string {
	var b strings.Builder
	skip := false
	for _, c := range path {
		switch {
		case c == ':':
			skip = true
		case c == '}':
			skip = false
		}
		if !skip {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func version(v *httpapi.Versioning, at httpapi.Microversion) string {
	return fmt.Sprintf("%d.%d", v.Major, at)
}

// versions is the range of a row's microversions, "" where it has none.
func versions(v *httpapi.Versioning, r *httpapi.Route) string {
	if v == nil {
		return ""
	}
	first := version(v, max(r.Min, v.Min))
	switch {
	case r.Max == 0 || r.Max >= v.Max:
		return "from " + first
	case r.Max == r.Min:
		return first
	}
	return first + " to " + version(v, r.Max)
}

func status(r *httpapi.Route) string {
	if r.Status == 0 {
		return "200"
	}
	return fmt.Sprint(r.Status)
}

func ruleName(r *httpapi.Route) string {
	if r.Rule == httpapi.Anyone {
		return ""
	}
	return "`" + r.Rule.Name() + "`"
}

// who passes a row's rule while no policy file says otherwise.
func who(r *httpapi.Route) string {
	if r.Rule == httpapi.Anyone {
		return "anyone"
	}
	text := map[string]string{policy.Anybody: "any token", policy.Admin: "administrators", policy.ReaderOrAdmin: "readers of the project",
		policy.MemberOrAdmin: "members of the project", policy.ManagerOrAdmin: "managers of the project", policy.ServiceOrAdmin: "services",
		policy.SelfOrAdmin: "the user"}[r.Rule.Check()]
	if text == "" {
		text = "`" + r.Rule.Check() + "`"
	}
	if open, ok := r.Rule.(interface{ WithoutToken(*http.Request) bool }); ok && open != nil {
		text = "this machine, else " + text
	}
	return text
}

// needed are the optional methods of the driver without which a row is refused with 501, or a move finds no valid host, where no operation's table says
// so: what cold moves need the scheduler asks of the hosts in turn, the others are asked of the driver by the row itself.
var needed = map[string][]string{
	"POST /servers/{id}/action resize":                                {"ExportDisks", "ImportDisks", "Resize"},
	"POST /servers/{id}/action migrate":                               {"ExportDisks", "ImportDisks"},
	"GET /servers/{server_id}/diagnostics":                            {"Diagnostics"},
	"PUT /os-hosts/{id}":                                              {"HostMaintenance"},
	"GET /os-hosts/{id}/startup":                                      {"HostPower"},
	"GET /os-hosts/{id}/shutdown":                                     {"HostPower"},
	"GET /os-hosts/{id}/reboot":                                       {"HostPower"},
	"DELETE /servers/{server_id}/migrations/{id}":                     {"AbortMigration"},
	"POST /servers/{server_id}/migrations/{id}/action force_complete": {"ForceCompleteMigration"},
}

const noConsoles = "400 unless that console is enabled"

// absent is what rows are refused for, or have nothing to show of, in a cloud of Kilonova alone, by their groups and actions.
var absent = map[string]string{
	"`/os-networks`": "no Network service", "`/os-tenant-networks`": "no Network service", "`/os-floating-ips`": "no Network service", "`/os-floating-ip-pools`": "no Network service",
	"`/os-security-groups`": "no Network service", "`/os-security-group-rules`": "no Network service", "`/servers/{id}/os-interface`": "no Network service",
	"`/servers/{id}/ips`": "no Network service", "`/servers/{id}/os-security-groups`": "no Network service", "addSecurityGroup": "no Network service", "removeSecurityGroup": "no Network service",
	"addFixedIp": "no Network service", "removeFixedIp": "no Network service", "addFloatingIp": "no Network service", "removeFloatingIp": "no Network service",
	"`/os-volumes`": "no Volume service", "`/os-snapshots`": "no Volume service", "`/os-assisted-volume-snapshots`": "no Volume service", "`/servers/{id}/os-volume_attachments`": "no Volume service",
	"`/servers/{id}/shares`": "no Shared File System service", "`/os-baremetal-nodes`": "no Bare Metal service",
	"os-getRDPConsole": "always 400: gone with Hyper-V", "os-getSPICEConsole": noConsoles, "os-getSerialConsole": noConsoles, "os-getVNCConsole": noConsoles,
	"`/servers/{id}/remote-consoles`": noConsoles,
}

func rowKey(r *httpapi.Route) string {
	return strings.TrimSpace(r.Method + " " + r.Path + " " + r.Action)
}

// methodsNeeded returns the optional methods of the driver that rows need, by their keys.
func methodsNeeded(t *testing.T, rows []httpapi.Route) map[string][]string {
	t.Helper()
	const actions = "POST /servers/{id}/action "
	all := maps.Clone(needed)
	for _, k := range operation.Kinds() {
		table := operation.Of(k)
		for _, step := range table.Steps {
			if step.Needs == "" {
				continue
			}
			key := actions + table.Action
			if !slices.Contains(all[key], step.Needs) {
				all[key] = append(all[key], step.Needs)
			}
		}
	}
	known := map[string]bool{}
	for i := range rows {
		known[rowKey(&rows[i])] = true
	}
	for key, methods := range all {
		require.True(t, known[key], "%s, which needs %s of a driver, is no row", key, methods)
		for _, m := range methods {
			require.Contains(t, driver.OptionalMethods(), m, "%s needs what drivers do not have", key)
		}
	}
	return all
}

// computeNotes returns what is said of a row besides its columns: the service or the driver's method without which it is refused.
func computeNotes(t *testing.T) func(*httpapi.Route) string {
	t.Helper()
	capabilities, err := libvirt.New(hclog.NewNullLogger()).Capabilities(context.Background())
	require.NoError(t, err)
	rows := compute.New(compute.Options{}).Routes
	methods, used := methodsNeeded(t, rows), map[string]bool{}
	for i := range rows {
		used[groupOf(&rows[i])], used[rows[i].Action] = true, true
	}
	for group := range absent {
		require.True(t, used[group], "%s has no rows", group)
	}
	return func(r *httpapi.Route) string {
		var notes []string
		if lacks := cmp.Or(absent[r.Action], absent[groupOf(r)]); lacks != "" {
			notes = append(notes, lacks)
		}
		key := strings.Replace(rowKey(r), "/os-volumes_boot/", "/servers/", 1)
		if m := methods[key]; len(m) > 0 {
			note := "driver: `" + strings.Join(m, "`, `") + "`"
			if slices.ContainsFunc(m, func(one string) bool { return !slices.Contains(capabilities.Methods, one) }) {
				note += "; not with libvirt yet"
			}
			notes = append(notes, note)
		}
		return strings.Join(notes, "; ")
	}
}

// maxNamed is how many rows a change names; of more it says how many.
const maxNamed = 6

// writeChanges lists what each microversion changes: the rows that it adds and takes away, and what the schemas of the others accept.
func writeChanges(b *strings.Builder, s *httpapi.Service) {
	type change struct {
		at    httpapi.Microversion
		text  string
		lines []string // the rows
	}
	var all []*change
	note := func(at httpapi.Microversion, text, row string) {
		for _, c := range all {
			if c.at == at && c.text == text {
				if !slices.Contains(c.lines, row) {
					c.lines = append(c.lines, row)
				}
				return
			}
		}
		all = append(all, &change{at, text, []string{row}})
	}
	for i := range s.Routes {
		r := &s.Routes[i]
		if strings.HasPrefix(r.Path, "/os-volumes_boot") {
			continue // another name of rows that are there
		}
		name := "`" + r.Method + " " + shown(r.Path) + "`"
		if r.Action != "" {
			name = "`" + r.Action + "`"
		}
		if r.Min > s.Versioning.Min && !slices.ContainsFunc(s.Routes, func(o httpapi.Route) bool { return rowKey(&o) == rowKey(r) && o.Max == r.Min-1 }) {
			note(r.Min, "new", name)
		}
		if r.Max != 0 && r.Max < s.Versioning.Max && !slices.ContainsFunc(s.Routes, func(o httpapi.Route) bool { return rowKey(&o) == rowKey(r) && o.Min == r.Max+1 }) {
			note(r.Max+1, "gone", name)
		}
		for _, schema := range []struct {
			what   string
			schema *httpapi.Schema
		}{{"parameter", r.Query}, {"key", r.Body}} {
			for _, c := range schema.schema.Changes(max(r.Min, s.Versioning.Min), r.Max) {
				note(c.At, changeText(schema.what, c), name)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y *change) int { return cmp.Compare(x.at, y.at) })
	b.WriteString("\n## By microversion\n\nWhat requests may say, as the tables of rows and their schemas have it. Answers follow Nova's, and are not listed.\n\n" +
		"| from | what | where |\n|---|---|---|\n")
	for _, c := range all {
		where := strings.Join(c.lines, ", ")
		if len(c.lines) > maxNamed {
			where = fmt.Sprintf("%d routes", len(c.lines))
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", version(s.Versioning, c.at), c.text, where)
	}
}

func changeText(what string, c httpapi.Change) string {
	path := "`" + c.Path + "`"
	switch c.Kind {
	case httpapi.KeyAdded:
		return what + " " + path
	case httpapi.KeyRemoved:
		return "no " + what + " " + path + " any more"
	case httpapi.KeyRequired:
		return path + " is required"
	case httpapi.KeyOptional:
		return path + " need not be given any more"
	case httpapi.KeysClosed:
		return "unknown " + what + "s are refused"
	case httpapi.KeysOpen:
		return "unknown " + what + "s are let through"
	}
	return path + " accepts other values"
}
