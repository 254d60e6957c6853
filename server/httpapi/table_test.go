package httpapi

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
)

// TestRefusesTables names the row of every mistake that a table can have.
func TestRefusesTables(t *testing.T) {
	t.Parallel()
	good := Route{Method: "GET", Path: "/x", Rule: Anyone, Handler: ok(1)}
	with := func(f func(*Route)) Route { r := good; f(&r); return r }
	for want, routes := range map[string][]Route{
		"no access rule":                     {with(func(r *Route) { r.Rule = nil })},
		"no handler":                         {with(func(r *Route) { r.Handler = nil })},
		"row GET /x is there twice":          {good, good},
		"an action row is POST":              {with(func(r *Route) { r.Method, r.Action = "POST", "a" })},
		"names no action":                    {with(func(r *Route) { r.Method, r.Path = "POST", "/x/action" })},
		`unknown method "get"`:               {with(func(r *Route) { r.Method = "get" })},
		"the path does not begin with /":     {with(func(r *Route) { r.Path = "x" })},
		"microversions 5 to 4 are none":      {with(func(r *Route) { r.Min, r.Max = 5, 4 })},
		"a raw row reads its body itself":    {with(func(r *Route) { r.Raw, r.Body = true, MustSchema(`{}`) })},
		"schema at microversion 7":           {with(func(r *Route) { r.Body = MustSchema(`{"properties":{"a":{"x-min":7,"type":"nosuch"}}}`) })},
		"a query schema is an object schema": {with(func(r *Route) { r.Query = MustSchema(`true`) })},
		"httpapi: path":                      {with(func(r *Route) { r.Path = "/{x" })},
	} {
		_, err := NewHandler(coretest.New(), []*Service{compute(routes...)}, Options{})
		assert.ErrorContains(t, err, want)
	}
	for want, s := range map[string]*Service{
		"has no fault style":     {Name: "s", Prefix: "/s"},
		"not of the form":        {Name: "s", Prefix: "/s/", Faults: NovaFaults},
		"has no microversions":   {Name: "s", Prefix: "/s", Faults: NovaFaults, Routes: []Route{with(func(r *Route) { r.Min = 3 })}},
		"share the prefix /same": {Name: "s", Prefix: "/same", Faults: NovaFaults},
	} {
		_, err := NewHandler(coretest.New(), []*Service{{Name: "other", Prefix: "/same", Faults: NovaFaults}, s}, Options{})
		assert.ErrorContains(t, err, want)
	}
	_, err := NewHandler(coretest.New(), []*Service{compute(with(func(r *Route) { r.Max = 9 }), with(func(r *Route) { r.Min = 10 }))}, Options{})
	assert.NoError(t, err, "rows of one path may share it when their ranges do not overlap")
}

// TestLongestPrefixWins: /a/b is not a path of /a.
func TestLongestPrefixWins(t *testing.T) {
	t.Parallel()
	row := func(v string) []Route {
		return []Route{{Method: "GET", Path: "", Rule: Anyone, Handler: ok(v)}, {Method: "GET", Path: "/{id}", Rule: Anyone, Handler: ok(v)}}
	}
	h := newTestHandler(t, Options{}, &Service{Name: "a", Prefix: "/a", Faults: GlanceFaults, Routes: row("a")}, &Service{Name: "b", Prefix: "/a/b", Faults: GlanceFaults, Routes: row("b")})
	for path, want := range map[string]string{"/a": `"a"`, "/a/x": `"a"`, "/a/b": `"b"`, "/a/b/x": `"b"`} {
		assert.Equal(t, want, text(t, do(t, h, "GET", path, "")), path)
	}
}
