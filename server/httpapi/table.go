package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// endpoint is what answers one path template: its rows by method.
type endpoint struct {
	service  *Service
	template string // with the prefix, for metrics
	action   bool   // rows are chosen by the body's one key
	methods  map[string]*rows
}

// rows answer one method of a path. Without actions there is one list, under "".
type rows struct {
	byAction map[string][]*Route // with disjoint ranges of microversions, ascending
	body     bool                // some row has a body schema
	raw      bool
}

// ServeHTTP is never called: the endpoint travels through the router as its handler.
func (*endpoint) ServeHTTP(http.ResponseWriter, *http.Request) {}

// pick returns the row that holds at a version, or nil.
func pick(list []*Route, v Microversion) *Route {
	for _, r := range list {
		if within(v, r.Min, r.Max) {
			return r
		}
	}
	return nil
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func (r *Route) String() string {
	s := r.Method + " " + r.Path
	if r.Action != "" {
		s += " " + r.Action
	}
	return s
}

// check refuses a row that would be served wrongly or without protection.
func (r *Route) check(s *Service) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("httpapi: service %s: row %s: %s", s.Name, r, fmt.Sprintf(format, args...))
	}
	switch {
	case !slices.Contains(methods, r.Method):
		return bad("unknown method %q", r.Method)
	case r.Path != "" && r.Path[0] != '/':
		return bad("the path does not begin with /")
	case r.Rule == nil:
		return bad("no access rule; Anyone lets everybody in")
	case r.Handler == nil:
		return bad("no handler")
	case r.Action != "" && (!strings.HasSuffix(r.Path, "/action") || r.Method != http.MethodPost):
		return bad("an action row is POST on a path that ends in /action")
	case r.Action == "" && r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/action"):
		return bad("a row on an action path names no action")
	case r.Raw && (r.Body != nil || r.Action != ""):
		return bad("a raw row reads its body itself: it has no schema and no action")
	case r.Max != 0 && r.Min > r.Max:
		return bad("microversions %d to %d are none", r.Min, r.Max)
	case s.Versioning == nil && (r.Min != 0 || r.Max != 0):
		return bad("the service has no microversions")
	}
	for _, p := range []struct {
		s *Schema
		u use
	}{{r.Body, useBody}, {r.Query, useQuery}} {
		if p.s != nil {
			if err := p.s.compileRange(r.Min, r.Max, p.u); err != nil {
				return bad("%v", err)
			}
		}
	}
	return nil
}

func overlap(a, b *Route) bool {
	return (a.Max == 0 || b.Min <= a.Max) && (b.Max == 0 || a.Min <= b.Max)
}

// endpoints turns a service's rows into endpoints, in the order of their first rows.
func endpoints(s *Service) ([]*endpoint, error) {
	byPath := map[string]*endpoint{}
	var list []*endpoint
	for i := range s.Routes {
		r := &s.Routes[i]
		if err := r.check(s); err != nil {
			return nil, err
		}
		e := byPath[r.Path]
		if e == nil {
			e = &endpoint{service: s, template: s.Prefix + r.Path, action: strings.HasSuffix(r.Path, "/action"), methods: map[string]*rows{}}
			byPath[r.Path] = e
			list = append(list, e)
		}
		m := e.methods[r.Method]
		if m == nil {
			m = &rows{byAction: map[string][]*Route{}}
			e.methods[r.Method] = m
		}
		for _, other := range m.byAction[r.Action] {
			if overlap(r, other) {
				return nil, fmt.Errorf("httpapi: service %s: row %s is there twice", s.Name, r)
			}
			if r.Raw != other.Raw {
				return nil, fmt.Errorf("httpapi: service %s: rows %s differ in Raw", s.Name, r)
			}
		}
		m.byAction[r.Action] = append(m.byAction[r.Action], r)
		slices.SortFunc(m.byAction[r.Action], func(a, b *Route) int { return cmp.Compare(a.Min, b.Min) })
		m.body = m.body || r.Body != nil
		m.raw = m.raw || r.Raw
	}
	return list, nil
}

// projectVar is the variable of the project id in a path; the handler compares it with the token's.
const projectVar = "project_id"

// buildRouter makes the one router of all services. A request is led by its prefix, then by its first literal segment, both compared as
// strings, so that only few patterns are tried.
func buildRouter(services []*Service) (*mux.Router, error) {
	root := mux.NewRouter().SkipClean(true).UseEncodedPath()
	byPrefix := slices.Clone(services)
	slices.SortStableFunc(byPrefix, func(a, b *Service) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	for _, s := range byPrefix {
		list, err := endpoints(s)
		if err != nil {
			return nil, err
		}
		sub := root.MatcherFunc(underPrefix(s.Prefix)).Subrouter()
		if err := addEndpoints(sub, s.Prefix, list); err != nil {
			return nil, err
		}
		if s.ProjectInPath {
			n := len(s.Prefix)
			in := sub.MatcherFunc(func(r *http.Request, _ *mux.RouteMatch) bool {
				return isProjectSegment(segment(r.URL.EscapedPath(), n))
			}).Subrouter()
			if err := addEndpoints(in, s.Prefix+"/{"+projectVar+":[0-9a-f-]+}", list); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

// addEndpoints registers paths below a base, grouped by their first segment. Literal paths come before patterns: /servers/detail
// before /servers/{id}.
func addEndpoints(router *mux.Router, base string, list []*endpoint) error {
	list = slices.Clone(list)
	path := func(e *endpoint) string { return strings.TrimPrefix(e.template, e.service.Prefix) }
	slices.SortStableFunc(list, func(a, b *endpoint) int {
		return cmp.Compare(specificity(path(a)), specificity(path(b)))
	})
	groups := map[string]*mux.Router{}
	for _, e := range list {
		p := path(e)
		to := router
		if first := segment(p, 0); first != "" && !strings.Contains(first, "{") {
			if groups[first] == nil {
				groups[first] = router.MatcherFunc(segmentIs(first, base)).Subrouter()
			}
			to = groups[first]
		}
		if err := to.Path(base + p).Handler(e).GetError(); err != nil {
			return fmt.Errorf("httpapi: path %s: %w", e.template, err)
		}
	}
	return nil
}

// specificity orders paths: by which segments are patterns, leftmost first, literal ones before.
func specificity(path string) string {
	var b strings.Builder
	for seg := range strings.SplitSeq(path, "/") {
		switch {
		case !strings.Contains(seg, "{"):
			b.WriteByte('0')
		case strings.Contains(seg, ":"):
			b.WriteByte('1')
		default:
			b.WriteByte('2')
		}
	}
	return b.String()
}

// segment returns the path segment that begins after the first from bytes and their slash.
func segment(path string, from int) string {
	if len(path) <= from+1 {
		return ""
	}
	rest := path[from+1:]
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[:i]
	}
	return rest
}

func segmentIs(want, base string) mux.MatcherFunc {
	if !strings.Contains(base, "{") {
		n := len(base)
		return func(r *http.Request, _ *mux.RouteMatch) bool { return segment(r.URL.EscapedPath(), n) == want }
	}
	n := strings.IndexByte(base, '{') - 1 // the base ends in one pattern: the segment after it counts
	return func(r *http.Request, _ *mux.RouteMatch) bool {
		p := r.URL.EscapedPath()
		return segment(p, n+1+len(segment(p, n))) == want
	}
}

func underPrefix(prefix string) mux.MatcherFunc {
	return func(r *http.Request, _ *mux.RouteMatch) bool { return hasPathPrefix(r.URL.EscapedPath(), prefix) }
}

func hasPathPrefix(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}

func isProjectSegment(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return false
		}
	}
	return s != ""
}
