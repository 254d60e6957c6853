package httpapi

import (
	"iter"
	"math/big"
	"net/url"
	"strings"
)

// Page is which part of a list is asked for (api-guide, Paginated collections).
type Page struct {
	Limit  int    // at most this many; never above [api]max_limit
	Marker string // the last item that the client has seen; "" begins at the start
	Offset int    // of offset-style lists
	zero   bool   // limit=0 was asked for in so many words
}

// Page reads limit, marker and offset. What is no number is 400.
func (r *Request) Page() (Page, error) {
	q := r.Query()
	p := Page{Limit: r.maxLimit, Marker: q.Get("marker")}
	if q.Has("limit") {
		n, err := pageNumber(q, "limit")
		if err != nil {
			return Page{}, err
		}
		p.zero = n == 0
		p.Limit = min(n, r.maxLimit)
	}
	if q.Has("offset") {
		n, err := pageNumber(q, "offset")
		if err != nil {
			return Page{}, err
		}
		p.Offset = n
	}
	return p, nil
}

// pageNumber reads a parameter as a whole number that is not negative; one beyond all bounds counts as the largest.
func pageNumber(q url.Values, name string) (int, error) {
	n, ok := new(big.Int).SetString(strings.TrimSpace(q.Get(name)), 10)
	switch {
	case !ok:
		return 0, BadRequest("%s param must be an integer", name)
	case n.Sign() < 0:
		return 0, BadRequest("%s param must be non-negative", name)
	case n.BitLen() > 31:
		return 1<<31 - 1, nil
	}
	return int(n.Int64()), nil
}

// MarkerNotFound is the 400 for a marker that is no item.
func MarkerNotFound(marker string) error { return BadRequest("marker [%s] not found", marker) }

// Paginate returns the items after the marker, at most Limit. id is what a marker names. limit=0 gives an empty list.
func Paginate[T any](items iter.Seq[T], p Page, id func(T) string) ([]T, error) {
	out := []T{}
	found := p.Marker == ""
	for v := range items {
		if !found {
			found = id(v) == p.Marker
			continue
		}
		if len(out) >= p.Limit {
			break
		}
		out = append(out, v)
	}
	if !found {
		return nil, MarkerNotFound(p.Marker)
	}
	return out, nil
}

// Slice cuts an offset-style list; there limit=0 is a full page.
func Slice[T any](r *Request, items []T, p Page) []T {
	limit := p.Limit
	if p.zero {
		limit = r.maxLimit
	}
	items = items[min(p.Offset, len(items)):]
	return items[:min(limit, len(items))]
}

// NextLinks returns the value of "<collection>_links": the link to the next page when this one, of n items, is full; nil otherwise. The
// link keeps the query as it came, sorted, with the marker replaced.
func (r *Request) NextLinks(p Page, n int, lastID string) []Link {
	if n == 0 || n < p.Limit {
		return nil
	}
	q := url.Values{}
	for k, v := range r.all() {
		q[k] = v
	}
	q.Set("marker", lastID)
	return []Link{{Rel: "next", Href: r.rootURL + r.URL.EscapedPath() + "?" + q.Encode()}}
}
