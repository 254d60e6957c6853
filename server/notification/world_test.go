package notification

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a core in which things happen, and what is told of them.
type world struct {
	t        testing.TB
	core     *coretest.Core
	sub      *event.Subscription
	settings Settings
	now      structs.Time
	id       structs.InstanceID
	told     []Notification
	commits  [][]event.Event
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, core: coretest.New(), settings: Settings{NotifyOnStateChange: OnVMAndTaskStates}, now: structs.TimeOf(time.Date(2012, 10, 29, 13, 42, 11, 0, time.UTC))}
	w.sub, _ = w.core.Events().Subscribe(0)
	_, err := fsm.QuotaSet.Propose(t.Context(), w.core, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: structs.UnlimitedQuota()}})
	must(t, err)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	require.NoError(t, err)
}

// collect translates what was committed since it was called last.
func (w *world) collect() {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		events, whole, err := w.sub.Next(ctx)
		if err != nil {
			return
		}
		require.True(w.t, whole)
		for _, c := range Commits(events) {
			w.commits = append(w.commits, c)
			w.told = append(w.told, Translate(w.settings, w.core.Stale(), c)...)
		}
	}
}

func (w *world) events() []string {
	var names []string
	for _, n := range w.told {
		names = append(names, n.EventType)
	}
	return names
}

// last returns the last notification of that type, or nil.
func (w *world) last(eventType string) *Notification {
	for i := len(w.told) - 1; i >= 0; i-- {
		if w.told[i].EventType == eventType {
			return &w.told[i]
		}
	}
	return nil
}

func (w *world) tick() structs.Time { w.now = w.now.Add(time.Second); return w.now }

const userData = "cGFzc3dvcmQ9aHVudGVyMg=="

func (w *world) instance() structs.Instance {
	description := "some-server"
	return structs.Instance{ID: structs.InstanceID(nomadlike.NewUUID()), ProjectID: "p", UserID: "u", Name: "some-server", Hostname: "some-server", Description: &description,
		ReservationID: "r-npxv0e40", KeyName: "my-key", ImageID: "image", ImageProps: map[string]string{"architecture": "x86_64"}, DiskConfig: "MANUAL", UserData: []byte(userData),
		Tags: []string{"tag"}, TrustedCerts: []string{"cert-id-1"}, Zone: "nova", Metadata: map[string]string{}, SchedulerHints: []byte(`{"group":"x"}`),
		Flavor: structs.Flavor{ID: "f", Name: "test_flavor", VCPUs: 1, MemoryMiB: 512, RootGiB: 1, RxTxFactor: 1, Public: true}}
}

// make makes an instance; group is its server group.
func (w *world) make(group structs.ServerGroupID) {
	ins := w.instance()
	ins.ServerGroupID = group
	w.id = ins.ID
	op := structs.OperationID(nomadlike.NewUUID())
	_, err := fsm.InstanceCreate.Propose(w.t.Context(), w.core, &structs.InstanceCreateRequest{Now: w.tick(), Instances: []structs.Instance{ins},
		Operations:  []structs.Operation{{ID: op, InstanceID: ins.ID, ProjectID: "p", UserID: "u", RequestID: "req-1", Kind: structs.OpBuild}},
		Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: ins.ID, OperationID: op, Status: structs.EvalPending}}})
	must(w.t, err)
	w.collect()
}

func (w *world) operation(kind structs.OperationKind) {
	req := &structs.OperationCreateRequest{Admin: true, Now: w.tick(), Operation: structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: w.id,
		ProjectID: "p", UserID: "u", RequestID: "req-2", Kind: kind}}
	switch kind {
	case structs.OpSnapshot, structs.OpBackup, structs.OpShelve:
		req.Operation.Args.NewImageID = structs.ImageID(nomadlike.NewUUID())
		req.Image = &structs.Image{ID: req.Operation.Args.NewImageID, Status: structs.ImageQueued}
	case structs.OpResize:
		req.Operation.Args.NewFlavor = &structs.Flavor{ID: "f2", Name: "other_flavor", VCPUs: 1, MemoryMiB: 256, RootGiB: 1, RxTxFactor: 1, Public: true}
	case structs.OpRescue:
		req.Operation.Args.ImageID = "rescue-image"
	case structs.OpSetPassword:
		req.Operation.Args.Secret = "hunter2"
	}
	_, err := fsm.OperationCreate.Propose(w.t.Context(), w.core, req)
	must(w.t, err)
	w.collect()
}

// drive takes operations to their end one commit at a time, as far as the core's driver does.
func (w *world) drive(fail func(*structs.Operation) string) {
	w.core.Drive(fail)
	w.collect()
}

func (w *world) lock(on bool, reason *string) {
	kind := structs.OpUnlock
	if on {
		kind = structs.OpLock
	}
	_, err := fsm.InstanceLock.Propose(w.t.Context(), w.core, &structs.InstanceLockRequest{ID: w.id, Lock: on, By: structs.LockedByOwner, Reason: reason, Now: w.tick(),
		Action: structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: w.id, ProjectID: "p", UserID: "u", Kind: kind}})
	must(w.t, err)
}

func refused(*structs.Operation) string { return "the driver refused" }

// script does what its words say, in their order. A word with ! fails, with a step's name behind it at that step.
func (w *world) script(words string) {
	for word := range strings.FieldsSeq(words) {
		kind, at, fails := strings.Cut(word, "!")
		if step := steps[kind]; step != nil {
			step(w)
			w.collect()
			continue
		}
		if kind == "create" {
			w.make("")
		} else {
			w.operation(structs.OperationKind(kind))
		}
		if at != "" {
			w.drive(func(op *structs.Operation) string {
				if op.Step == structs.StepName(at) && op.Status == structs.OpRunning {
					return "the driver refused"
				}
				return ""
			})
		} else if fails {
			w.drive(refused)
		} else {
			w.drive(nil)
		}
	}
}

// steps are the words of scripts beside the kinds of operations.
var steps = map[string]func(w *world){
	"host": func(w *world) {
		h := w.core.AddHost("compute")
		w.core.Write(func(tx *state.Txn) {
			c := h.Copy()
			c.Driver, c.RPCAddr = "libvirt", "10.0.2.15:4747"
			tx.PutHost(c)
		})
	},
	"host2": func(w *world) {
		h := w.core.AddHost("host2")
		w.core.Write(func(tx *state.Txn) {
			c := h.Copy()
			c.Driver = "libvirt"
			tx.PutHost(c)
		})
	},
	"moving": func(w *world) {
		w.core.Hold = func(op *structs.Operation) bool { return op.Step == structs.StepMigrate }
		w.operation(structs.OpLiveMigrate)
		w.drive(nil)
	},
	"abort":          func(w *world) { w.signal(structs.SignalAbort) },
	"force_complete": func(w *world) { w.signal(structs.SignalForceComplete) },
	"host-down": func(w *world) {
		h := w.core.Stale().HostByName("compute")
		_, err := fsm.HostStatus.Propose(w.t.Context(), w.core, &structs.HostStatusRequest{Now: w.tick(),
			Changes: []structs.HostStatusChange{{HostID: h.ID, Epoch: h.Epoch, Status: structs.HostDown}}})
		must(w.t, err)
	},
	"host-disable": func(w *world) {
		yes := true
		_, err := fsm.HostAdmin.Propose(w.t.Context(), w.core, &structs.HostAdminRequest{HostID: w.core.Stale().HostByName("compute").ID, Disabled: &yes, DisabledReason: "why", Now: w.tick()})
		must(w.t, err)
	},
	"host-delete": func(w *world) {
		_, err := fsm.HostDelete.Propose(w.t.Context(), w.core, &structs.HostDeleteRequest{HostID: w.core.Stale().HostByName("compute").ID, Force: true})
		must(w.t, err)
	},
	"host-sick": func(w *world) {
		w.core.Write(func(tx *state.Txn) {
			c := tx.HostByName("compute").Copy()
			c.DriverHealthy, c.DriverHealth = false, "libvirtd does not answer"
			tx.PutHost(c)
		})
	},
	"host-metrics": func(w *world) {
		h := w.core.Stale().HostByName("compute")
		_, err := fsm.HostMetrics.Propose(w.t.Context(), w.core, &structs.HostMetricsRequest{Hosts: []structs.HostMeasured{{HostID: h.ID, Epoch: h.Epoch,
			Metrics: &structs.HostMetrics{At: w.tick(), Source: "linux", UserTime: 26728850000000, KernelTime: 5664160000000, IdleTime: 1592705190000000, IowaitTime: 6121490000000,
				UserPercent: 1, IdlePercent: 97, CPUPercent: 2, Frequency: 800}}}})
		must(w.t, err)
	},
	"cache": func(w *world) {
		id, images := nomadlike.NewUUID(), []structs.ImageID{"155d900f-4e14-4e4c-a73d-069cbf4541e6"}
		_, err := fsm.ImageCachingBegin.Propose(w.t.Context(), w.core, &structs.ImageCachingBeginRequest{ID: id, AggregateID: 1, Images: images, Now: w.tick()})
		must(w.t, err)
		_, err = fsm.ImageCachingReport.Propose(w.t.Context(), w.core, &structs.ImageCachingReportRequest{ID: id, Now: w.tick(),
			Done: []structs.ImageCachingHost{{HostID: w.core.Stale().HostByName("compute").ID, Cached: images}}})
		must(w.t, err)
	},
	"audit":          func(w *world) { w.audit() },
	"delete-at-once": func(w *world) { w.operation(structs.OpDelete) },
	"lock":           func(w *world) { w.lock(true, nil) },
	"lock-reason":    func(w *world) { why := "global warming"; w.lock(true, &why) },
	"unlock":         func(w *world) { w.lock(false, nil) },
	"tags": func(w *world) {
		_, err := fsm.InstanceTags.Propose(w.t.Context(), w.core, &structs.InstanceTagsRequest{ID: w.id, Tags: []string{"tag1"}, Change: structs.TagsReplace})
		must(w.t, err)
	},
	"rename": func(w *world) {
		name := "new-name"
		_, err := fsm.InstanceUpdate.Propose(w.t.Context(), w.core, &structs.InstanceUpdateRequest{ID: w.id, Name: &name, Now: w.tick()})
		must(w.t, err)
	},
	"image": func(w *world) {
		_, err := fsm.ImageUpsert.Propose(w.t.Context(), w.core, &structs.ImageUpsertRequest{Create: true, Image: structs.Image{ID: "image", Name: "fakeimage123456", Status: structs.ImageActive,
			DiskFormat: "raw", ContainerFormat: "raw", Visibility: "public", Size: 25165824, Tags: []string{"tag1"}, CreatedAt: w.now, UpdatedAt: w.now}})
		must(w.t, err)
	},
	"keypair": func(w *world) { w.keypair("ssh-rsa AAAA Generated-by-Nova") },
	"import":  func(w *world) { w.keypair("ssh-rsa AAAA me@home") },
	"keypair-delete": func(w *world) {
		_, err := fsm.KeypairDelete.Propose(w.t.Context(), w.core, &structs.KeypairDeleteRequest{UserID: "u", Name: "my-key"})
		must(w.t, err)
	},
	"flavor": func(w *world) {
		_, err := fsm.FlavorCreate.Propose(w.t.Context(), w.core, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "f", Name: "test_flavor", VCPUs: 2, MemoryMiB: 1024, RootGiB: 10,
			RxTxFactor: 2, Public: true, CreatedAt: w.tick()}})
		must(w.t, err)
	},
	"flavor-specs": func(w *world) {
		_, err := fsm.FlavorSpecsSet.Propose(w.t.Context(), w.core, &structs.FlavorSpecsSetRequest{ID: "f", Specs: map[string]string{"hw:numa_nodes": "2"}, Now: w.tick()})
		must(w.t, err)
	},
	"flavor-delete": func(w *world) {
		_, err := fsm.FlavorDelete.Propose(w.t.Context(), w.core, &structs.FlavorDeleteRequest{ID: "f"})
		must(w.t, err)
	},
	"group": func(w *world) {
		_, err := fsm.ServerGroupCreate.Propose(w.t.Context(), w.core, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: "g", ProjectID: "p", UserID: "u",
			Name: "test-server-group", Policy: structs.PolicyAntiAffinity, MaxPerHost: 3, CreatedAt: w.tick()}})
		must(w.t, err)
	},
	"member": func(w *world) { w.make("g") },
	"group-delete": func(w *world) {
		_, err := fsm.ServerGroupDelete.Propose(w.t.Context(), w.core, &structs.ServerGroupDeleteRequest{ID: "g"})
		must(w.t, err)
	},
	"agg": func(w *world) {
		_, err := fsm.AggregateCreate.Propose(w.t.Context(), w.core, &structs.AggregateCreateRequest{UUID: "788608ec-ebdc-45c5-bc7f-e5f24ab92c80", Name: "my-aggregate",
			Metadata: map[string]string{"availability_zone": "nova"}, Now: w.tick()})
		must(w.t, err)
	},
	"agg-add":    func(w *world) { w.aggregateHost(fsm.AggregateAddHost) },
	"agg-remove": func(w *world) { w.aggregateHost(fsm.AggregateRemoveHost) },
	"agg-meta": func(w *world) {
		zone := "AZ-1"
		_, err := fsm.AggregateUpdate.Propose(w.t.Context(), w.core, &structs.AggregateUpdateRequest{ID: 1, Metadata: map[string]*string{"availability_zone": &zone}, Now: w.tick()})
		must(w.t, err)
	},
	"agg-rename": func(w *world) {
		name := "my-new-aggregate"
		_, err := fsm.AggregateUpdate.Propose(w.t.Context(), w.core, &structs.AggregateUpdateRequest{ID: 1, Name: &name, Now: w.tick()})
		must(w.t, err)
	},
	"agg-delete": func(w *world) {
		_, err := fsm.AggregateDelete.Propose(w.t.Context(), w.core, &structs.AggregateDeleteRequest{ID: 1})
		must(w.t, err)
	},
}

// audit tells of the usage up to now.
func (w *world) audit() {
	var hosts []structs.HostID
	for h := range w.core.Stale().Hosts() {
		hosts = append(hosts, h.ID)
	}
	now := w.tick()
	_, err := fsm.UsageAudit.Propose(w.t.Context(), w.core, &structs.UsageAuditRequest{Begin: now.Add(-24 * time.Hour), End: structs.TimeOf(time.Now()), Hosts: hosts, Last: true, Now: now})
	must(w.t, err)
}

func (w *world) signal(s structs.MigrationSignal) {
	ins := w.core.Stale().Instance(w.id)
	_, err := fsm.MigrationSignal.Propose(w.t.Context(), w.core, &structs.MigrationSignalRequest{InstanceID: w.id, MigrationID: ins.MigrationID, Signal: s, Now: w.tick(),
		Statuses: []structs.MigrationStatus{structs.MigrationRunning}})
	must(w.t, err)
}

func (w *world) keypair(public string) {
	_, err := fsm.KeypairCreate.Propose(w.t.Context(), w.core, &structs.KeypairCreateRequest{ProjectID: "p", Keypair: structs.Keypair{UserID: "u", Name: "my-key", Type: "ssh",
		PublicKey: public, Fingerprint: "1e:2c", CreatedAt: w.tick()}})
	must(w.t, err)
}

func (w *world) aggregateHost(c fsm.Command[structs.AggregateHostRequest, *structs.Aggregate]) {
	_, err := c.Propose(w.t.Context(), w.core, &structs.AggregateHostRequest{ID: 1, HostID: w.core.Stale().HostByName("compute").ID})
	must(w.t, err)
}

// rename changes the instance's name once: one notification more when updates are told.
func (w *world) rename(n int) {
	name := fmt.Sprintf("name-%d", n)
	_, err := fsm.InstanceUpdate.Propose(context.Background(), w.core, &structs.InstanceUpdateRequest{ID: w.id, Name: &name, Now: structs.TimeOf(time.Now())})
	must(w.t, err)
}
