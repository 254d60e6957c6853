package agent

import (
	"context"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity"
	idbase "github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/native"
)

// PolicyRules are the rules that server.policy_file may override, with their defaults: those of Compute, Identity, Image and the agent's own API.
var PolicyRules = sync.OnceValue(func() []policy.Rule {
	services := slices.Concat(compute.Services(compute.Options{}, proxy.Services{}),
		native.Services(native.Options{Metrics: http.NotFoundHandler()}), []*httpapi.Service{native.BootstrapService(), native.MonitorService(nil)},
		identity.Services(nil, idbase.Options{}), image.New(image.Options{}))
	rules, err := httpapi.PolicyRules(services)
	if err != nil {
		panic("agent: " + err.Error()) // the tables are constants
	}
	return rules
})

// LoadPolicy reads a policy file over the defaults; "" is the defaults alone.
func LoadPolicy(path string) (*policy.Set, error) {
	if path == "" {
		return policy.New(PolicyRules())
	}
	return policy.Load(path, PolicyRules())
}

// policyPeriod is how often the file is looked at.
const policyPeriod = 2 * time.Second

// policyKeeper keeps the rules in force those of the file. What is wrong with the file leaves them as they are.
type policyKeeper struct {
	live   *policy.Live
	logger hclog.Logger

	mu   sync.Mutex
	path string
	seen os.FileInfo // the file when it was last read, nil without one
}

func newPolicyKeeper(path string, logger hclog.Logger) (*policyKeeper, error) {
	k := &policyKeeper{live: policy.NewLive(nil), logger: logger}
	return k, k.load(path)
}

// load puts a file's rules in force, and follows that file from then on.
func (k *policyKeeper) load(path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read(path, look(path))
}

// look is done before the file is read: what is written meanwhile is seen as a change.
func look(path string) os.FileInfo {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

func (k *policyKeeper) read(path string, info os.FileInfo) error {
	set, err := LoadPolicy(path)
	if err != nil {
		return err
	}
	k.live.Replace(set)
	k.path, k.seen = path, info
	for _, note := range set.Notes() {
		k.logger.Warn("policy file", "note", note)
	}
	return nil
}

// poll reads the file again when it has changed. A file that is wrong, or gone, is said once for each change.
func (k *policyKeeper) poll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	info := look(k.path)
	if k.path == "" || same(info, k.seen) {
		return
	}
	if err := k.read(k.path, info); err != nil {
		k.seen = info
		k.logger.Error("the changed policy file cannot be used; the rules stay as they were", "policy_file", k.path, "error", err)
		return
	}
	k.logger.Info("policy file read again", "policy_file", k.path)
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// run polls until ctx ends.
func (k *policyKeeper) run(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.poll()
		case <-ctx.Done():
			return
		}
	}
}

// reloadPolicy reads the file even when its name is the same.
func (a *agent) reloadPolicy(_ context.Context, next *Runtime) error {
	return a.policy.load(next.Server.PolicyFile)
}
