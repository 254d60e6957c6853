package placement

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

var providersQuery = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {
	"name": {"type": "string"},
	"uuid": {"type": "string", "format": "uuid"},
	"member_of": {"type": "string", "x-min": 3},
	"resources": {"type": "string", "x-min": 4},
	"in_tree": {"type": "string", "format": "uuid", "x-min": 14},
	"required": {"type": "string", "x-min": 18}}}`)

type providerLink struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

type provider struct {
	UUID       string         `json:"uuid"`
	Name       string         `json:"name"`
	Generation uint64         `json:"generation"`
	Links      []providerLink `json:"links"`
}

type nestedProvider struct {
	provider
	Parent *string `json:"parent_provider_uuid"`
	Root   string  `json:"root_provider_uuid"`
}

// providerLinks are the resources below a provider, with the microversion in which each was first listed.
var providerLinks = []struct {
	rel  string
	from httpapi.Microversion
}{{"inventories", 0}, {"usages", 0}, {"aggregates", 1}, {"traits", 6}, {"allocations", 11}}

func viewProvider(r *httpapi.Request, st state.Reader, h *structs.Host) any {
	self := r.Service.Prefix + "/resource_providers/" + string(h.ID)
	p := provider{UUID: string(h.ID), Name: h.HypervisorHostname, Generation: generation(st, h), Links: []providerLink{{"self", self}}}
	if p.Name == "" {
		p.Name = h.Name
	}
	for _, l := range providerLinks {
		if r.Version >= l.from {
			p.Links = append(p.Links, providerLink{l.rel, self + "/" + l.rel})
		}
	}
	if r.Version < 14 {
		return p
	}
	return nestedProvider{provider: p, Root: p.UUID}
}

func showProvider(r *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	return viewProvider(r, st, h), nil
}

func listProviders(r *httpapi.Request) (any, error) {
	want, err := providerFilters(r)
	if err != nil {
		return nil, err
	}
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	out := []any{}
	var newest structs.Time
	for h := range st.Hosts() {
		if !slices.ContainsFunc(want, func(f filter) bool { return !f(st, h) }) {
			out = append(out, viewProvider(r, st, h))
			newest = max(newest, h.UpdatedAt)
		}
	}
	modified(r, newest)
	return map[string]any{"resource_providers": out}, nil
}

// filter reports whether a provider is asked for.
type filter func(st state.Reader, h *structs.Host) bool

func providerFilters(r *httpapi.Request) ([]filter, error) {
	q := r.Query()
	var out []filter
	if name := q.Get("name"); q.Has("name") {
		out = append(out, func(_ state.Reader, h *structs.Host) bool {
			return h.HypervisorHostname == name || h.HypervisorHostname == "" && h.Name == name
		})
	}
	for _, k := range []string{"uuid", "in_tree"} { // every provider is the root of its own tree
		if id := structs.HostID(q.Get(k)); q.Has(k) {
			out = append(out, func(_ state.Reader, h *structs.Host) bool { return h.ID == id })
		}
	}
	for _, m := range q["member_of"] { // no provider is in an aggregate: only what forbids one holds
		none := r.Version >= 32 && strings.HasPrefix(m, "!")
		out = append(out, func(state.Reader, *structs.Host) bool { return none })
	}
	if q.Has("resources") {
		f, err := hasRoom(q.Get("resources"))
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for _, v := range q["required"] {
		f, err := hasTraits(v, r.Version)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// hasRoom reads CLASS:AMOUNT,... and holds for hosts that could give that much now.
func hasRoom(text string) (filter, error) {
	want := map[*class]int64{}
	for part := range strings.SplitSeq(text, ",") {
		name, amount, ok := strings.Cut(part, ":")
		n, err := strconv.ParseInt(amount, 10, 64)
		if !ok || err != nil || n < 1 {
			return nil, httpapi.BadRequest("Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: %s.", part)
		}
		c := classNamed(name)
		if c == nil {
			return nil, httpapi.BadRequest("Invalid resource class in resources parameter: No such resource class %s.", name)
		}
		want[c] = n
	}
	return func(st state.Reader, h *structs.Host) bool {
		capacity, used := h.Capacity(st.ClusterSettings()), st.HostUsage(h.ID).Used
		for c, n := range want {
			if n > c.amount(h.Total) || c.amount(used)+n > c.amount(capacity) {
				return false
			}
		}
		return true
	}, nil
}

var traitName = regexp.MustCompile(`^[A-Z0-9_]+$`)

// hasTraits reads one required parameter: traits with a comma between, !TRAIT since 1.22, in:A,B since 1.39.
func hasTraits(text string, v httpapi.Microversion) (filter, error) {
	list, anyOf := strings.CutPrefix(text, "in:")
	if anyOf && v < 39 {
		return nil, badTraits(text)
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		n, forbidden := strings.CutPrefix(n, "!")
		if !traitName.MatchString(n) || forbidden && (v < 22 || anyOf) {
			return nil, badTraits(text)
		}
	}
	return func(_ state.Reader, h *structs.Host) bool {
		for _, n := range names {
			name, forbidden := strings.CutPrefix(n, "!")
			has := slices.Contains(h.Traits, name)
			if anyOf && has {
				return true
			}
			if !anyOf && has == forbidden {
				return false
			}
		}
		return !anyOf
	}, nil
}

func badTraits(text string) error {
	return httpapi.BadRequest("Invalid query string parameters: Expected 'required' parameter value of the form: HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: %s", text)
}

func providerAggregates(r *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	out := map[string]any{"aggregates": []string{}}
	if r.Version >= 19 {
		out["resource_provider_generation"] = generation(st, h)
	}
	return out, nil
}

func providerTraits(_ *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	traits := h.Traits
	if traits == nil {
		traits = []string{}
	}
	return map[string]any{"traits": traits, "resource_provider_generation": generation(st, h)}, nil
}
