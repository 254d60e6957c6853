package project

import (
	"encoding/json"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const quotaPolicy = "os_compute_api:os-quota-sets:"

func (s *service) quotaRoutes() []httpapi.Route {
	const one = "/os-quota-sets/{id}"
	admin := func(verb string) httpapi.Rule { return httpapi.Admin(quotaPolicy + verb) }
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin(quotaPolicy + verb) }
	class := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-quota-class-sets:" + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: one, Rule: reader("show"), Query: quotaQuery, Handler: s.showQuota},
		{Method: http.MethodGet, Path: one + "/detail", Rule: reader("detail"), Query: quotaQuery, Handler: s.showQuotaDetail},
		{Method: http.MethodGet, Path: one + "/defaults", Rule: httpapi.Authenticated(quotaPolicy + "defaults"), Query: quotaDefaultsQuery,
			Handler: s.showQuotaDefaults},
		{Method: http.MethodPut, Path: one, Rule: admin("update"), Query: quotaQuery, Body: quotaSchema, Handler: s.updateQuota},
		{Method: http.MethodDelete, Path: one, Rule: admin("delete"), Query: quotaQuery, Status: http.StatusAccepted, Handler: s.deleteQuota},
		{Method: http.MethodGet, Path: "/os-quota-class-sets/{id}", Rule: class("show"), Query: base.NoQuery, Handler: s.showQuotaClass},
		{Method: http.MethodPut, Path: "/os-quota-class-sets/{id}", Rule: class("update"), Body: quotaClassSchema, Handler: s.updateQuotaClass},
	}
}

var (
	injectedQuotas = []string{"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
	groupQuotas    = []string{"server_groups", "server_group_members"}
)

// quotaNames returns the limits that a microversion knows: those of networks were hidden at 2.36, of injected files at 2.57.
func quotaNames(v httpapi.Microversion) []string {
	return namesOf(v < 36, true, v < 57)
}

// classNames is quotaNames of quota classes, which hid those of networks at 2.50 and then showed those of server groups.
func classNames(v httpapi.Microversion) []string {
	return namesOf(v < 50, v >= 50, v < 57)
}

func namesOf(networks, groups, injected bool) []string {
	names := structs.QuotaNames()
	if networks {
		names = append(names, structs.NetworkQuotas...)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !groups && slices.Contains(groupQuotas, n) || !injected && slices.Contains(injectedQuotas, n)
	})
}

func pick(values map[string]int64, names []string) map[string]any {
	out := make(map[string]any, len(names)+1)
	for _, n := range names {
		out[n] = values[n]
	}
	return out
}

// projectOfURL returns the project that the URL names, once the caller may know of its limits and it is known to exist.
func projectOfURL(r *httpapi.Request, anybody bool) (structs.ProjectID, state.Reader, error) {
	p := structs.ProjectID(r.Vars["id"])
	if err := r.AllowObject(p, ""); err != nil && !anybody {
		return "", state.Reader{}, err
	}
	rd, err := r.Core.Read(r.Context())
	if err == nil && rd.Project(p) == nil {
		err = httpapi.BadRequest("Project ID %s is not a valid project.", p)
	}
	return p, rd, err
}

// quotaUser is the user that the query names, "" when it names none. Of several, Nova takes the first.
func quotaUser(r *httpapi.Request) structs.UserID { return structs.UserID(r.Query().Get("user_id")) }

func (s *service) showQuota(r *httpapi.Request) (any, error) {
	p, rd, err := projectOfURL(r, false)
	if err != nil {
		return nil, err
	}
	return quotaAnswer(p, pick(rd.QuotaValues(p, quotaUser(r)), quotaNames(r.Version))), nil
}

func (s *service) showQuotaDefaults(r *httpapi.Request) (any, error) {
	p, rd, err := projectOfURL(r, true)
	if err != nil {
		return nil, err
	}
	return quotaAnswer(p, pick(rd.DefaultQuotaValues(), quotaNames(r.Version))), nil
}

func quotaAnswer(p structs.ProjectID, v map[string]any) any {
	v["id"] = p
	return map[string]any{"quota_set": v}
}

// showQuotaDetail shows limits with what is in use. Nothing is ever reserved: usage changes in the transaction that makes what it counts.
func (s *service) showQuotaDetail(r *httpapi.Request) (any, error) {
	p, rd, err := projectOfURL(r, false)
	if err != nil {
		return nil, err
	}
	limits, used := rd.QuotaValues(p, quotaUser(r)), rd.QuotaInUse(p, quotaUser(r))
	v := map[string]any{}
	for _, n := range quotaNames(r.Version) {
		v[n] = map[string]int64{"limit": limits[n], "in_use": used[n], "reserved": 0}
	}
	return quotaAnswer(p, v), nil
}

// quotaBody are the limits of a body under a key, and the flag among them.
func quotaBody(r *httpapi.Request, key string) (set map[string]int64, force bool, err error) {
	body, err := base.Decode[map[string]map[string]json.RawMessage](r)
	if err != nil {
		return nil, false, err
	}
	set = map[string]int64{}
	for name, raw := range (*body)[key] {
		if name == "force" {
			var v base.FlexBool
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, false, httpapi.BadRequest("Malformed request body")
			}
			force = bool(v)
			continue
		}
		var n base.FlexInt
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, false, httpapi.BadRequest("Malformed request body")
		}
		set[name] = int64(n)
	}
	return set, force, nil
}

func (s *service) updateQuota(r *httpapi.Request) (any, error) {
	p, _, err := projectOfURL(r, true)
	if err != nil {
		return nil, err
	}
	set, force, err := quotaBody(r, "quota_set")
	if err != nil {
		return nil, err
	}
	u := quotaUser(r)
	if _, err := fsm.QuotaUpdate.Propose(r.Context(), r.Core, &structs.QuotaUpdateRequest{ProjectID: p, UserID: u, Set: set, Force: force}); err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"quota_set": pick(rd.QuotaValues(p, u), quotaNames(r.Version))}, nil
}

func (s *service) deleteQuota(r *httpapi.Request) (any, error) {
	_, err := fsm.QuotaDelete.Propose(r.Context(), r.Core, &structs.QuotaDeleteRequest{ProjectID: structs.ProjectID(r.Vars["id"]), UserID: quotaUser(r)})
	return nil, err
}

func (s *service) showQuotaClass(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	v := pick(rd.QuotaClassValues(r.Vars["id"]), classNames(r.Version))
	v["id"] = r.Vars["id"]
	return map[string]any{"quota_class_set": v}, nil
}

func (s *service) updateQuotaClass(r *httpapi.Request) (any, error) {
	if n := utf8.RuneCountInString(r.Vars["id"]); n > 255 {
		return nil, httpapi.BadRequest("quota_class_name has %d characters, more than 255.", n)
	}
	set, _, err := quotaBody(r, "quota_class_set")
	if err != nil {
		return nil, err
	}
	if _, err := fsm.QuotaClassUpdate.Propose(r.Context(), r.Core, &structs.QuotaClassUpdateRequest{Name: r.Vars["id"], Set: set}); err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"quota_class_set": pick(rd.QuotaClassValues(r.Vars["id"]), classNames(r.Version))}, nil
}
