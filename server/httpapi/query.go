package httpapi

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type rawQuery struct {
	parsed bool
	values url.Values
}

// all returns the query's parameters as they came.
func (r *Request) all() url.Values {
	if !r.raw.parsed {
		r.raw = rawQuery{true, parseQuery(r.URL.RawQuery)}
	}
	return r.raw.values
}

// parseQuery reads a query as Nova does: pairs end at &, and a percent sign that begins no code stands for itself. Package url drops pairs with a
// semicolon or a bad code, and a filter that is dropped lists what was not asked for.
func parseQuery(text string) url.Values {
	q := url.Values{}
	for pair := range strings.SplitSeq(text, "&") {
		if pair != "" {
			k, v, _ := strings.Cut(pair, "=")
			k = unescape(k)
			q[k] = append(q[k], unescape(v))
		}
	}
	return q
}

func unescape(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
