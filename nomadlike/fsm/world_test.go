package fsm_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// world is a cluster of one state machine and a few model hosts, without a clock: now moves when the test says so.
type world struct {
	t     require.TestingT
	store *state.Store
	log   [][]byte // every entry, for replay
	index uint64
	now   structs.Time
	ids   int
	hosts map[structs.HostID]*modelHost
	fail  func(op *structs.Operation, step structs.StepName) *structs.Outcome // nil outcome: the step succeeds
	twice bool                                                                // every step is done and reported twice

	sameHost bool // resizes may stay on their host
}

// modelHost is a hypervisor as simple as can be: guests by instance, with the generation that made them.
type modelHost struct {
	guests map[structs.InstanceID]uint64
	lost   bool   // its client does not answer
	looked uint64 // Host.Leftovers when it last reconciled
	epoch  uint64
}

func newWorld(t require.TestingT, hosts int) *world {
	w := &world{t: t, store: state.NewStore(), now: structs.Time(time.Hour), hosts: map[structs.HostID]*modelHost{}}
	for i := range hosts {
		w.addHost(fmt.Sprintf("host-%d", i))
	}
	return w
}

func (w *world) Propose(_ context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	w.index++
	entry := fsm.EncodeEntry([]fsm.Item{{Type: typ, Body: body}})
	w.log = append(w.log, entry)
	tx := w.store.Begin(w.index)
	r := fsm.Apply(tx, w.index, entry)
	tx.Commit()
	return w.index, r[0].Value, r[0].Err
}

func (w *world) id(kind string) string { w.ids++; return fmt.Sprintf("%s-%04d", kind, w.ids) }

func (w *world) addHost(name string) *structs.Host {
	h, err := fsm.HostRegister.Propose(context.Background(), w, &structs.HostRegisterRequest{Now: w.now, Host: structs.Host{ID: structs.HostID("id-" + name),
		Name: name, Zone: "nova", Session: w.id("session"), DriverHealthy: true, Total: structs.Resources{VCPUs: 16, MemoryMiB: 65536, DiskGiB: 1000}}})
	require.NoError(w.t, err)
	if w.hosts[h.ID] == nil {
		w.hosts[h.ID] = &modelHost{guests: map[structs.InstanceID]uint64{}}
	}
	require.Greater(w.t, h.Epoch, w.hosts[h.ID].epoch, "a session's epoch is above all that the host ever had")
	w.hosts[h.ID].lost, w.hosts[h.ID].epoch = false, h.Epoch
	return h
}

func (w *world) create(n int) ([]structs.InstanceID, error) {
	req := &structs.InstanceCreateRequest{Now: w.now, MinCount: n}
	for range n {
		id := structs.InstanceID(w.id("instance"))
		op := structs.OperationID(w.id("op"))
		req.Instances = append(req.Instances, structs.Instance{ID: id, ProjectID: "p", UserID: "u", Name: string(id),
			Flavor: structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 512, RootGiB: 1}})
		req.Operations = append(req.Operations, structs.Operation{ID: op, InstanceID: id, ProjectID: "p", Kind: structs.OpBuild})
		req.Evaluations = append(req.Evaluations, structs.Evaluation{ID: structs.EvaluationID(w.id("eval")), InstanceID: id, OperationID: op, Status: structs.EvalPending})
	}
	return fsm.InstanceCreate.Propose(context.Background(), w, req)
}

// larger is the flavor that a resize asks for.
var larger = structs.Flavor{ID: "2", VCPUs: 2, MemoryMiB: 1024, RootGiB: 1}

func (w *world) start(id structs.InstanceID, k structs.OperationKind) (structs.OperationID, error) {
	op := structs.Operation{ID: structs.OperationID(w.id("op")), InstanceID: id, ProjectID: "p", Kind: k}
	if k == structs.OpResize {
		op.Args.NewFlavor, op.Args.SameHost = &larger, w.sameHost
	}
	return fsm.OperationCreate.Propose(context.Background(), w, &structs.OperationCreateRequest{Now: w.now, Operation: op})
}

// signal asks something of an instance's live migration.
func (w *world) signal(id structs.InstanceID, s structs.MigrationSignal) error {
	ins := w.store.Snapshot().Instance(id)
	if ins == nil {
		return nil
	}
	_, err := fsm.MigrationSignal.Propose(context.Background(), w, &structs.MigrationSignalRequest{InstanceID: id, MigrationID: ins.MigrationID, Signal: s, Now: w.now,
		Statuses: []structs.MigrationStatus{structs.MigrationQueued, structs.MigrationPreparing, structs.MigrationRunning}})
	return err
}

// schedule places what is pending on the first host that is up and not to be avoided.
func (w *world) schedule() bool {
	r := w.store.Snapshot()
	req := &structs.PlanApplyRequest{Now: w.now}
	for e := range r.PendingEvaluations() {
		op := r.Operation(e.OperationID)
		p := structs.Placement{EvaluationID: e.ID, InstanceID: e.InstanceID, OperationID: e.OperationID, Explanation: &structs.Explanation{Hosts: len(w.hosts)}}
		for h := range r.Hosts() {
			avoided := false
			for _, a := range op.AvoidHosts {
				avoided = avoided || a == h.ID
			}
			move := scheduler.MoveOf(r, op)
			if ok, _ := h.Schedulable(); ok && !avoided && (move == nil || scheduler.MoveRefuses(move, h) == "") {
				p.HostID = h.ID
				break
			}
		}
		req.Placements = append(req.Placements, p)
	}
	if len(req.Placements) == 0 {
		return false
	}
	_, err := fsm.PlanApply.Propose(context.Background(), w, req)
	require.NoError(w.t, err)
	return true
}

// work lets every host that answers do the present run of each of its operations.
func (w *world) work() bool {
	r := w.store.Snapshot()
	did := false
	for op := range r.ActiveOperations() {
		h := w.hosts[op.HostID]
		if h == nil || h.lost {
			continue
		}
		w.now = max(w.now, op.NotBefore)
		attempt := op.Attempt
		for _, s := range operation.Run(op) {
			did = true
			o := w.do(h, op, s.Name, attempt)
			w.report(op.HostID, o)
			if w.twice {
				if o.Error == "" {
					w.do(h, op, s.Name, attempt)
				}
				w.report(op.HostID, o)
			}
			if o.Error != "" {
				break
			}
			attempt = 1
		}
	}
	return did
}

func (w *world) do(h *modelHost, op *structs.Operation, step structs.StepName, attempt int) structs.Outcome {
	undo := op.Status == structs.OpUndoing
	o := structs.Outcome{OperationID: op.ID, Step: step, Attempt: attempt, Undo: undo, Generation: op.Generation, Power: structs.PowerRunning}
	if w.fail != nil {
		if f := w.fail(op, step); f != nil {
			o.Error, o.ErrorKind, o.Retryable = f.Error, f.ErrorKind, f.Retryable
			if step == structs.StepSpawn || step == structs.StepImport || step == structs.StepMigrate && f.ErrorKind == structs.KindUnavailable {
				w.act(h, op, step, &structs.Outcome{}) // the worst case: it failed after it had made the guest
			}
			return o
		}
	}
	w.act(h, op, step, &o)
	return o
}

// act is what a step does to the model host.
func (w *world) act(h *modelHost, op *structs.Operation, step structs.StepName, o *structs.Outcome) {
	_, here := h.guests[op.InstanceID]
	switch step {
	case structs.StepSpawn, structs.StepImport:
		h.guests[op.InstanceID] = op.Generation
	case structs.StepDestroy:
		delete(h.guests, op.InstanceID)
	case structs.StepDiscard, structs.StepForget:
		if op.SourceID != op.DestID {
			delete(h.guests, op.InstanceID)
		}
	case structs.StepMigrate:
		if here {
			delete(h.guests, op.InstanceID)
			w.hosts[op.DestID].guests[op.InstanceID] = op.Generation
		}
	case structs.StepHalt:
		o.Done = !here
	case structs.StepRollback:
		o.Done = here
	case structs.StepArrive, structs.StepReturn, structs.StepBoot:
		if !here {
			o.Error, o.ErrorKind = "the guest is not here", structs.KindNotFound
		}
	}
}

func (w *world) report(host structs.HostID, outcomes ...structs.Outcome) {
	h := w.store.Snapshot().Host(host)
	_, err := fsm.OperationReport.Propose(context.Background(), w, &structs.OperationReportRequest{HostID: host, Epoch: h.Epoch, Outcomes: outcomes, Now: w.now})
	require.NoError(w.t, err)
}

// lose ends a host's lease.
func (w *world) lose(id structs.HostID) {
	h := w.store.Snapshot().Host(id)
	w.hosts[id].lost = true
	_, err := fsm.HostStatus.Propose(context.Background(), w, &structs.HostStatusRequest{Now: w.now, Changes: []structs.HostStatusChange{
		{HostID: id, Epoch: h.Epoch, Status: structs.HostDown, Reason: "test"}}})
	require.NoError(w.t, err)
}

// deleteHost removes a host's record, which the model host outlives.
func (w *world) deleteHost(id structs.HostID, force bool) error {
	_, err := fsm.HostDelete.Propose(context.Background(), w, &structs.HostDeleteRequest{HostID: id, Force: force})
	return err
}

// back brings a lost host back: its client registers anew and destroys what the cluster knows to be deleted or moved.
func (w *world) back(name string) {
	h := w.addHost(name)
	r := w.store.Snapshot()
	var syncs []structs.InstanceSync
	for id := range w.hosts[h.ID].guests {
		if ins := r.Instance(id); ins != nil && !belongs(r, ins, h.ID) {
			delete(w.hosts[h.ID].guests, id)
			syncs = append(syncs, structs.InstanceSync{InstanceID: ins.ID, Generation: ins.Generation, CleanedUp: true})
		}
	}
	slices.SortFunc(syncs, func(a, b structs.InstanceSync) int {
		return strings.Compare(string(a.InstanceID), string(b.InstanceID))
	})
	for ins := range r.InstancesOnHost(h.ID) {
		if ins.Deleted() {
			syncs = append(syncs, structs.InstanceSync{InstanceID: ins.ID, Generation: ins.Generation, CleanedUp: true})
		}
	}
	_, err := fsm.InstanceSync.Propose(context.Background(), w, &structs.InstanceSyncRequest{HostID: h.ID, Epoch: h.Epoch, Syncs: syncs, Now: w.now})
	require.NoError(w.t, err)
}

// backAll brings every lost host back.
func (w *world) backAll() {
	for _, id := range slices.Sorted(maps.Keys(w.hosts)) {
		if w.hosts[id].lost {
			w.back(string(id)[len("id-"):])
		}
	}
}

// belongs reports whether a guest of the instance may be on the host: the rule of Host.Reconcile.
func belongs(r state.Reader, ins *structs.Instance, h structs.HostID) bool {
	claimed := slices.ContainsFunc(slices.Collect(r.Claims(ins.ID)), func(c *structs.Claim) bool { return c.HostID == h })
	return !ins.Deleted() && (ins.HostID == h || claimed)
}

// settle drives everything to its end.
func (w *world) settle() {
	for range 500 {
		w.now += structs.Time(time.Second)
		a, b := w.schedule(), w.work()
		if !a && !b {
			w.reconcile()
			return
		}
	}
	require.Fail(w.t, "operations do not come to an end")
}

// reconcile removes what does not belong on the hosts that are told to look, as their clients do.
func (w *world) reconcile() {
	r := w.store.Snapshot()
	for id, h := range w.hosts {
		told := r.Host(id)
		if h.lost || told == nil || told.Leftovers == h.looked {
			continue
		}
		h.looked = told.Leftovers
		for guest := range h.guests {
			if ins := r.Instance(guest); ins != nil && !belongs(r, ins, id) {
				delete(h.guests, guest)
			}
		}
	}
}

// check asserts what must hold whenever nothing runs: nothing is stuck, nothing is left behind, everything adds up.
func (w *world) check() {
	r := w.store.Snapshot()
	used := map[structs.HostID]structs.Resources{}
	claims := map[structs.InstanceID][]structs.HostID{}
	for c := range r.AllClaims() {
		used[c.HostID] = used[c.HostID].Add(c.Resources)
		claims[c.InstanceID] = append(claims[c.InstanceID], c.HostID)
	}
	for h := range r.Hosts() {
		u := r.HostUsage(h.ID)
		require.Equal(w.t, used[h.ID], u.Used, "usage of %s is the sum of its claims", h.Name)
		require.Zero(w.t, u.Building, "nothing builds on %s", h.Name)
		for id := range w.hosts[h.ID].guests {
			if ins := r.Instance(id); !w.hosts[h.ID].lost && (ins == nil || !belongs(r, ins, h.ID)) {
				require.Fail(w.t, "left behind", "guest of %s on %s: %+v", id, h.Name, w.story(id))
			}
		}
	}
	for u := range r.HostUsages() {
		require.NotNil(w.t, r.Host(u.HostID), "usage of %s, which is no host", u.HostID)
	}
	live, cores := int64(0), int64(0)
	for ins := range r.AllInstances() {
		if ins.Counts() {
			live++
			cores += w.coresOf(r, ins)
		}
		require.Empty(w.t, ins.OperationID, "%s: an operation still runs", ins.ID)
		require.Empty(w.t, ins.Task, "%s is stuck in task_state", ins.ID)
		require.NotEqual(w.t, structs.VMBuilding, ins.VM, "%s is stuck in BUILD", ins.ID)
		w.checkPlaces(r, ins, claims[ins.ID])
		if ins.VM == structs.VMError {
			require.NotNil(w.t, ins.Fault, "%s is in error and does not say why", ins.ID)
			require.NotEmpty(w.t, ins.Fault.Message)
		}
		delete(claims, ins.ID)
	}
	require.Empty(w.t, claims, "claims of instances that are gone")
	require.Equal(w.t, live, r.QuotaUsage("p").Instances)
	require.Equal(w.t, cores, r.QuotaUsage("p").Cores)
	for m := range r.Migrations() {
		ins := r.Instance(m.InstanceID)
		require.True(w.t, m.Status.Final() || m.Status == structs.MigrationFinished && ins.MigrationID == m.ID, "migration of %s is %s", m.InstanceID, m.Status)
	}
	for op := range r.Operations() {
		require.True(w.t, op.Status.Final(), "%s %s is %s", op.Kind, op.ID, op.Status)
	}
	require.Empty(w.t, collect(r.PendingEvaluations()))
}

// coresOf is what the instance takes of the quota.
func (w *world) coresOf(r state.Reader, ins *structs.Instance) int64 {
	n := ins.Flavor.VCPUs
	if ins.VM == structs.VMResized {
		m := r.Migration(ins.MigrationID)
		n = max(m.OldFlavor.VCPUs, m.NewFlavor.VCPUs)
	}
	return int64(n)
}

// checkPlaces asserts where a settled instance is: it has a claim and its guest there and, only while it may yet be sent back, on the host that it left.
func (w *world) checkPlaces(r state.Reader, ins *structs.Instance, claims []structs.HostID) {
	var want []structs.HostID
	if ins.HostID != "" {
		want = append(want, ins.HostID)
	}
	if ins.VM == structs.VMResized {
		if m := r.Migration(ins.MigrationID); m.SourceID != m.DestID {
			want = append(want, m.SourceID)
		}
	} else {
		require.Empty(w.t, ins.MigrationID, "%s is %s with a migration open", ins.ID, ins.VM)
	}
	require.ElementsMatch(w.t, want, claims, "%s is %s: claims where it is, and nowhere else", ins.ID, ins.VM)
	if ins.VM == structs.VMError || ins.VM == structs.VMShelvedOffloaded {
		return
	}
	for _, h := range want {
		if !w.hosts[h].lost {
			require.Contains(w.t, w.hosts[h].guests, ins.ID, "%s is %s", ins.ID, ins.VM)
		}
	}
}

func collect[T any](seq func(func(T) bool)) (out []T) {
	for v := range seq {
		out = append(out, v)
	}
	return out
}

// bytes is the state as a snapshot has it.
func (w *world) bytes() []byte {
	var b bytes.Buffer
	require.NoError(w.t, w.store.Snapshot().Persist(&b))
	return b.Bytes()
}

// replay applies the whole log to an empty state and returns its bytes.
func (w *world) replay() []byte {
	st := state.NewStore()
	for i, e := range w.log {
		tx := st.Begin(uint64(i + 1))
		fsm.Apply(tx, uint64(i+1), e)
		tx.Commit()
	}
	var b bytes.Buffer
	require.NoError(w.t, st.Snapshot().Persist(&b))
	return b.Bytes()
}

// story is what the records say of an instance, for the message of a test that fails.
func (w *world) story(id structs.InstanceID) (lines []string) {
	r := w.store.Snapshot()
	for op := range r.OperationsOfInstance(id) {
		lines = append(lines, fmt.Sprintf("\n%s %s: source %s, dest %s, owner %s, lost %v, error %q", op.Kind, op.Status, op.SourceID, op.DestID, op.OwnerID, op.Lost, op.Error))
		for _, h := range op.History {
			lines = append(lines, fmt.Sprintf("\n   %s/%d undo=%v on %s: %q", h.Step, h.Attempt, h.Undo, h.HostID, h.Error))
		}
	}
	return lines
}
