package compute_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

func (c *cloud) listed(query string) (ids []string) {
	c.tb.Helper()
	for _, s := range c.want(200, "admin", "2.104", "GET", "/servers?"+query, nil).json(c.tb)["servers"].([]any) {
		ids = append(ids, s.(map[string]any)["id"].(string))
	}
	return ids
}

// Pages put together are the list, whatever its size, order and filter: also where many instances are of one moment, which a page may part.
func TestPagesAreTheList(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.Write(func(tx *state.Txn) {
		for n := range 40 {
			i := &structs.Instance{ID: structs.InstanceID(fmt.Sprintf("00000000-2222-4333-8444-%012d", (n*17)%40)), ProjectID: adminProject, UserID: adminUser, Name: fmt.Sprint("vm-", n%7), VM: structs.VMActive, CreatedAt: someTime + structs.Time(n/6), UpdatedAt: someTime}
			if n%5 == 0 {
				i.VM, i.DeletedAt = structs.VMDeleted, someTime
			}
			if n%11 == 0 {
				i.ProjectID = aliceProject
			}
			tx.PutInstance(i)
		}
	})
	for _, query := range []string{"", "deleted=true", "name=vm-3", "sort_dir=asc", "sort_key=display_name", "all_tenants=1", "changes-since=2020-01-01T00:00:00Z", "all_tenants=1&project_id=" + aliceProject} {
		whole := c.listed(query)
		if len(whole) < 3 {
			t.Errorf("%q lists only %d", query, len(whole))
		}
		for _, limit := range []int{1, 2, 5, 7} {
			var all []string
			for marker := ""; ; {
				page := c.listed(fmt.Sprintf("%s&limit=%d%s", query, limit, marker))
				if all = append(all, page...); len(page) < limit || len(all) > len(whole) {
					break
				}
				marker = "&marker=" + page[len(page)-1]
			}
			if !slices.Equal(all, whole) {
				t.Errorf("%q by %d: %v, want %v", query, limit, all, whole)
			}
		}
	}
}

// Not parallel: AllocsPerRun counts everybody. The bounds are twice what the requests take and more: they are passed by something that is done anew for each instance or each row.
func TestRequestsAllocateLittle(t *testing.T) {
	core := coretest.New()
	fill(t, core, 200)
	c := &cloud{tb: t, core: core}
	c.small()
	image := string(c.cirros().ID)
	h := newHandler(t, core, compute.Options{})
	ids := []string{}
	for i := range core.Stale().Instances(aliceProject) {
		ids = append(ids, string(i.ID))
	}
	for _, r := range []struct {
		what, method, path, body string
		most                     float64
	}{
		{"show", http.MethodGet, "/servers/" + ids[0], "", 200},
		{"list of 200", http.MethodGet, "/servers", "", 300},
		{"details of 200", http.MethodGet, "/servers/detail", "", 350},
		{"details of 10 behind 100", http.MethodGet, "/servers/detail?limit=10&marker=" + ids[99], "", 400},
		{"search of 200", http.MethodGet, "/servers/detail?tags=nosuch&name=x&status=ACTIVE", "", 500},
		{"create", http.MethodPost, "/servers", createBody(image), 3000},
	} {
		got := testing.AllocsPerRun(20, func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request("alice", r.method, r.path, r.body))
			if w.Code >= 300 {
				t.Fatalf("%s: %d %s", r.what, w.Code, w.Body)
			}
		})
		if got > r.most {
			t.Errorf("%s allocates %.0f times, more than %.0f", r.what, got, r.most)
		}
		t.Logf("%s: %.0f", r.what, got)
	}
}
