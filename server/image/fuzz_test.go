package image

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// FuzzList reads queries: whatever comes, a filter and an order or a refusal.
func FuzzList(f *testing.F) {
	for _, q := range []string{`name=in:"a,b",c&tag=x&tag=y`, "created_at=gt:2026-01-01T00:00:00Z&size_min=5", "sort=name:asc,size", `id=in:"\"`, "sort_key=id&sort_dir=asc"} {
		f.Add(q)
	}
	i := &structs.Image{ID: "a", Name: "n", Tags: []string{"x"}}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if w, err := newFilter(&httpapi.Token{ProjectID: "p"}, q); err == nil {
			w.match(i)
		}
		if o, err := newOrder(q); err == nil && o.compare(i, i) != 0 {
			t.Fatal("an image is not equal to itself")
		}
	})
}

// FuzzPatch decodes operations: what a pointer means is meant again by the pointer that is made of it.
func FuzzPatch(f *testing.F) {
	for _, p := range []string{"/name", "/a~1b~0c", "/", "/~", "name", "/ x "} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pointer string) {
		parts, err := decodePointer(pointer)
		if err == nil && !slices.Contains(parts, "") {
			again := ""
			for _, part := range parts {
				again += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
			}
			if got, err := decodePointer(again); err != nil || !slices.Equal(got, parts) {
				t.Fatalf("%q became %q, and that %q: %v", pointer, parts, got, err)
			}
		}
		raw, err := json.Marshal(pointer)
		if err != nil {
			return
		}
		for _, old := range []bool{false, true} {
			_, _ = decodeOperation(map[string]json.RawMessage{"op": json.RawMessage(`"add"`), "path": raw, "add": raw, "value": raw}, old)
		}
	})
}
