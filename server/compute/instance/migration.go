package instance

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	migrationPolicy       = "os_compute_api:servers:migrations:"
	migrationsIndexPolicy = "os_compute_api:os-migrations:index"
)

// migrationRoutes are the records of migrations: an operator's list of all, and the live ones that an instance is in.
func (s *service) migrationRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-migrations", Rule: httpapi.ManagerOrAdmin(migrationsIndexPolicy), Query: migrationListQuery, Handler: s.listMigrations},
		{Method: http.MethodGet, Path: "/servers/{server_id}/migrations", Min: 23, Rule: httpapi.ManagerOrAdmin(migrationPolicy + "index"), Query: migrationQuery,
			Handler: s.listLiveMigrations},
		{Method: http.MethodGet, Path: "/servers/{server_id}/migrations/{id}", Min: 23, Rule: httpapi.Admin(migrationPolicy + "show"), Query: migrationQuery,
			Handler: s.showLiveMigration},
		{Method: http.MethodDelete, Path: "/servers/{server_id}/migrations/{id}", Min: 24, Rule: httpapi.ManagerOrAdmin(migrationPolicy + "delete"),
			Status: http.StatusAccepted, Handler: s.abortLiveMigration},
		{Method: http.MethodPost, Path: "/servers/{server_id}/migrations/{id}/action", Action: "force_complete", Min: 22, Status: http.StatusAccepted,
			Rule: httpapi.ManagerOrAdmin(migrationPolicy + "force_complete"), Body: base.Action("force_complete", `{"type": "null"}`), Handler: s.forceLiveMigration},
	}
}

var (
	migrationQuery = base.Schema(`{"type": "object", "properties": {}, "x-closed-from": 102}`)

	migrationListQuery = base.Schema(`{"type": "object", "x-closed-from": 59, "properties": {
		"hidden": @text, "host": @text, "instance_uuid": @text, "source_compute": @text, "status": @text, "migration_type": @text,
		"limit": {"x-min": 59, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1}, "marker": {"x-min": 59, "type": "string"},
		"changes-since": {"x-min": 59, "type": "string", "format": "date-time"}, "changes-before": {"x-min": 66, "type": "string", "format": "date-time"},
		"user_id": {"x-min": 80, "type": "string"}, "project_id": {"x-min": 80, "type": "string"}}}`)
)

// migrationFilter is what a list asks for by equality.
type migrationFilter struct {
	host, source, status, instance, kind, user, project string
	hidden                                              bool
	since, before                                       structs.Time
}

func (f *migrationFilter) passes(m *structs.Migration) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	at := m.UpdatedAt
	return !f.hidden && (f.host == "" || f.host == m.Source || f.host == m.Dest) && is(f.source, m.Source) && is(f.status, string(m.Status)) &&
		is(f.instance, string(m.InstanceID)) && is(f.kind, string(m.Type)) && is(f.user, string(m.UserID)) && is(f.project, string(m.ProjectID)) &&
		(f.since == 0 || at >= f.since) && (f.before == 0 || at-at%structs.Time(time.Second) <= f.before)
}

// migrationFilterOf reads the query. Before the microversions that know them the parameters are not read.
func migrationFilterOf(r *httpapi.Request) (*migrationFilter, error) {
	q := r.Query()
	get := func(k string) string { return base.Last(q[k]) }
	f := &migrationFilter{host: get("host"), source: get("source_compute"), status: get("status"), instance: get("instance_uuid"), kind: get("migration_type"),
		user: get("user_id"), project: get("project_id")}
	f.hidden, _ = base.ParseBool(get("hidden"))
	opts := map[string]string{}
	for k, least := range map[string]httpapi.Microversion{"changes-since": 59, "changes-before": 66} {
		if v := get(k); v != "" && r.Version >= least {
			opts[k] = v
		}
	}
	var err error
	if f.since, err = changeTime(opts, "changes-since"); err != nil {
		return nil, err
	}
	if f.before, err = changeTime(opts, "changes-before"); err != nil {
		return nil, err
	}
	if f.since != 0 && f.before != 0 && f.before < f.since {
		return nil, httpapi.BadRequest("The value of changes-since must be less than or equal to changes-before.")
	}
	return f, nil
}

// listMigrations lists the migrations of the whole cloud, or of a project to whom may not see the others'.
func (s *service) listMigrations(r *httpapi.Request) (any, error) {
	f, err := migrationFilterOf(r)
	if err != nil {
		return nil, err
	}
	if f.project == "" || f.project != string(r.Token.ProjectID) {
		if err := r.Allow(ruleAllMigrations); err != nil {
			return nil, err
		}
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	found := []*structs.Migration{}
	for m := range rd.Migrations() {
		if f.passes(m) {
			found = append(found, m)
		}
	}
	var p httpapi.Page
	if r.Version >= 59 {
		if p, err = r.Page(); err != nil {
			return nil, err
		}
		if p.Marker != "" && rd.Migration(structs.MigrationID(p.Marker)) == nil {
			return nil, httpapi.BadRequest("Marker %s could not be found.", p.Marker)
		}
		if found, err = httpapi.Paginate(slices.Values(found), p, func(m *structs.Migration) string { return string(m.ID) }); err != nil {
			return nil, err
		}
	}
	hosts := r.May(ruleMigrationHosts)
	views := make([]map[string]any, len(found))
	for i, m := range found {
		views[i] = migrationView(r, rd, m, hosts)
	}
	answer := map[string]any{"migrations": views}
	if n := len(found); n > 0 && r.Version >= 59 {
		if next := r.NextLinks(p, n, string(found[n-1].ID)); next != nil {
			answer["migrations_links"] = next
		}
	}
	return answer, nil
}

// migrationView is a migration in the operator's list.
func migrationView(r *httpapi.Request, rd state.Reader, m *structs.Migration, hosts bool) map[string]any {
	v := migrationBase(r, rd, m, hosts)
	v["instance_uuid"], v["old_instance_type_id"], v["new_instance_type_id"] = m.InstanceID, m.OldFlavor.Num, m.NewFlavor.Num
	if r.Version < 23 {
		return v
	}
	v["migration_type"] = m.Type
	if m.Live() {
		v["links"] = r.Links("servers", string(m.InstanceID), "migrations", strconv.FormatInt(m.Num, 10))
	}
	return v
}

// migrationBase is what all views of a migration have. Who may not know of hosts reads null.
func migrationBase(r *httpapi.Request, rd state.Reader, m *structs.Migration, hosts bool) map[string]any {
	v := map[string]any{"id": m.Num, "status": m.Status, "created_at": base.Micros(m.CreatedAt), "updated_at": base.Micros(m.UpdatedAt),
		"source_compute": nil, "source_node": nil, "dest_compute": nil, "dest_node": nil, "dest_host": nil}
	if hosts {
		v["source_compute"], v["source_node"] = m.Source, nodeName(rd, m.SourceID, m.Source)
		if m.DestID != "" {
			v["dest_compute"], v["dest_node"], v["dest_host"] = m.Dest, nodeName(rd, m.DestID, m.Dest), m.DestAddr
		}
	}
	if r.Version >= 59 {
		v["uuid"] = m.ID
	}
	if r.Version >= 80 {
		v["user_id"], v["project_id"] = m.UserID, m.ProjectID
	}
	return v
}

// nodeName is the hypervisor's name of a host; its own when the host is gone.
func nodeName(rd state.Reader, id structs.HostID, name string) string {
	if h := rd.Host(id); h != nil && h.HypervisorHostname != "" {
		return h.HypervisorHostname
	}
	return name
}

// liveView is a live migration that is under way, with how far it is.
func (s *service) liveView(r *httpapi.Request, rd state.Reader, m *structs.Migration, hosts bool) map[string]any {
	v := migrationBase(r, rd, m, hosts)
	v["server_uuid"] = m.InstanceID
	progress := &structs.MigrationProgress{}
	if m.Status == structs.MigrationRunning {
		if p, err := r.Core.MigrationProgress(r.Context(), m); err == nil { // a host that does not answer leaves the figures open
			progress = p
		}
	}
	known := func(n int64) any {
		if n <= 0 {
			return nil
		}
		return n
	}
	for _, x := range []struct {
		name             string
		total, remaining int64
	}{{"memory", progress.MemoryTotal, progress.MemoryRemaining}, {"disk", progress.DiskTotal, progress.DiskRemaining}} {
		v[x.name+"_total_bytes"], v[x.name+"_remaining_bytes"], v[x.name+"_processed_bytes"] = known(x.total), known(x.remaining), known(x.total-x.remaining)
	}
	return v
}

func (s *service) migratingInstance(r *httpapi.Request) (state.Reader, *structs.Instance, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return rd, nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["server_id"])
	return rd, ins, err
}

// listLiveMigrations lists the live migration that the instance is in.
func (s *service) listLiveMigrations(r *httpapi.Request) (any, error) {
	rd, ins, err := s.migratingInstance(r)
	if err != nil {
		return nil, err
	}
	hosts, list := r.AllowFor(ruleLiveMigrationHosts, ins.ProjectID, ins.UserID) == nil, []map[string]any{}
	for m := range rd.MigrationsOfInstance(ins.ID) {
		if m.Live() {
			list = append(list, s.liveView(r, rd, m, hosts))
		}
	}
	return map[string]any{"migrations": list}, nil
}

// migrationOf returns the migration of the URL, named by its number; nil when the instance has none of it.
func migrationOf(rd state.Reader, ins *structs.Instance, num string) *structs.Migration {
	for m := range rd.MigrationsOfInstance(ins.ID) {
		if strconv.FormatInt(m.Num, 10) == num {
			return m
		}
	}
	return nil
}

func (s *service) showLiveMigration(r *httpapi.Request) (any, error) {
	rd, ins, err := s.migratingInstance(r)
	if err != nil {
		return nil, err
	}
	id := r.Vars["id"]
	m := migrationOf(rd, ins, id)
	switch {
	case m == nil:
		return nil, httpapi.NotFound("In-progress live migration %s is not found for server %s.", id, ins.ID)
	case m.Type != structs.MigrationLive:
		return nil, httpapi.NotFound("Migration %s for server %s is not live-migration.", id, ins.ID)
	case !m.Live():
		return nil, httpapi.NotFound("Live migration %s for server %s is not in progress.", id, ins.ID)
	}
	return map[string]any{"migration": s.liveView(r, rd, m, true)}, nil
}

// abortLiveMigration ends a live migration, from 2.65 on also one that waits or is being prepared. The guest stays where it is, unless it has gone by then.
func (s *service) abortLiveMigration(r *httpapi.Request) (any, error) {
	statuses := []structs.MigrationStatus{structs.MigrationRunning}
	if r.Version >= 65 {
		statuses = append(statuses, structs.MigrationQueued, structs.MigrationPreparing)
	}
	return nil, s.signalLiveMigration(r, structs.SignalAbort, structs.OpLiveAbort, httpapi.NotFound, statuses)
}

func (s *service) forceLiveMigration(r *httpapi.Request) (any, error) {
	return nil, s.signalLiveMigration(r, structs.SignalForceComplete, structs.OpLiveForce, httpapi.BadRequest, []structs.MigrationStatus{structs.MigrationRunning})
}

func (s *service) signalLiveMigration(r *httpapi.Request, signal structs.MigrationSignal, action structs.OperationKind, missing func(string, ...any) error,
	statuses []structs.MigrationStatus) error {
	rd, ins, err := s.migratingInstance(r)
	if err != nil {
		return err
	}
	req := &structs.MigrationSignalRequest{InstanceID: ins.ID, Signal: signal, Statuses: statuses, Admin: r.Token.IsAdmin(), Action: s.operation(r, ins, action), Now: s.Time()}
	m := migrationOf(rd, ins, r.Vars["id"])
	if m != nil {
		req.MigrationID = m.ID
	}
	_, err = fsm.MigrationSignal.Propose(r.Context(), r.Core, req)
	if structs.IsKind(err, structs.KindNotFound) && m == nil {
		return missing("Migration %s not found for instance %s", r.Vars["id"], ins.ID)
	}
	return err
}
