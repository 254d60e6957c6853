package image

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// sortKeys compare two images by what a list can be sorted by.
var sortKeys = map[string]func(a, b *structs.Image) int{
	"name":             func(a, b *structs.Image) int { return strings.Compare(a.Name, b.Name) },
	"status":           func(a, b *structs.Image) int { return strings.Compare(string(a.Status), string(b.Status)) },
	"container_format": func(a, b *structs.Image) int { return strings.Compare(a.ContainerFormat, b.ContainerFormat) },
	"disk_format":      func(a, b *structs.Image) int { return strings.Compare(a.DiskFormat, b.DiskFormat) },
	"size":             func(a, b *structs.Image) int { return cmp.Compare(a.Size, b.Size) },
	"id":               func(a, b *structs.Image) int { return strings.Compare(string(a.ID), string(b.ID)) },
	"created_at":       func(a, b *structs.Image) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
	"updated_at":       func(a, b *structs.Image) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) },
}

const sortKeyNames = "name, status, container_format, disk_format, size, id, created_at, updated_at"

// order is what a list is sorted by; it always ends in the id, so that it is total.
type order []orderKey

type orderKey struct {
	key  string
	down bool
}

func (o *order) add(key, dir string) error {
	key, dir = strings.TrimSpace(key), strings.TrimSpace(dir)
	if sortKeys[key] == nil {
		return httpapi.BadRequest("Invalid sort key: %s. It must be one of the following: %s.", key, sortKeyNames)
	}
	if dir != "asc" && dir != "desc" {
		return httpapi.BadRequest("Invalid sort direction: %s", dir)
	}
	*o = append(*o, orderKey{key, dir == "desc"})
	return nil
}

func (o order) compare(a, b *structs.Image) int {
	for _, k := range o {
		if c := sortKeys[k.key](a, b); c != 0 {
			if k.down {
				return -c
			}
			return c
		}
	}
	return 0
}

// newOrder reads sort=key:dir,... or sort_key and sort_dir; without either the newest image comes first.
func newOrder(q url.Values) (order, error) {
	var o order
	last := "desc" // of the keys that make the order total
	if q.Has("sort") {
		if q.Has("sort_key") || q.Has("sort_dir") {
			return nil, httpapi.BadRequest("Old and new sorting syntax cannot be combined")
		}
		for part := range strings.SplitSeq(q.Get("sort"), ",") {
			key, dir, _ := strings.Cut(strings.TrimSpace(part), ":")
			if err := o.add(key, cmp.Or(dir, "desc")); err != nil {
				return nil, err
			}
		}
	} else {
		keys, dirs := q["sort_key"], q["sort_dir"]
		if len(keys) == 0 {
			keys = []string{"created_at"}
		}
		if len(dirs) > 1 && len(dirs) != len(keys) {
			return nil, httpapi.BadRequest("Number of sort dirs does not match the number of sort keys")
		}
		for n, key := range keys {
			dir := "desc"
			if len(dirs) == 1 {
				dir, last = dirs[0], strings.TrimSpace(dirs[0])
			} else if len(dirs) > 1 {
				dir = dirs[n]
			}
			if err := o.add(key, dir); err != nil {
				return nil, err
			}
		}
	}
	for _, key := range []string{"created_at", "id"} {
		if !slices.ContainsFunc(o, func(k orderKey) bool { return k.key == key }) {
			if err := o.add(key, last); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}
