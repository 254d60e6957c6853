package command

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/api"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/native"
)

// cloud is every service that the command line uses, over HTTP, on a core of one process. Its hosts do what operations ask of
// them as soon as they are asked.
type cloud struct {
	t      *testing.T
	url    string
	core   *coretest.Core
	logger hclog.InterceptLogger

	mu   sync.Mutex
	fail func(*structs.Operation) string // what hosts answer; nil is that all goes well
}

// newCloud starts one that nobody has bootstrapped. Tests that use it change the environment and cannot be parallel.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	clearEnvironment(t)
	store, err := blob.Open(t.TempDir(), nil)
	require.NoError(t, err)
	core := coretest.New()
	core.BlobStore = &blob.Single{Store: store, ServerID: "s1"}
	core.Info = nomadlike.ClusterInfo{ServerID: "s1", LeaderID: "s1", LeaderAddr: "127.0.0.1:4747", IsLeader: true,
		Peers: []nomadlike.Peer{{ID: "s1", Addr: "127.0.0.1:4747", Voter: true, Leader: true}, {ID: "s2", Addr: "127.0.0.2:4747"}},
		Members: []nomadlike.Member{
			{Name: "two", Addr: "127.0.0.2:4748", Role: "client", Status: "failed", Tags: map[string]string{"id": "s2", "zone": "z"}},
			{Name: "one", Addr: "127.0.0.1:4748", Role: "server", Status: "alive", Tags: map[string]string{"id": "s1", "version": "9.9"}}}}
	core.Console = func(*structs.Instance, int) ([]byte, error) { return []byte("line 1\nline 2\n"), nil }
	c := &cloud{t: t, core: core, logger: hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard})}
	propose(t, fsm.ClusterSettingsSet, core, &structs.ClusterSettingsRequest{Settings: structs.DefaultClusterSettings()})
	propose(t, fsm.TokenKeyRotate, core, nomadlike.RotateTokenKeys(nil, now(), time.Hour))
	propose(t, fsm.FlavorCreate, core, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "1", Name: "m1.tiny", VCPUs: 1, MemoryMiB: 128, RootGiB: 1, Public: true}})
	server := httptest.NewServer(c.handler())
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // the stream of events does not end by itself
	c.url = server.URL
	t.Setenv("KILONOVA_ADDR", c.url)
	return c
}

func now() structs.Time { return structs.TimeOf(time.Now()) }

// clearEnvironment hides the developer's own clouds.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OS_") || strings.HasPrefix(name, "KILONOVA_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Chdir(t.TempDir())
}

func propose[Req, Res any](t *testing.T, command fsm.Command[Req, Res], core *coretest.Core, request *Req) {
	t.Helper()
	_, err := command.Propose(context.Background(), core, request)
	require.NoError(t, err)
}

func (c *cloud) handler() http.Handler {
	auth := token.NewAuthenticator(c.core, nil)
	services := append([]*httpapi.Service{compute.New(compute.Options{}), compute.Versions(), native.BootstrapService(), native.MonitorService(c.logger)},
		identity.Services(auth, base.Options{TokenTTL: time.Hour, Endpoints: []base.Endpoint{base.Compute, base.Identity, base.Image}})...)
	services = append(services, image.New(image.Options{})...)
	services = append(services, native.Services(native.Options{Auth: auth, Version: "9.9"})...)
	handler, err := httpapi.NewHandler(c.core, services, httpapi.Options{Auth: auth})
	require.NoError(c.t, err)
	return handler
}

// login bootstraps the cloud and makes its administrator the one who runs commands. The password is hashed as cheaply as can be:
// each command logs in.
func (c *cloud) login() {
	c.t.Helper()
	request, err := bootstrap.Request(bootstrap.Options{AdminPassword: "secret", BcryptCost: bcrypt.MinCost, Now: now()})
	require.NoError(c.t, err)
	propose(c.t, fsm.IdentityUpsert, c.core, request)
	for _, v := range openrcOf(api.Administrator{UserName: "admin", ProjectName: "admin", DomainName: "Default", Password: "secret", AuthURL: c.url + "/identity/v3",
		Region: "RegionOne"}, "") {
		c.t.Setenv(v[0], v[1])
	}
}

// work makes the hosts do what operations ask, until the test ends.
func (c *cloud) work() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	sub, _ := c.core.Events().Subscribe(c.core.Stale().Index())
	go func() {
		defer close(done)
		for {
			if _, _, err := sub.Next(ctx); err != nil {
				return
			}
			c.mu.Lock()
			fail := c.fail
			c.mu.Unlock()
			c.core.Drive(fail)
		}
	}()
	c.t.Cleanup(func() { cancel(); <-done })
}

func (c *cloud) failWith(fail func(*structs.Operation) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

// upload makes an image.
func (c *cloud) upload(name string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "disk.img")
	require.NoError(c.t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	r := run(c.t, "image", "create", name, path, "-public", "-t", "{{.id}}")
	require.Equal(c.t, 0, r.code, r.err)
	return strings.TrimSpace(r.out)
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func run(t *testing.T, args ...string) result { return runWith(t, context.Background(), "", args...) }

func runWith(_ *testing.T, ctx context.Context, stdin string, args ...string) result {
	var out, err safeBuffer
	code := Main(ctx, Env{In: strings.NewReader(stdin), Out: &out, Err: &err}, args)
	return result{code, out.String(), err.String()}
}

// safeBuffer may be read while a command still writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
