package flavor

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) flavorRoutes() []httpapi.Route {
	admin := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-flavor-manage:" + verb) }
	anyone := httpapi.Authenticated("os_compute_api:flavors") // Nova asks nothing but a token
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/flavors", Rule: anyone, Query: flavorListQuery, Handler: s.listFlavors},
		{Method: http.MethodGet, Path: "/flavors/detail", Rule: anyone, Query: flavorListQuery, Handler: s.listFlavors},
		{Method: http.MethodGet, Path: "/flavors/{id}", Rule: anyone, Query: base.NoQuery, Handler: s.showFlavor},
		{Method: http.MethodPost, Path: "/flavors", Rule: admin("create"), Body: flavorCreateSchema, Handler: s.createFlavor},
		{Method: http.MethodPut, Path: "/flavors/{id}", Min: 55, Rule: admin("update"), Body: flavorUpdateSchema, Handler: s.updateFlavor},
		{Method: http.MethodDelete, Path: "/flavors/{id}", Rule: admin("delete"), Status: http.StatusAccepted, Handler: s.deleteFlavor},
	}
}

// Sees reports whether the caller may know of a flavor: users know the public ones and those that their project has access to.
func Sees(r *httpapi.Request, f *structs.Flavor) bool {
	return f.Grants(r.Token.ProjectID) || r.Token.IsAdmin()
}

func flavorOf(r *httpapi.Request, id string) (*structs.Flavor, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	f := rd.Flavor(structs.FlavorID(id))
	if f == nil || !Sees(r, f) {
		return nil, httpapi.NotFound("Flavor %s could not be found.", id)
	}
	return f, nil
}

// flavorView is a flavor as its microversion has it: description from 2.55, extra_specs from 2.61, swap of none "" before 2.75, and without
// rxtx_factor and disabled from 2.102 on.
func flavorView(r *httpapi.Request, f *structs.Flavor) map[string]any {
	id := string(f.ID)
	v := map[string]any{"id": id, "name": f.Name, "ram": f.MemoryMiB, "disk": f.RootGiB, "vcpus": f.VCPUs, "OS-FLV-EXT-DATA:ephemeral": f.EphemeralGiB,
		"os-flavor-access:is_public": f.Public, "links": r.Links("flavors", id), "swap": f.SwapMiB}
	if f.SwapMiB == 0 && r.Version < 75 {
		v["swap"] = ""
	}
	if r.Version < 102 {
		v["OS-FLV-DISABLED:disabled"] = false
		v["rxtx_factor"] = f.RxTxFactor
	}
	if r.Version >= 55 {
		v["description"] = f.Description
	}
	if r.Version >= 61 && r.May(ruleListExtraSpecs) {
		v["extra_specs"] = extraSpecs(f)
	}
	return v
}

func flavorBasic(r *httpapi.Request, f *structs.Flavor) map[string]any {
	id := string(f.ID)
	v := map[string]any{"id": id, "name": f.Name, "links": r.Links("flavors", id)}
	if r.Version >= 55 {
		v["description"] = f.Description
	}
	return v
}

func (s *service) showFlavor(r *httpapi.Request) (any, error) {
	f, err := flavorOf(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"flavor": flavorView(r, f)}, nil
}

func (s *service) listFlavors(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	matches, err := flavorFilter(r)
	if err != nil {
		return nil, err
	}
	order := flavorOrder(r)
	var marker *structs.Flavor
	if p.Marker != "" {
		if marker = rd.Flavor(structs.FlavorID(p.Marker)); marker == nil || !Sees(r, marker) {
			return nil, httpapi.MarkerNotFound(p.Marker)
		}
	}
	found := pickFlavors(rd, matches, order, marker, p.Limit)
	view := flavorBasic
	if strings.HasSuffix(r.Route.Path, "/detail") {
		view = flavorView
	}
	list := make([]map[string]any, len(found))
	for i, f := range found {
		list[i] = view(r, f)
	}
	answer := map[string]any{"flavors": list}
	if n := len(found); n > 0 {
		if next := r.NextLinks(p, n, string(found[n-1].ID)); next != nil {
			answer["flavors_links"] = next
		}
	}
	return answer, nil
}

func pickFlavors(rd state.Reader, matches func(*structs.Flavor) bool, order func(a, b *structs.Flavor) int, marker *structs.Flavor, limit int) []*structs.Flavor {
	var found []*structs.Flavor
	for f := range rd.Flavors() {
		if matches(f) && (marker == nil || order(f, marker) > 0) {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, order)
	return found[:min(limit, len(found))]
}

// flavorFilter reads is_public (administrators only; public ones when it is not said, with those that the project has access to), minRam, minDisk and from
// 2.102 on name.
func flavorFilter(r *httpapi.Request) (func(*structs.Flavor) bool, error) {
	q := r.Query()
	public, everything := true, false
	if v := base.Last(q["is_public"]); len(q["is_public"]) > 0 && r.Token.IsAdmin() {
		var ok bool
		if everything = strings.EqualFold(v, "none"); !everything {
			if public, ok = base.ParseBool(v); !ok {
				return nil, httpapi.BadRequest("Invalid is_public filter [%s]", v)
			}
		}
	}
	var minRAM, minDisk int64
	for _, m := range []struct {
		name string
		to   *int64
	}{{"minRam", &minRAM}, {"minDisk", &minDisk}} {
		if v := q[m.name]; len(v) > 0 {
			n, err := strconv.ParseInt(strings.TrimSpace(base.Last(v)), 10, 64)
			if err != nil {
				return nil, httpapi.BadRequest("Invalid %s filter [%s]", m.name, base.Last(v))
			}
			*m.to = n
		}
	}
	var name *regexp.Regexp
	if v := base.Last(q["name"]); v != "" {
		var err error
		if name, err = regexp.Compile("(?i:" + v + ")"); err != nil {
			return nil, httpapi.BadRequest("Invalid name filter [%s]: it is no regular expression", v)
		}
	}
	return func(f *structs.Flavor) bool {
		return (everything || f.Public == public || public && f.Grants(r.Token.ProjectID)) && f.MemoryMiB >= minRAM && f.RootGiB >= minDisk && (name == nil || name.MatchString(f.Name))
	}, nil
}

var flavorSorts = map[string]func(a, b *structs.Flavor) int{
	"created_at":   func(a, b *structs.Flavor) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
	"description":  func(a, b *structs.Flavor) int { return cmp.Compare(pointed(a.Description), pointed(b.Description)) },
	"ephemeral_gb": func(a, b *structs.Flavor) int { return cmp.Compare(a.EphemeralGiB, b.EphemeralGiB) },
	"flavorid":     func(a, b *structs.Flavor) int { return cmp.Compare(a.ID, b.ID) },
	"id":           func(a, b *structs.Flavor) int { return cmp.Compare(a.CreateIndex, b.CreateIndex) },
	"is_public":    func(a, b *structs.Flavor) int { return base.CompareBools(a.Public, b.Public) },
	"memory_mb":    func(a, b *structs.Flavor) int { return cmp.Compare(a.MemoryMiB, b.MemoryMiB) },
	"name":         func(a, b *structs.Flavor) int { return cmp.Compare(a.Name, b.Name) },
	"root_gb":      func(a, b *structs.Flavor) int { return cmp.Compare(a.RootGiB, b.RootGiB) },
	"rxtx_factor":  func(a, b *structs.Flavor) int { return cmp.Compare(a.RxTxFactor, b.RxTxFactor) },
	"swap":         func(a, b *structs.Flavor) int { return cmp.Compare(a.SwapMiB, b.SwapMiB) },
	"updated_at":   func(a, b *structs.Flavor) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) },
	"vcpus":        func(a, b *structs.Flavor) int { return cmp.Compare(a.VCPUs, b.VCPUs) },
	"disabled":     func(a, b *structs.Flavor) int { return 0 }, // no flavor is disabled
	"vcpu_weight":  func(a, b *structs.Flavor) int { return 0 }, // never set
}

func pointed(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// flavorOrder is the order asked for, by flavorid when none is or when the key ties.
func flavorOrder(r *httpapi.Request) func(a, b *structs.Flavor) int {
	q := r.Query()
	sort := flavorSorts[cmp.Or(base.Last(q["sort_key"]), "flavorid")]
	desc := base.Last(q["sort_dir"]) == "desc"
	return func(a, b *structs.Flavor) int {
		c := cmp.Or(sort(a, b), cmp.Compare(a.ID, b.ID))
		if desc {
			return -c
		}
		return c
	}
}

type flavorCreateBody struct {
	Flavor struct {
		Name        string         `json:"name"`
		ID          base.FlexText  `json:"id"`
		RAM         base.FlexInt   `json:"ram"`
		VCPUs       base.FlexInt   `json:"vcpus"`
		Disk        base.FlexInt   `json:"disk"`
		Ephemeral   base.FlexInt   `json:"OS-FLV-EXT-DATA:ephemeral"`
		Swap        base.FlexInt   `json:"swap"`
		RxTx        *base.FlexText `json:"rxtx_factor"`
		Public      *base.FlexBool `json:"os-flavor-access:is_public"`
		Description *string        `json:"description"`
	} `json:"flavor"`
}

func (s *service) createFlavor(r *httpapi.Request) (any, error) {
	body, err := base.Decode[flavorCreateBody](r)
	if err != nil {
		return nil, err
	}
	in, now := &body.Flavor, s.Time()
	f := structs.Flavor{ID: structs.FlavorID(in.ID), Name: in.Name, VCPUs: int(in.VCPUs), MemoryMiB: int64(in.RAM), RootGiB: int64(in.Disk),
		EphemeralGiB: int64(in.Ephemeral), SwapMiB: int64(in.Swap), RxTxFactor: 1, Public: in.Public == nil || bool(*in.Public),
		Description: in.Description, CreatedAt: now, UpdatedAt: now}
	if f.ID == "" || f.ID == "auto" {
		f.ID = structs.FlavorID(nomadlike.NewUUID())
	}
	if in.RxTx != nil {
		v, err := strconv.ParseFloat(string(*in.RxTx), 64)
		if err != nil || v <= 0 {
			return nil, httpapi.BadRequest("Invalid input for field/attribute rxtx_factor. Value: %s. It must be greater than 0", *in.RxTx)
		}
		f.RxTxFactor = v
	}
	if _, err := fsm.FlavorCreate.Propose(r.Context(), r.Core, &structs.FlavorCreateRequest{Flavor: f}); err != nil {
		return nil, err
	}
	return map[string]any{"flavor": flavorView(r, &f)}, nil
}

func (s *service) updateFlavor(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Flavor struct {
			Description *string `json:"description"`
		} `json:"flavor"`
	}](r)
	if err != nil {
		return nil, err
	}
	f := structs.Flavor{ID: structs.FlavorID(r.Vars["id"]), Description: body.Flavor.Description, UpdatedAt: s.Time()}
	if _, err := fsm.FlavorCreate.Propose(r.Context(), r.Core, &structs.FlavorCreateRequest{Flavor: f, Update: true}); err != nil {
		return nil, err
	}
	return s.showFlavor(r)
}

func (s *service) deleteFlavor(r *httpapi.Request) (any, error) {
	_, err := fsm.FlavorDelete.Propose(r.Context(), r.Core, &structs.FlavorDeleteRequest{ID: structs.FlavorID(r.Vars["id"])})
	return nil, err
}
