// Package gophercloud shows that gophercloud, the Go client library, works with our Compute API unchanged: every request that it has is made here.
package gophercloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The people of the tests. Their tokens are their names.
const (
	adminProject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	aliceProject = "11111111111111111111111111111111"
	adminUser    = "a0000000000000000000000000000000"
	aliceUser    = "a1111111111111111111111111111111"

	sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8FIhjWOnf5yb7BmAM+dDsv3e8r7LXhRRcVWKUOqGcd alice@example"
)

type people map[string]*httpapi.Token

func (p people) Verify(token string) (*httpapi.Token, error) {
	if t := p[token]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such token")
}

var everybody = people{
	"admin": {UserID: adminUser, ProjectID: adminProject, Roles: []string{"admin", "manager", "member", "reader"}},
	"alice": {UserID: aliceUser, ProjectID: aliceProject, Roles: []string{"member", "reader"}},
}

// cloud is a served compute API over an in-process core, with two flavors and an image.
type cloud struct {
	t     *testing.T
	core  *coretest.Core
	srv   *httptest.Server
	image string
}

func newCloud(t *testing.T, hosts int, s proxy.Services) *cloud {
	t.Helper()
	core := coretest.New()
	h, err := httpapi.NewHandler(core, []*httpapi.Service{compute.NewWith(compute.Options{Now: core.Time}, s), compute.Versions()}, httpapi.Options{Auth: everybody})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, core: core, srv: httptest.NewServer(h)}
	t.Cleanup(c.srv.Close)
	for i := range hosts {
		core.AddHost(fmt.Sprintf("host-%d", i+1))
	}
	now := structs.TimeOf(time.Now())
	for _, f := range []structs.Flavor{{ID: "1", Name: "m1.small", VCPUs: 1, MemoryMiB: 512, RootGiB: 1, Public: true, RxTxFactor: 1, CreatedAt: now},
		{ID: "2", Name: "m1.large", VCPUs: 4, MemoryMiB: 4096, RootGiB: 10, Public: true, RxTxFactor: 1, CreatedAt: now}} {
		propose(c, fsm.FlavorCreate, &structs.FlavorCreateRequest{Flavor: f})
	}
	img := structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Name: "cirros", Size: 1 << 20, Status: structs.ImageActive, Visibility: "public", ProjectID: adminProject, CreatedAt: now}
	propose(c, fsm.ImageUpsert, &structs.ImageUpsertRequest{Image: img, Create: true})
	core.Write(func(tx *state.Txn) {
		for _, p := range []structs.ProjectID{adminProject, aliceProject} {
			tx.PutProject(&structs.Project{ID: p, Name: string(p), DomainID: "default"})
		}
	})
	c.image = string(img.ID)
	return c
}

func propose[Req, Resp any](c *cloud, cmd fsm.Command[Req, Resp], req *Req) Resp {
	c.t.Helper()
	return must[Resp](c.t)(cmd.Propose(context.Background(), c.core, req))
}

// client is one at a microversion; "" sends none.
func (c *cloud) client(token, version string) *gophercloud.ServiceClient {
	return &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{TokenID: token, HTTPClient: *c.srv.Client()}, Endpoint: c.srv.URL + compute.Prefix + "/",
		Type: "compute", Microversion: version}
}

// minor is the number of a client's microversion.
func minor(client *gophercloud.ServiceClient) (n int) {
	_, _ = fmt.Sscanf(client.Microversion, "2.%d", &n)
	return n
}

// at runs a test at each microversion.
func at(t *testing.T, versions string, test func(t *testing.T, version string)) {
	t.Helper()
	t.Parallel()
	for _, v := range append(strings.Fields(versions), "") {
		t.Run("at "+v, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// done demands success of a request without an answer.
func (c *cloud) done(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// refused demands a status and a text in the answer.
func (c *cloud) refused(status int, text string, err error) {
	c.t.Helper()
	if !gophercloud.ResponseCodeIs(err, status) || !strings.Contains(err.Error(), text) {
		c.t.Errorf("%v, want %d with %q", err, status, text)
	}
}

// everything collects all pages of a list.
func everything[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) (all []T, pages int) {
	t.Helper()
	err := p.EachPage(t.Context(), func(_ context.Context, page pagination.Page) (bool, error) {
		list, err := extract(page)
		all, pages = append(all, list...), pages+1
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, pages
}

// drive takes all that is under way to its end, the uploads of images first.
func (c *cloud) drive() {
	c.t.Helper()
	for i := range c.core.Stale().Images() {
		if i.Status != structs.ImageActive {
			propose(c, fsm.ImageFinish, &structs.ImageFinishRequest{ID: i.ID, SHA512: "x", Now: i.CreatedAt})
		}
	}
	c.core.Drive(nil)
}

// boot makes an instance and brings it to its end.
func (c *cloud) boot(client *gophercloud.ServiceClient, opts servers.CreateOpts, hints servers.SchedulerHintOptsBuilder) string {
	c.t.Helper()
	opts.Name, opts.ImageRef, opts.FlavorRef = "vm", c.image, "1"
	if minor(client) >= 37 {
		opts.Networks = "none"
	}
	made := must[*servers.Server](c.t)(servers.Create(c.t.Context(), client, opts, hints).Extract())
	c.drive()
	return made.ID
}

func (c *cloud) get(client *gophercloud.ServiceClient, id string) *servers.Server {
	c.t.Helper()
	return must[*servers.Server](c.t)(servers.Get(c.t.Context(), client, id).Extract())
}

// instance is the one in the state.
func (c *cloud) instance(id string) *structs.Instance {
	return c.core.Stale().Instance(structs.InstanceID(id))
}

// equal compares what an answer says.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
