package image

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// list answers GET /v2/images.
func (s *service) list(r *httpapi.Request) (any, error) {
	q := r.Query()
	limit, err := s.limit(q)
	if err != nil {
		return nil, err
	}
	wanted, err := newFilter(r.Token, q)
	if err != nil {
		return nil, err
	}
	order, err := newOrder(q)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	after := func(*structs.Image) bool { return true }
	if q.Has("marker") {
		id := structs.ImageID(strings.ToLower(q.Get("marker")))
		marker := rd.Image(id)
		if marker == nil || !visible(r.Token, rd, marker) {
			return nil, httpapi.BadRequest("No image found with ID %s", q.Get("marker"))
		}
		after = func(i *structs.Image) bool { return order.compare(i, marker) > 0 }
	}
	var found []*structs.Image
	for i := range rd.Images() {
		if after(i) && wanted.match(i) && listed(r.Token, rd, i, q) && mayShow(r, i) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, order.compare)
	return page(q, found[:min(limit, len(found))], limit), nil
}

// listed reports whether an image is in the caller's lists. One that is shared with its project is there when that has said to it what the list asks for.
func listed(t *httpapi.Token, rd state.Reader, i *structs.Image, q url.Values) bool {
	if t.IsAdmin() || i.Visibility == "public" || i.Visibility == "community" || t.ProjectID != "" && t.ProjectID == i.ProjectID {
		return true
	}
	if !rd.ImageShared(i, t.ProjectID) {
		return false
	}
	wanted := structs.ImageMemberAccepted
	if q.Has("member_status") {
		wanted = structs.ImageMemberStatus(q.Get("member_status"))
	}
	return wanted == "all" || rd.ImageMember(i.ID, t.ProjectID).Status == wanted
}

func (s *service) limit(q url.Values) (int, error) {
	if !q.Has("limit") {
		return min(s.opts.DefaultLimit, s.opts.MaxLimit), nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(q.Get("limit")))
	switch {
	case err != nil:
		return 0, httpapi.BadRequest("limit param must be an integer")
	case n < 0:
		return 0, httpapi.BadRequest("limit param must be positive")
	}
	return min(n, s.opts.MaxLimit), nil
}

// page is a list's answer: a full page names the next one, which may turn out to be empty.
func page(q url.Values, images []*structs.Image, limit int) any {
	views := make([]any, len(images))
	for n, i := range images {
		views[n] = view(i)
	}
	rest := url.Values{}
	for k, v := range q {
		if k != "marker" {
			rest[k] = v
		}
	}
	body := map[string]any{"images": views, "schema": "/v2/schemas/images", "first": withQuery(rest)}
	if len(images) > 0 && len(images) == limit {
		rest.Set("marker", string(images[len(images)-1].ID))
		body["next"] = withQuery(rest)
	}
	return body
}

func withQuery(q url.Values) string {
	if len(q) == 0 {
		return imagesPath
	}
	return imagesPath + "?" + q.Encode()
}
