package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPaging holds Nova's paging (api-guide, Paginated collections): limit, marker, next link, limit=0.
func TestPaging(t *testing.T) {
	t.Parallel()
	items := []string{"a", "b", "c", "d", "e"}
	marker := func(r *Request) (any, error) {
		p, err := r.Page()
		if err != nil {
			return nil, err
		}
		got, err := Paginate(slices.Values(items), p, func(s string) string { return s })
		if err != nil {
			return nil, err
		}
		last := ""
		if len(got) > 0 {
			last = got[len(got)-1]
		}
		return map[string]any{"items": got, "items_links": r.NextLinks(p, len(got), last)}, nil
	}
	offset := func(r *Request) (any, error) {
		p, err := r.Page()
		if err != nil {
			return nil, err
		}
		return map[string]any{"items": Slice(r, items, p)}, nil
	}
	any := ReaderOrAdmin("x")
	h := newTestHandler(t, Options{MaxLimit: 3}, compute(Route{Method: "GET", Path: "/m", Rule: any, Handler: marker}, Route{Method: "GET", Path: "/o", Rule: any, Handler: offset}))
	base := "http://cloud:4746/compute/v2.1"
	for _, c := range []struct {
		path   string
		status int
		want   string
		next   string
	}{
		{"/m", 200, "[a b c]", base + "/m?marker=c"},
		{"/m?limit=2", 200, "[a b]", base + "/m?limit=2&marker=b"},
		{"/m?limit=2&marker=b&z=1&name=%26", 200, "[c d]", base + "/m?limit=2&marker=d&name=%26&z=1"},
		{"/m?limit=2&marker=d", 200, "[e]", ""},
		{"/m?marker=e", 200, "[]", ""},
		{"/m?limit=99999999999999999999", 200, "[a b c]", base + "/m?limit=99999999999999999999&marker=c"},
		{"/m?limit=0", 200, "[]", ""},
		{"/m?limit=-1", 400, "limit param must be non-negative", ""},
		{"/m?limit=x", 400, "limit param must be an integer", ""},
		{"/m?marker=zz", 400, "marker [zz] not found", ""},
		{"/" + project + "/m?limit=1", 200, "[a]", base + "/" + project + "/m?limit=1&marker=a"},
		{"/o?limit=0", 200, "[a b c]", ""},
		{"/o?limit=2&offset=3", 200, "[d e]", ""},
		{"/o?offset=9", 200, "[]", ""},
		{"/o?offset=-1", 400, "offset param must be non-negative", ""},
	} {
		r := do(t, h, "GET", "/compute/v2.1"+c.path, "", member)
		require.Equal(t, c.status, r.StatusCode, c.path)
		if c.status != 200 {
			_, _, message := faultOf(t, r)
			assert.Equal(t, c.want, message)
			continue
		}
		var got struct {
			Items []string
			Links []Link `json:"items_links"`
		}
		require.NoError(t, json.Unmarshal([]byte(text(t, r)), &got))
		assert.Equal(t, c.want, fmt.Sprint(got.Items), c.path)
		next := ""
		if len(got.Links) > 0 {
			assert.Equal(t, "next", got.Links[0].Rel)
			next = got.Links[0].Href
		}
		assert.Equal(t, c.next, next, c.path)
	}
}
