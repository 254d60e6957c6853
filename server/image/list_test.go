package image

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (c *cloud) seed(images ...structs.Image) {
	c.t.Helper()
	for _, i := range images {
		_, err := fsm.ImageUpsert.Propose(context.Background(), c.core, &structs.ImageUpsertRequest{Image: i, Create: true})
		require.NoError(c.t, err)
	}
}

// ids are what a list answers, in its order.
func (c *cloud) ids(token, query string) []string {
	c.t.Helper()
	out := []string{}
	for _, i := range c.get(token, "/v2/images?"+query).want(c.t, 200).json(c.t)["images"].([]any) {
		out = append(out, i.(map[string]any)["id"].(string))
	}
	return out
}

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(n int) structs.Time { return structs.TimeOf(day.Add(time.Duration(n) * time.Hour)) }

func seeded(t *testing.T) *cloud {
	c := newCloud(t, nil)
	c.seed(
		structs.Image{ID: "a", Name: "alpha", ProjectID: "p1", Visibility: "private", Status: "active", DiskFormat: "qcow2", ContainerFormat: "bare",
			Size: 100, MinDiskGiB: 1, Tags: []string{"x", "y"}, Properties: map[string]string{"os_distro": "debian"}, MD5: "m", SHA512: "h", CreatedAt: at(1), UpdatedAt: at(9)},
		structs.Image{ID: "b", Name: "beta, two", ProjectID: "p1", Visibility: "shared", Status: "queued", DiskFormat: "raw", ContainerFormat: "ami", Protected: true,
			Tags: []string{"x"}, CreatedAt: at(2), UpdatedAt: at(2) + 500},
		structs.Image{ID: "c", Name: "gamma", ProjectID: "p1", Visibility: "community", Status: "active", Size: 300, DiskFormat: "raw", CreatedAt: at(3), UpdatedAt: at(3)},
		structs.Image{ID: "d", Name: "delta", ProjectID: "p2", Visibility: "public", Status: "active", Size: 200, DiskFormat: "iso", CreatedAt: at(4), UpdatedAt: at(4)},
		structs.Image{ID: "e", Name: "epsilon", ProjectID: "p2", Visibility: "community", Status: "active", CreatedAt: at(5), UpdatedAt: at(5)},
		structs.Image{ID: "f", Name: "secret", ProjectID: "p2", Visibility: "private", Status: "active", CreatedAt: at(6), UpdatedAt: at(6)},
		structs.Image{ID: "g", Name: "hidden", ProjectID: "p1", Visibility: "private", Status: "active", Hidden: true, CreatedAt: at(7), UpdatedAt: at(7)},
	)
	return c
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	c := seeded(t)
	stamp := url.QueryEscape(day.Add(3 * time.Hour).Format(time.RFC3339))
	for query, want := range map[string]string{
		"":                                  "d c b a", // newest first, without hidden and others' community images
		"visibility=all":                    "e d c b a",
		"visibility=community":              "e c",
		"visibility=public":                 "d",
		"visibility=private":                "a",
		"visibility=shared":                 "b",
		"os_hidden=true":                    "g",
		"name=alpha":                        "a",
		"name=eq:alpha":                     "a",
		"name=in:alpha,gamma":               "c a",
		`name=in:%22beta, two%22,alpha`:     "b a",
		"status=queued":                     "b",
		"status=in:queued,saving":           "b",
		"id=in:a,d,f":                       "d a",
		"id=c":                              "c",
		"owner=p2":                          "d",
		"tag=x":                             "b a",
		"tag=x&tag=y":                       "a",
		"disk_format=raw":                   "c b",
		"container_format=ami":              "b",
		"size_min=200":                      "d c",
		"size_max=150&size_min=1":           "a",
		"size=300":                          "c",
		"min_disk=1":                        "a",
		"protected=true":                    "b",
		"protected=false&name=beta, two":    "",
		"os_distro=debian":                  "a",
		"nosuch=":                           "",
		"deleted=true":                      "d c b a", // as in Glance, which lists none that are deleted
		"os_distro=debian&tag=x&name=alpha": "a",
		"os_hidden=TRUE":                    "g",
		"min_ram=0&virtual_size_max=5":      "d c b a",
		"checksum=m":                        "a",
		"os_hash_value=h":                   "a",
		"os_hash_algo=sha512":               "a",
		"created_at=" + stamp:               "c",
		"created_at=gt:" + stamp:            "d",
		"created_at=gte:" + stamp:           "d c",
		"created_at=lt:" + stamp:            "b a",
		"created_at=lte:" + stamp:           "c b a",
		"created_at=neq:" + stamp:           "d b a",
		"updated_at=2026-01-02T05:04:05":    "b",
		"updated_at=gt:2026-01-02":          "d c b a",
		"sort=name:asc":                     "a b d c",
		"sort=name":                         "c d b a",
		"sort=status:asc,size:desc":         "c d a b",
		"sort_key=size&sort_dir=asc":        "b a d c",
		"sort_key=size":                     "c d a b",
		"sort_key=status&sort_key=name":     "b c d a",
		"sort_dir=asc":                      "a b c d",
		"limit=2":                           "d c",
		"limit=0":                           "",
		"marker=c":                          "b a",
		"marker=c&sort=name:asc":            "",
		"marker=d&sort=name:asc&limit=1":    "c",
		"marker=e":                          "d c b a", // seen, though this list leaves it out
		"member_status=all":                 "d c b a",
		"name=in:":                          "",
		"sort=disk_format:asc,id:asc":       "d a b c",
		"sort=container_format:asc,id:desc": "d c b a",
		"sort=updated_at:desc":              "a d c b",
	} {
		require.Equal(t, want, strings.Join(c.ids(member, strings.ReplaceAll(query, " ", "%20")), " "), query)
	}
	require.Equal(t, "f e d", strings.Join(c.ids(other, ""), " "))
	require.Equal(t, "f d b a", strings.Join(c.ids(admin, ""), " "), "an administrator sees all but others' community images")
	require.Equal(t, "f", strings.Join(c.ids(admin, "visibility=private&owner=p2"), " "))
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	c := seeded(t)
	for query, says := range map[string]string{
		"limit=x":                                 "limit param must be an integer",
		"limit=-1":                                "limit param must be positive",
		"marker=f":                                "No image found with ID f",
		"marker=none":                             "No image found with ID none",
		"visibility=secret":                       "Invalid visibility value: secret",
		"os_hidden=maybe":                         "Invalid value 'maybe' for 'os_hidden' filter",
		"protected=1":                             "Invalid value '1' for 'protected' filter",
		"size_min=big":                            "Unable to filter on a range with a non-numeric value.",
		"created_at=yesterday":                    "Use ISO 8601",
		"created_at=gt:x":                         "Use ISO 8601",
		"created_at=near:2026-01-02T03:04:05Z":    "unknown operator 'near'",
		"name=like:x":                             "unknown operator 'like'",
		"name=in:%22x":                            "Invalid filter value",
		"name=in:a%22x%22":                        "Invalid filter value",
		"name=in:%22a%22b":                        "Invalid filter value",
		"changes-since=2026-01-01":                "no longer available",
		"sort_key=owner":                          "Invalid sort key: owner",
		"sort_key=name&sort_dir=up":               "Invalid sort direction: up",
		"sort=name:up":                            "Invalid sort direction: up",
		"sort=name&sort_key=id":                   "cannot be combined",
		"sort_key=name&sort_dir=asc&sort_dir=asc": "does not match the number of sort keys",
		"member_status=odd":                       "Invalid status: odd",
	} {
		c.get(member, "/v2/images?"+query).want(t, 400, says)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.DefaultLimit, o.MaxLimit = 10, 20 })
	for n := range 30 {
		c.seed(structs.Image{ID: structs.ImageID(fmt.Sprintf("i%02d", n)), ProjectID: "p1", Visibility: "private", Status: "active",
			Name: fmt.Sprint(n % 3), CreatedAt: at(n % 7)})
	}
	whole := c.ids(member, "limit=20&sort=name:asc")
	require.Len(t, whole, 20, "the most in one page")
	var got []string
	next := "/v2/images?sort=name%3Aasc&limit=7"
	for next != "" {
		v := c.get(member, next).want(t, 200).json(t)
		require.Equal(t, "/v2/images?limit=7&sort=name%3Aasc", v["first"])
		require.Equal(t, "/v2/schemas/images", v["schema"])
		for _, i := range v["images"].([]any) {
			got = append(got, i.(map[string]any)["id"].(string))
		}
		next, _ = v["next"].(string)
	}
	require.Len(t, got, 30)
	require.Equal(t, whole, got[:20])
	slices.Sort(got)
	require.Len(t, slices.Compact(got), 30, "each once")

	v := c.get(member, "/v2/images").want(t, 200).json(t)
	require.Len(t, v["images"], 10)
	require.Equal(t, "/v2/images", v["first"])
	require.Contains(t, v["next"], "/v2/images?marker=")
}
