//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// caught is an operation that the death of a process meets in its middle.
type caught struct {
	kind structs.OperationKind
	// body is the action that asks for it; HOST, IMAGE and FLAVOR stand for the lane's other host, the image and a larger flavor. "" builds the instance, and
	// DELETE is that method.
	body string
	// at is the step that it is at when the process dies; "" is any. With early it has steps to do before that one, which are quick as long as only earlySlow
	// is slow, and it begins before the others.
	at    structs.StepName
	early bool
	// vm is what it makes of the instance; "" is that the instance is gone.
	vm structs.VMState
}

// lane is an instance that lives through an operation in each round. Its other host is where its moves go to.
type lane struct {
	name, host, other string
	rounds            []caught
	id                string
	round             int // the one that is its turn
}

func (l *lane) now() caught { return l.rounds[l.round] }

// moved notes where the instance is now.
func (l *lane) moved(host string) {
	if host == l.other && host != "" {
		l.host, l.other = l.other, l.host
	}
}

const victimHost, otherHost = "client-1", "client-2"

// lanes meet every kind of operation in one of the rounds. In each round one process is killed: the leader in one test, the client of victimHost in another.
// So what an operation does at that moment is done on victimHost, and moves go from it and to it.
func lanes() []*lane {
	here := func(name string, rounds ...caught) *lane {
		return &lane{name: name, host: victimHost, other: otherHost, rounds: rounds}
	}
	there := func(name string, rounds ...caught) *lane {
		return &lane{name: name, host: otherHost, other: victimHost, rounds: rounds}
	}
	shelve := caught{structs.OpShelve, `{"shelve": null}`, structs.StepPowerOff, false, structs.VMShelved}
	resize := caught{structs.OpResize, `{"resize": {"flavorRef": "FLAVOR"}}`, structs.StepPowerOff, false, structs.VMResized}
	resizeArrives := caught{structs.OpResize, resize.body, structs.StepImport, true, resize.vm}
	migrate := caught{structs.OpMigrate, `{"migrate": {"host": "HOST"}}`, structs.StepPowerOff, false, structs.VMResized}
	migrateArrives := caught{structs.OpMigrate, migrate.body, structs.StepImport, true, migrate.vm}
	live := caught{structs.OpLiveMigrate, `{"os-migrateLive": {"host": "HOST", "block_migration": "auto"}}`, structs.StepMigrate, true, structs.VMActive}
	livePrepares := caught{structs.OpLiveMigrate, live.body, structs.StepPrepare, false, live.vm}
	confirm := caught{structs.OpConfirmResize, `{"confirmResize": null}`, structs.StepForget, false, structs.VMActive}
	revertDiscards := caught{structs.OpRevertResize, `{"revertResize": null}`, structs.StepDiscard, false, structs.VMActive}
	revertReturns := caught{structs.OpRevertResize, revertDiscards.body, structs.StepReturn, true, structs.VMActive}
	image := caught{structs.OpSnapshot, `{"createImage": {"name": "snap"}}`, structs.StepSnapshot, false, structs.VMActive}
	backup := caught{structs.OpBackup, `{"createBackup": {"name": "backup", "backup_type": "daily", "rotation": 1}}`, structs.StepSnapshot, false, structs.VMActive}
	active := func(k structs.OperationKind, body string) caught { return caught{k, body, "", false, structs.VMActive} }
	becomes := func(k structs.OperationKind, action string, vm structs.VMState) caught {
		return caught{k, `{"` + action + `": null}`, "", false, vm}
	}
	remove := becomes(structs.OpDelete, "forceDelete", "")
	return []*lane{
		here("paused", becomes(structs.OpPause, "pause", structs.VMPaused), becomes(structs.OpUnpause, "unpause", structs.VMActive), remove),
		here("suspended", becomes(structs.OpSuspend, "suspend", structs.VMSuspended), becomes(structs.OpResume, "resume", structs.VMActive), image),
		here("rescued", becomes(structs.OpRescue, "rescue", structs.VMRescued), becomes(structs.OpUnrescue, "unrescue", structs.VMActive), backup),
		here("stopped", becomes(structs.OpStop, "os-stop", structs.VMStopped), becomes(structs.OpStart, "os-start", structs.VMActive),
			active(structs.OpRebuild, `{"rebuild": {"imageRef": "IMAGE"}}`)),
		here("shelved", shelve, becomes(structs.OpShelveOffload, "shelveOffload", structs.VMShelvedOffloaded), becomes(structs.OpUnshelve, "unshelve", structs.VMActive)),
		here("unshelved", shelve, becomes(structs.OpUnshelveHere, "unshelve", structs.VMActive)),
		here("deleted", caught{structs.OpSoftDelete, http.MethodDelete, "", false, structs.VMSoftDeleted}, becomes(structs.OpRestore, "restore", structs.VMActive), resize),
		here("guest", active(structs.OpSetPassword, `{"changePassword": {"adminPass": "s3cret"}}`), becomes(structs.OpCrashDump, "trigger_crash_dump", structs.VMActive),
			active(structs.OpSoftReboot, `{"reboot": {"type": "SOFT"}}`)),
		here("new", caught{structs.OpBuild, "", structs.StepSpawn, false, structs.VMActive}, active(structs.OpHardReboot, `{"reboot": {"type": "HARD"}}`), remove),
		here("resized", resize, confirm, livePrepares),
		here("migrated", migrate, revertReturns),
		here("live", live, livePrepares),
		there("resized-to-victim", resizeArrives, revertDiscards, livePrepares),
		there("migrated-to-victim", migrateArrives, revertDiscards),
		there("live-to-victim", livePrepares, migrate),
	}
}

// Every kind of operation is in one of the tests below: a new one needs a case.
func TestEveryKindIsKilled(t *testing.T) {
	t.Parallel()
	have := []structs.OperationKind{structs.OpEvacuate} // TestKilledWhileEvacuating
	for _, l := range lanes() {
		for _, c := range l.rounds {
			have = append(have, c.kind)
		}
	}
	slices.Sort(have)
	want := operation.Kinds()
	slices.Sort(want)
	require.Equal(t, want, slices.Compact(have))
}

// earlySlow are the calls of the steps at which early operations are caught, and slow are those of the others. They take so long that all operations can be
// caught in one moment, and not all as long: when the leader is dead some end before there is another one, and some afterwards.
const (
	earlySlow = "import_disks live_migrate start"
	slow      = "create destroy stop reboot pause unpause suspend resume rescue unrescue rebuild snapshot set_admin_password trigger_crash_dump prepare_migration"
)

// slowDown sets how long calls take from now on: the methods that are named 8 s, those of slow less; "" is as quick as can be. A client that starts again
// begins quick.
func (k *killings) slowDown(methods string) {
	k.t.Helper()
	latency := map[string]string{}
	for i, m := range strings.Fields(methods) {
		latency[m] = "8s"
		if slices.Contains(strings.Fields(slow), m) {
			latency[m] = fmt.Sprintf("%ds", 4+i%5)
		}
	}
	line, err := json.Marshal(map[string]any{"action": "script", "latency": latency})
	require.NoError(k.t, err)
	for _, a := range k.clients {
		if !a.running() {
			continue
		}
		path := controlFile(a)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(k.t, err)
		_, err = fmt.Fprintf(f, "%s\n%s\n", line, line) // the driver notes a line before it obeys it: once it has noted the second one, the first is obeyed
		require.NoError(k.t, errors.Join(err, f.Close()))
		info, err := os.Stat(path)
		require.NoError(k.t, err)
		eventually(k.t, 20*time.Second, a.name+" obeys its control file", func() error {
			h, _, err := journalOf(a)
			if err == nil && h.Control < info.Size() {
				err = fmt.Errorf("it has read %d of %d bytes", h.Control, info.Size())
			}
			return err
		})
	}
}

func controlFile(a *agent) string { return filepath.Join(a.dir, "control") }

// killings are rounds of operations with a death in each.
type killings struct {
	*fleet
	lost          bool // a host was: what it was doing may have been given up
	image, flavor string
	larger        string
}

func newKillings(t *testing.T, clients int, lease time.Duration) *killings {
	t.Helper()
	f := fleetSpec{clients: clients, lease: lease, server: "reclaim_interval = \"1h\"\n shelved_offload_after = \"never\"\n scheduler {\n resize_to_same_host = false\n }\n",
		clientBlock: func(int) string { return "drivers = [\"fake\"]\n" }, clientFile: func(int) string { return "" },
		controlled: true}.start(t)
	k := &killings{fleet: f}
	k.image, k.flavor = f.prepare(f.cloud, bytes.Repeat([]byte("x"), 1<<20))
	disk := 0
	fl, err := flavors.Create(t.Context(), f.cloud.compute, flavors.CreateOpts{Name: "larger", RAM: 128, VCPUs: 2, Disk: &disk}).Extract()
	require.NoError(t, err)
	k.larger = fl.ID
	var me struct {
		Token struct{ Project struct{ ID string } }
	}
	require.NoError(t, f.cloud.get(f.servers[0].url()+"/identity/v3/auth/tokens", &me))
	_, err = f.cloud.send(http.MethodPut, f.cloud.compute.Endpoint+"os-quota-sets/"+me.Token.Project.ID, `{"quota_set": {"instances": 100, "cores": 100}}`)
	require.NoError(t, err)
	return k
}

// build asks for an instance on a host.
func (k *killings) build(c *cloud, name, host string) (id string, err error) {
	body := fmt.Sprintf(`{"server": {"name": %q, "imageRef": %q, "flavorRef": %q, "networks": "none", "host": %q}}`, name, k.image, k.flavor, host)
	b, err := c.send(http.MethodPost, c.compute.Endpoint+"servers", body)
	if err != nil {
		return "", err
	}
	var v struct{ Server struct{ ID string } }
	err = json.Unmarshal(b, &v)
	return v.Server.ID, err
}

// ask begins the lane's operation.
func (k *killings) ask(c *cloud, l *lane) (err error) {
	switch body := l.now().body; body {
	case "":
		l.id, err = k.build(c, l.name, l.host)
	case http.MethodDelete:
		_, err = c.send(http.MethodDelete, c.compute.Endpoint+"servers/"+l.id, "")
	default:
		err = c.act(l.id, strings.NewReplacer("HOST", l.other, "IMAGE", k.image, "FLAVOR", k.larger).Replace(body))
	}
	return err
}

// inParallel calls f for each and waits; the first error fails the test.
func inParallel[T any](t *testing.T, all []T, f func(T) error) {
	t.Helper()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, one := range all {
		wg.Go(func() { errs[i] = f(one) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

type operationView struct {
	ID, Kind, Status, Step, Error string
	InstanceID                    string `json:"instance_id"`
	History                       []any
}

func (k *killings) operations(c *cloud, a *agent, query string) ([]operationView, error) {
	var l struct{ Operations []operationView }
	err := c.get(a.url()+"/v1/operations?"+query, &l)
	return l.Operations, err
}

// begin begins the lanes' operations and returns when every one of them is in its middle.
func (k *killings) begin(c *cloud, a *agent, in []*lane) {
	k.t.Helper()
	var early, rest []*lane
	for _, l := range in {
		if l.now().early {
			early = append(early, l)
		} else {
			rest = append(rest, l)
		}
	}
	k.slowDown(earlySlow)
	inParallel(k.t, early, func(l *lane) error { return k.ask(c, l) })
	k.waitCaught(c, a, early)
	k.slowDown(slow + " " + earlySlow)
	inParallel(k.t, rest, func(l *lane) error { return k.ask(c, l) })
	k.waitCaught(c, a, in)
}

func (k *killings) waitCaught(c *cloud, a *agent, in []*lane) {
	k.t.Helper()
	eventually(k.t, 20*time.Second, "all operations are in their middle", func() error {
		open, err := k.operations(c, a, "active=true&all_projects=true")
		if err != nil {
			return err
		}
		for _, l := range in {
			one := l.now()
			if !slices.ContainsFunc(open, func(o operationView) bool {
				return o.InstanceID == l.id && o.Kind == string(one.kind) && o.Status == "running" && (one.at == "" || o.Step == string(one.at))
			}) {
				return fmt.Errorf("%s of %s (%s) is not at %q, with %d operations open", one.kind, l.name, l.id, one.at, len(open))
			}
		}
		return nil
	})
}

// ended waits until no operation is open.
func (k *killings) ended(c *cloud, a *agent) {
	k.t.Helper()
	eventually(k.t, 90*time.Second, "all operations have ended", func() error {
		open, err := k.operations(c, a, "active=true&all_projects=true")
		if err == nil && len(open) > 0 {
			err = fmt.Errorf("open: %+v", open)
		}
		return err
	})
}

// last is the lane's operation, the newest of its kind.
func (k *killings) last(c *cloud, a *agent, l *lane) operationView {
	k.t.Helper()
	ops, err := k.operations(c, a, "instance="+l.id)
	require.NoError(k.t, err)
	i := slices.IndexFunc(ops, func(o operationView) bool { return o.Kind == string(l.now().kind) })
	require.GreaterOrEqual(k.t, i, 0, "%s: %+v", l.name, ops)
	return ops[i]
}

// done waits until all have ended, and asserts that they did what was asked.
func (k *killings) done(c *cloud, a *agent, in []*lane) {
	k.t.Helper()
	k.ended(c, a)
	for _, l := range in {
		op := k.last(c, a, l)
		require.Equal(k.t, "succeeded", op.Status, "%s: %+v", l.name, op)
	}
}

type instanceView struct {
	ID, Name, Host string
	VM             structs.VMState `json:"vm_state"`
	Task           string          `json:"task_state"`
	Fault          any
}

type migrationView struct {
	UUID, Status string
	Type         string `json:"migration_type"`
	Instance     string `json:"instance_uuid"`
	Source       string `json:"source_compute"`
	Dest         string `json:"dest_compute"`
}

// guest is what the fake driver's journal keeps of a guest.
type guest struct {
	ID     string
	State  string
	Power  driver.PowerState
	VCPUs  int64 `json:"cpus"`
	Memory int64 `json:"mem"`
}

func guestsOf(a *agent) (map[string]guest, error) {
	_, all, err := journalOf(a)
	return all, err
}

type hostRecord struct{ Control int64 }

// journalOf reads the journal of a client's fake driver, whether it runs or not. A line that is being written is not there yet.
func journalOf(a *agent) (host hostRecord, all map[string]guest, err error) {
	all = map[string]guest{}
	b, err := os.ReadFile(filepath.Join(a.dir, "client", "fake", "guests.journal"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host, nil, err
	}
	for line := range bytes.Lines(b) {
		var e struct {
			G *guest
			D *struct{ ID string }
			H *hostRecord
		}
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return host, nil, err
		}
		switch {
		case e.G != nil:
			all[e.G.ID] = *e.G
		case e.D != nil:
			delete(all, e.D.ID)
		case e.H != nil:
			host = *e.H
		}
	}
	return host, all, nil
}

var powerOf = map[structs.VMState]driver.PowerState{
	structs.VMActive: driver.PowerRunning, structs.VMRescued: driver.PowerRunning, structs.VMResized: driver.PowerRunning, structs.VMPaused: driver.PowerPaused,
	structs.VMSuspended: driver.PowerSuspended, structs.VMStopped: driver.PowerShutdown, structs.VMSoftDeleted: driver.PowerShutdown,
	structs.VMShelved: driver.PowerShutdown,
}

// anyPower is that of an instance in error.
const anyPower driver.PowerState = -1

// whole asserts what holds when nothing is under way: no task is left, each instance has one guest, on its host, in its state (and while a resize waits to be
// confirmed a second one, off, where it came from), and claims are the guests.
func (k *killings) whole(c *cloud, a *agent) map[string]instanceView {
	k.t.Helper()
	instances := map[string]instanceView{}
	eventually(k.t, 30*time.Second, "the cluster's records are its guests", func() error {
		var l struct{ Instances []instanceView }
		if err := c.get(a.url()+"/v1/instances?all_projects=true", &l); err != nil {
			return err
		}
		var m struct{ Migrations []migrationView }
		if err := c.get(a.url()+"/compute/v2.1/os-migrations", &m); err != nil {
			return err
		}
		clear(instances)
		want := map[string]map[string]driver.PowerState{}
		expect := func(host, id string, p driver.PowerState) {
			if want[host] == nil {
				want[host] = map[string]driver.PowerState{}
			}
			want[host][id] = p
		}
		for _, i := range l.Instances {
			power, ok := powerOf[i.VM]
			switch {
			case i.VM == structs.VMDeleted:
				continue
			case i.VM == structs.VMError && k.lost && i.Task == "":
				if i.Host != "" {
					expect(i.Host, i.ID, anyPower)
				}
			case i.Task != "" || i.VM == structs.VMError:
				return fmt.Errorf("%+v", i)
			case ok:
				expect(i.Host, i.ID, power)
			case i.VM != structs.VMShelvedOffloaded:
				return fmt.Errorf("%+v", i)
			}
			instances[i.ID] = i
		}
		for _, m := range m.Migrations {
			resized := instances[m.Instance].VM == structs.VMResized
			switch {
			case m.Status == "finished" && resized:
				expect(m.Source, m.Instance, driver.PowerShutdown)
			case k.lost && slices.Contains([]string{"error", "failed", "cancelled"}, m.Status):
			case !slices.Contains([]string{"confirmed", "reverted", "completed"}, m.Status):
				return fmt.Errorf("migration %+v", m)
			}
		}
		return errors.Join(k.guestsAre(c, a, want), k.claimsAre(c, a, want))
	})
	return instances
}

// guestsAre compares what the drivers have with what they should, and with what of each host is counted as used.
func (k *killings) guestsAre(c *cloud, a *agent, want map[string]map[string]driver.PowerState) error {
	var hosts struct {
		Hosts []struct {
			Name string
			Used struct {
				VCPUs  int64
				Memory int64 `json:"memory_mib"`
			}
			Instances int64
			Building  int64
		}
	}
	if err := c.get(a.url()+"/v1/hosts", &hosts); err != nil {
		return err
	}
	var wrong []string
	for _, h := range hosts.Hosts {
		i := slices.IndexFunc(k.clients, func(a *agent) bool { return a.name == h.Name })
		guests, err := guestsOf(k.clients[i])
		if err != nil {
			return err
		}
		have := map[string]driver.PowerState{}
		vcpus, memory := h.Used.VCPUs, h.Used.Memory
		for id, g := range guests {
			if g.State != "" {
				return fmt.Errorf("%s: %+v", h.Name, g)
			}
			have[id] = g.Power
			if want[h.Name][id] == anyPower {
				have[id] = anyPower
			}
			vcpus, memory = vcpus-g.VCPUs, memory-g.Memory
		}
		for _, id := range slices.Concat(slices.Collect(maps.Keys(have)), slices.Collect(maps.Keys(want[h.Name]))) {
			is, there := have[id]
			should, known := want[h.Name][id]
			if is != should || there != known {
				ops, _ := k.operations(c, a, "instance="+id)
				wrong = append(wrong, fmt.Sprintf("%s on %s: %v %d, should be %v %d; operations: %+v", id, h.Name, there, is, known, should, ops))
			}
		}
		if vcpus != 0 || memory != 0 || h.Building != 0 {
			return fmt.Errorf("%s counts as used what %d guests do not have, or lacks it: %d vcpus, %d MiB; %+v", h.Name, len(guests), vcpus, memory, h)
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("guests: there, with a power state: %s", strings.Join(slices.Compact(wrong), "; "))
	}
	return nil
}

// claimsAre compares the claims on each host with the guests that it should have.
func (k *killings) claimsAre(c *cloud, a *agent, want map[string]map[string]driver.PowerState) error {
	var providers struct {
		ResourceProviders []struct{ UUID, Name string } `json:"resource_providers"`
	}
	if err := c.get(a.url()+"/placement/resource_providers", &providers); err != nil {
		return err
	}
	for _, p := range providers.ResourceProviders {
		var v struct{ Allocations map[string]any }
		if err := c.get(a.url()+"/placement/resource_providers/"+p.UUID+"/allocations", &v); err != nil {
			return err
		}
		have, guests := slices.Sorted(maps.Keys(v.Allocations)), slices.Sorted(maps.Keys(want[p.Name]))
		if !slices.Equal(have, guests) {
			return fmt.Errorf("claims on %s are %v, not %v", p.Name, have, guests)
		}
	}
	return nil
}

// create makes the instances of the lanes that do not begin with that.
func (k *killings) create(all []*lane) {
	k.t.Helper()
	inParallel(k.t, all, func(l *lane) (err error) {
		if l.now().body != "" {
			l.id, err = k.build(k.cloud, l.name, l.host)
		}
		return err
	})
	for _, l := range all {
		if l.id != "" {
			waitStatus(k.t, k.cloud, 60*time.Second, "ACTIVE", l.id)
		}
	}
}

// run goes through the rounds. In each, strike kills a process when all operations are in their middle; what it returns is done once they have ended.
func (k *killings) run(strike func(round int) (after func())) {
	k.t.Helper()
	in := lanes()
	k.create(in)
	for round := 0; len(in) > 0; round++ {
		a := k.follower()
		c := login(k.t, a.url(), "admin", k.password, "admin")
		k.begin(c, a, in)
		died := time.Now()
		after := strike(round)
		k.slowDown("")
		k.done(c, a, in)
		instances := k.whole(c, a)
		k.t.Logf("round %d: %d operations ended %v after the death", round, len(in), time.Since(died).Round(time.Millisecond))
		for _, l := range in {
			require.Equal(k.t, l.now().vm, instances[l.id].VM, "%s", l.name)
			l.moved(instances[l.id].Host)
			l.round++
		}
		in = slices.DeleteFunc(in, func(l *lane) bool { return l.round == len(l.rounds) })
		after()
	}
}

// The leader is killed with -9 in the middle of every operation: the next leader ends each of them, done, with nothing left over on any host.
func TestLeaderKilledInEveryOperation(t *testing.T) {
	t.Parallel()
	k := newKillings(t, 2, 20*time.Second)
	k.run(func(int) func() {
		victim := k.leader()
		victim.kill()
		return func() { // it finds its way back, so that the next leader may die
			victim.start()
			eventually(t, 40*time.Second, "the killed server serves again", func() error {
				var v map[string]any
				return k.cloud.get(victim.url()+"/v1/hosts", &v)
			})
		}
	})
}

// The client is killed with -9 in the middle of every operation on its host, moves from it and to it among them, and starts again: each is done, with
// nothing left over on any host. In the second round its driver's process dies too, and in the third one the leader.
func TestClientKilledInEveryOperation(t *testing.T) {
	t.Parallel()
	k := newKillings(t, 2, 30*time.Second)
	k.run(func(round int) func() {
		after, driver := func() {}, []int(nil)
		if round == 1 {
			driver = k.clients[0].pluginPIDs()
			require.Len(t, driver, 1)
		}
		if round == 2 {
			leader := k.leader()
			leader.kill()
			after = leader.start // no round follows that needs it to be there
		}
		k.clients[0].kill()
		for _, pid := range driver {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
		k.clients[0].start()
		return after
	})
}

// waitHost waits until a host has the status.
func (k *killings) waitHost(name, status string) {
	k.t.Helper()
	eventually(k.t, 40*time.Second, name+" is "+status, func() error {
		var h struct {
			Status string
			Why    string `json:"status_reason"`
		}
		if err := k.native("/v1/hosts/"+name, &h); err != nil {
			return err
		}
		if h.Status != status {
			return fmt.Errorf("it is %+v", h)
		}
		return nil
	})
}

// The client is killed with -9 in the middle of every operation on its host, moves from it and to it among them, and is gone for longer than its lease. Each
// operation is done or undone without it, or has left the instance in error; when the client is back, claims, records and guests are one again.
func TestHostLostInEveryOperation(t *testing.T) {
	t.Parallel()
	k := newKillings(t, 2, leaseTTL)
	k.lost = true
	all := k.everything()
	a := k.servers[0]
	k.begin(k.cloud, a, all)
	k.clients[0].kill()
	k.slowDown("")
	k.waitHost(victimHost, "down")
	k.ended(k.cloud, a)
	k.clients[0].start()
	instances := k.whole(k.cloud, a)
	ends := map[string]int{}
	for _, l := range all {
		op, vm, prior := k.last(k.cloud, a, l), instances[l.id].VM, structs.VMActive
		switch {
		case l.now().kind == structs.OpBuild:
			prior = structs.VMError
		case l.round > 0:
			prior = l.rounds[l.round-1].vm
		}
		if op.Status == "succeeded" {
			ends["done"]++
			require.Equal(t, l.now().vm, vm, "%s: %+v", l.name, op)
			continue
		}
		require.Contains(t, []structs.VMState{prior, structs.VMError}, vm, "%s: %+v", l.name, op)
		require.True(t, vm == prior || operation.Of(l.now().kind).Advice != "", "%s is in error, and nothing says what to do then", l.name)
		ends[string(vm)]++
	}
	t.Logf("%d operations: %v", len(all), ends)
	for id := range instances { // and whatever they are in, they can be deleted
		require.NoError(t, k.cloud.act(id, `{"forceDelete": null}`))
	}
	k.ended(k.cloud, a)
	require.Empty(t, k.whole(k.cloud, a))
}

// The leader is killed with -9 when the first of very many operations ends: what hosts have to say then finds it dying, or nobody to say it to.
func TestLeaderKilledAsOperationsEnd(t *testing.T) {
	t.Parallel()
	k := newKillings(t, 2, 20*time.Second)
	all := k.everything()
	a, victim := k.follower(), k.leader()
	c := login(t, a.url(), "admin", k.password, "admin")
	k.slowDown(slow + " " + earlySlow)
	inParallel(t, all, func(l *lane) error { return k.ask(c, l) })
	eventually(t, 20*time.Second, "the first operation has ended", func() error {
		open, err := k.operations(c, a, "active=true&all_projects=true")
		if err == nil && len(open) == len(all) {
			err = errors.New("all are open")
		}
		return err
	})
	victim.kill()
	k.slowDown("")
	k.done(c, a, all)
	instances := k.whole(c, a)
	for _, l := range all {
		require.Equal(t, l.now().vm, instances[l.id].VM, l.name)
	}
}

// everything makes a lane of its own of each round of each lane, and brings each to its last operation, so that one death meets all of them.
func (k *killings) everything() []*lane {
	k.t.Helper()
	var all []*lane
	for _, l := range lanes() {
		for n := range l.rounds {
			rounds := slices.Clone(l.rounds[:n+1])
			if rounds[n].kind == structs.OpBuild {
				rounds[n].at = "" // there are more builds than a host does at once: it may wait for its turn
			}
			all = append(all, &lane{name: fmt.Sprintf("%s-%d-%s", l.name, n, rounds[n].kind), host: l.host, other: l.other, rounds: rounds})
		}
	}
	k.create(all)
	for range 2 {
		k.setup(all)
	}
	return all
}

// setup does the next operation of the lanes that have not come to their last one, undisturbed.
func (k *killings) setup(all []*lane) {
	k.t.Helper()
	in := slices.DeleteFunc(slices.Clone(all), func(l *lane) bool { return l.round == len(l.rounds)-1 })
	inParallel(k.t, in, func(l *lane) error { return k.ask(k.cloud, l) })
	k.done(k.cloud, k.servers[0], in)
	instances := k.whole(k.cloud, k.servers[0])
	for _, l := range in {
		require.Equal(k.t, l.now().vm, instances[l.id].VM, "%s", l.name)
		l.moved(instances[l.id].Host)
		l.round++
	}
}

// A host is lost for good. Its instances are evacuated, while the leader is killed with -9 in the middle, and then the client of the host that they go to. When
// the lost host is back, what is left there goes, and the migrations are complete.
func TestKilledWhileEvacuating(t *testing.T) {
	t.Parallel()
	k := newKillings(t, 3, leaseTTL)
	evacuate := func(name, other string) *lane {
		body := `{"evacuate": {"host": "HOST"}}`
		if other == "" {
			body = `{"evacuate": {}}`
		}
		return &lane{name: name, host: victimHost, other: other, rounds: []caught{{structs.OpEvacuate, body, structs.StepSpawn, false, structs.VMActive}}}
	}
	first := []*lane{evacuate("running", ""), evacuate("stopped", "client-3"), evacuate("rebooting", otherHost)}
	second := []*lane{evacuate("to-the-victim", otherHost), evacuate("also-to-the-victim", otherHost)}
	first[1].rounds[0].vm = structs.VMStopped
	all := slices.Concat(first, second)
	k.create(all)
	require.NoError(t, k.cloud.act(first[1].id, `{"os-stop": null}`))
	waitStatus(t, k.cloud, 30*time.Second, "SHUTOFF", first[1].id)
	k.slowDown("reboot") // one is in the middle of something when its host is lost
	require.NoError(t, k.cloud.act(first[2].id, `{"reboot": {"type": "HARD"}}`))
	waitRunning(t, k.cloud, k.servers[0], first[2].id, string(structs.OpHardReboot))
	k.clients[0].kill()
	k.waitHost(victimHost, "down")

	victim, a := k.leader(), k.follower()
	c := login(t, a.url(), "admin", k.password, "admin")
	k.begin(c, a, first)
	victim.kill()
	k.slowDown("")
	k.done(c, a, first)

	k.begin(c, a, second)
	k.clients[1].kill()
	k.clients[1].start()
	k.slowDown("")
	k.done(c, a, second)
	leftovers, err := guestsOf(k.clients[0])
	require.NoError(t, err)
	require.Len(t, leftovers, len(all), "nobody could tell the lost host yet")

	k.clients[0].start()
	victim.start()
	instances := k.whole(c, a)
	for _, l := range all {
		require.Equal(t, l.now().vm, instances[l.id].VM, l.name)
		require.NotEqual(t, victimHost, instances[l.id].Host)
	}
}
