package instance

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// listInstances is GET /servers and GET /servers/detail.
func (s *service) listInstances(r *httpapi.Request) (any, error) {
	detail := strings.HasSuffix(r.Route.Path, "/detail")
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	f, err := newInstanceFilter(r, rd, detail)
	if err != nil {
		return nil, err
	}
	order, err := newInstanceOrder(r, rd)
	if err != nil {
		return nil, err
	}
	order.natural = order.natural && f.sorted()
	var marker *structs.Instance
	if p.Marker != "" && p.Limit > 0 { // as Nova, which asks nothing of its database for a page of none
		if marker = rd.Instance(structs.InstanceID(p.Marker)); marker == nil {
			return nil, httpapi.MarkerNotFound(p.Marker)
		}
	}
	var from *structs.Instance
	if order.natural {
		from = marker
	}
	found := pick(f.candidates(rd, from), f.match, order, marker, p.Limit)
	return encodeInstances(r, rd, found, p, detail), nil
}

// pick returns the first limit instances after marker, in order, that match.
func pick(all iter.Seq[*structs.Instance], match func(*structs.Instance) bool, order *instanceOrder, marker *structs.Instance, limit int) []*structs.Instance {
	if limit == 0 {
		return nil
	}
	var found []*structs.Instance
	for i := range all {
		if marker != nil && order.compare(i, marker) <= 0 || !match(i) {
			continue
		}
		// In the default order of one project they come sorted by their time: once there are enough, only one of the same moment can still belong
		// to the page.
		if order.natural && len(found) >= limit && i.CreatedAt != found[len(found)-1].CreatedAt {
			break
		}
		found = append(found, i)
		if !order.natural && len(found) >= 2*limit+64 { // keep the best only, so that a page of many costs no more memory than two pages
			slices.SortFunc(found, order.compare)
			found = found[:limit]
		}
	}
	slices.SortFunc(found, order.compare)
	return found[:min(limit, len(found))]
}

func encodeInstances(r *httpapi.Request, rd state.Reader, found []*structs.Instance, p httpapi.Page, detail bool) json.RawMessage {
	w := newViewer(r, rd)
	b := append(make([]byte, 0, 4096), `{"servers":[`...)
	for n, i := range found {
		if n > 0 {
			b = append(b, ',')
		}
		if detail {
			b = w.appendDetail(b, i, shapeDetail)
		} else {
			b = w.appendBasic(b, i)
		}
		if n == 0 { // the others are likely to be as large as the first, give or take a tenth
			b = slices.Grow(b, len(b)*(len(found)-1)*11/10+256)
		}
	}
	b = append(b, ']')
	if n := len(found); n > 0 {
		if next := r.NextLinks(p, n, string(found[n-1].ID)); next != nil {
			b = append(b, `,"servers_links":[{"rel":"next","href":`...)
			b = append(base.AppendString(b, next[0].Href), `}]`...)
		}
	}
	return append(b, '}')
}
