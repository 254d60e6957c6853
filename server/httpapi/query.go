package httpapi

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
)

type rawQuery struct {
	parsed bool
	values url.Values
}

// all returns the query's parameters as they came. A pair that cannot be decoded is left out.
func (r *Request) all() url.Values {
	if !r.raw.parsed {
		r.raw = rawQuery{true, r.URL.Query()}
	}
	return r.raw.values
}

// Query returns the query parameters that hold for this request: those that the route's schema knows, or all when the route has none.
func (r *Request) Query() url.Values {
	if r.query == nil {
		r.query = r.all()
	}
	return r.query
}

// checkQuery judges the query and drops what the schema lets through without knowing it.
func (r *Request) checkQuery(s *Schema) error {
	c, err := s.at(r.Version, useQuery)
	if err != nil {
		return err
	}
	if r.URL.RawQuery == "" && len(asList(asMap(c.doc)["required"])) == 0 {
		r.query = url.Values{}
		return nil
	}
	q := r.all()
	value := make(map[string]any, len(q))
	for k, vs := range q {
		list := make([]any, len(vs))
		for i, v := range vs {
			list[i] = v
		}
		value[k] = list
	}
	if err := c.schema.Validate(value); err != nil {
		text, encErr := json.Marshal(value)
		if encErr != nil {
			return encErr
		}
		return c.explain(err, text, useQuery)
	}
	r.query = q
	if c.open {
		r.query = c.drop(q)
	}
	return nil
}

func (c *variant) drop(q url.Values) url.Values {
	var patterns []*regexp.Regexp
	for p := range asMap(asMap(c.doc)["patternProperties"]) {
		if re, err := regexp.Compile(p); err == nil {
			patterns = append(patterns, re)
		}
	}
	out := make(url.Values, len(q))
	for k, v := range q {
		_, known := slices.BinarySearch(c.known, k)
		if known || slices.ContainsFunc(patterns, func(re *regexp.Regexp) bool { return re.MatchString(k) }) {
			out[k] = v
		}
	}
	return out
}
