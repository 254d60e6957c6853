package notification

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// operationEvents says what an operation's course tells. A kind without a row tells nothing, as a change of the password does in Nova.
type operationEvents struct {
	kind structs.OperationKind
	// begun is told when the operation begins, done when it has succeeded, failed when it was given up. An event that is told of a beginning or an end only
	// where Nova has a phase for it.
	begun, done, failed []told
	// placed: it begins when it has a host, and anew with each further one.
	placed bool
	// unplaced is told when it failed because there is no host for it.
	unplaced []told
	// steps are what lies between, in the order in which it comes.
	steps []stepEvents
	// undoing is told when it begins to be undone, and undone when that has ended.
	undoing, undone []told
	// signals are what is told when something is asked of it while it runs.
	signals map[structs.MigrationSignal][]told
}

// stepEvents is what an operation tells when it comes to a step, or to the undoing step of the name, and when it leaves it.
type stepEvents struct {
	step          structs.StepName
	entered, left []told
}

// told is one event of an operation.
type told struct {
	event  string
	by     string // binary
	as     payloadBuilder
	before bool // the payload shows the instance before the change that is told
	always bool // also of an operation that was done at once, without a host
	on     side // whose event it is, of an operation with two hosts
}

// side is one of an operation's hosts.
type side uint8

const (
	onTurn side = iota // whose turn it is
	onSource
	onDest
)

// hostOf is the host of a side.
func (s side) hostOf(op *structs.Operation) structs.HostID {
	switch s {
	case onSource:
		return op.SourceID
	case onDest:
		return op.DestID
	}
	return op.HostID
}

// payloadBuilder makes a payload of an instance in the course of an operation; fault is nil but for what failed.
type payloadBuilder func(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any

// phases are the start and the end of an action on a host.
func phases(kind structs.OperationKind, action string, as payloadBuilder) operationEvents {
	return operationEvents{kind: kind, begun: []told{start(action, as)}, done: []told{end(action, as)}}
}

// withError adds the phase that only some of Nova's actions have.
func withError(kind structs.OperationKind, action string, as payloadBuilder) operationEvents {
	row := phases(kind, action, as)
	row.failed = []told{failure(action, as)}
	return row
}

func start(action string, as payloadBuilder) told {
	return told{event: action + ".start", by: binaryCompute, as: as}
}
func end(action string, as payloadBuilder) told {
	return told{event: action + ".end", by: binaryCompute, as: as}
}
func failure(action string, as payloadBuilder) told {
	return told{event: action + ".error", by: binaryCompute, as: as}
}

// single is an event without phases.
func single(name, by string, as payloadBuilder) []told {
	return []told{{event: name, by: by, as: as, always: true}}
}

// noHost is told by the conductor.
func noHost(name string) []told {
	return []told{{event: name, by: binaryConductor, as: computeTaskPayload}}
}

func early(t told) told  { t.before = true; return t }
func always(t told) told { t.always = true; return t }

func source(t told) told { t.on = onSource; return t }
func dest(t told) told   { t.on = onDest; return t }

// resizeEvents are those of a cold migration too.
func resizeEvents(kind structs.OperationKind) operationEvents {
	return operationEvents{kind: kind,
		begun: []told{exists(), start("instance.resize_prep", resizePrepPayload)},
		steps: []stepEvents{
			{step: structs.StepPlace, left: []told{early(dest(end("instance.resize_prep", resizePrepPayload)))}},
			{step: structs.StepPowerOff, entered: []told{start("instance.resize", actionPayload)}},
			{step: structs.StepExport, left: []told{source(end("instance.resize", actionPayload))}},
			{step: structs.StepBoot, entered: []told{start("instance.resize_finish", actionPayload)}},
		},
		done:   []told{end("instance.resize_finish", actionPayload)},
		failed: []told{failure("instance.resize", actionPayload)}, unplaced: noHost("compute_task.migrate_server.error")}
}

// operationRows is the table of Nova's events of instances. A new kind of operation is a row.
var operationRows = []operationEvents{
	{kind: structs.OpBuild, placed: true,
		begun:    []told{{event: "scheduler.select_destinations.end", by: binaryScheduler, as: requestSpecPayload}, start("instance.create", createPayload)},
		done:     []told{end("instance.create", createPayload)},
		failed:   []told{failure("instance.create", createPayload)},
		unplaced: noHost("compute_task.build_instances.error")},
	{kind: structs.OpDelete,
		begun: []told{always(start("instance.delete", actionPayload)), start("instance.shutdown", actionPayload)},
		done:  []told{early(end("instance.shutdown", actionPayload)), always(end("instance.delete", actionPayload))}},
	phases(structs.OpSoftDelete, "instance.soft_delete", actionPayload),
	phases(structs.OpRestore, "instance.restore", actionPayload),
	{kind: structs.OpRebuild,
		begun: []told{{event: "instance.rebuild_scheduled", by: binaryConductor, as: rebuildPayload}, exists(),
			start("instance.rebuild", rebuildPayload)},
		done:   []told{end("instance.rebuild", rebuildPayload)},
		failed: []told{failure("instance.rebuild", rebuildPayload)}},

	phases(structs.OpStart, "instance.power_on", actionPayload),
	phases(structs.OpStop, "instance.power_off", actionPayload),
	withError(structs.OpSoftReboot, "instance.reboot", actionPayload),
	withError(structs.OpHardReboot, "instance.reboot", actionPayload),
	phases(structs.OpPause, "instance.pause", actionPayload),
	phases(structs.OpUnpause, "instance.unpause", actionPayload),
	phases(structs.OpSuspend, "instance.suspend", actionPayload),
	phases(structs.OpResume, "instance.resume", actionPayload),

	phases(structs.OpRescue, "instance.rescue", rescuePayload),
	phases(structs.OpUnrescue, "instance.unrescue", actionPayload),
	phases(structs.OpCrashDump, "instance.trigger_crash_dump", actionPayload),
	phases(structs.OpSnapshot, "instance.snapshot", snapshotPayload),
	phases(structs.OpBackup, "instance.snapshot", snapshotPayload),

	phases(structs.OpShelve, "instance.shelve", actionPayload),
	phases(structs.OpShelveOffload, "instance.shelve_offload", actionPayload),
	phases(structs.OpUnshelveHere, "instance.unshelve", actionPayload),
	{kind: structs.OpUnshelve, placed: true, begun: []told{start("instance.unshelve", actionPayload)}, done: []told{end("instance.unshelve", actionPayload)}},

	{kind: structs.OpLock, done: single("instance.lock", binaryAPI, actionPayload)},
	{kind: structs.OpUnlock, done: single("instance.unlock", binaryAPI, actionPayload)},

	resizeEvents(structs.OpResize),
	resizeEvents(structs.OpMigrate),
	phases(structs.OpConfirmResize, "instance.resize_confirm", actionPayload),
	phases(structs.OpRevertResize, "instance.resize_revert", actionPayload),
	{kind: structs.OpEvacuate,
		begun: append(single("instance.evacuate", binaryAPI, actionPayload), told{event: "instance.rebuild_scheduled", by: binaryConductor, as: rebuildPayload}, exists(),
			start("instance.rebuild", rebuildPayload)),
		done:   []told{end("instance.rebuild", rebuildPayload)},
		failed: []told{failure("instance.rebuild", rebuildPayload)}, unplaced: noHost("compute_task.rebuild_server.error")},
	{kind: structs.OpLiveMigrate,
		steps: []stepEvents{
			{step: structs.StepPrepare, entered: []told{start("instance.live_migration_pre", actionPayload)},
				left: []told{dest(end("instance.live_migration_pre", actionPayload))}},
			{step: structs.StepMigrate, left: []told{source(start("instance.live_migration_post", actionPayload)), dest(start("instance.live_migration_post_dest", actionPayload))}},
			{step: structs.StepRollback, entered: []told{start("instance.live_migration_rollback_dest", actionPayload)},
				left: []told{early(dest(end("instance.live_migration_rollback_dest", actionPayload)))}},
		},
		done:    []told{dest(end("instance.live_migration_post_dest", actionPayload)), early(source(end("instance.live_migration_post", actionPayload)))},
		undoing: []told{source(start("instance.live_migration_rollback", actionPayload))},
		undone:  []told{source(end("instance.live_migration_rollback", actionPayload))},
		signals: map[structs.MigrationSignal][]told{
			structs.SignalAbort: {source(start("instance.live_migration_abort", actionPayload)), source(end("instance.live_migration_abort", actionPayload))},
			structs.SignalForceComplete: {source(start("instance.live_migration_force_complete", actionPayload)),
				source(end("instance.live_migration_force_complete", actionPayload))}}},
}

var operationTable = func() map[structs.OperationKind]*operationEvents {
	m := map[structs.OperationKind]*operationEvents{}
	for i := range operationRows {
		m[operationRows[i].kind] = &operationRows[i]
	}
	return m
}()

func operationChanged(c *translation, e *event.Event) {
	op, ok := e.Entity.(*structs.Operation)
	if !ok || e.Deleted {
		return
	}
	before, _ := e.Before.(*structs.Operation)
	c.operationTurned(op, before)
	c.callsFailed(op, before)
}

// callsFailed tells what failed on a host, as Nova's compute service does whenever one of its methods ends with an exception.
func (c *translation) callsFailed(op, before *structs.Operation) {
	known := 0
	if before != nil {
		known = len(before.History)
	}
	for i := known; i < len(op.History); i++ {
		if r := op.History[i]; r.Error != "" && r.HostID != "" {
			c.tell(telling{event: "compute.exception", publisher: publisher(binaryCompute, c.hostName(r.HostID)), payload: callFailed(op, i), when: op.UpdatedAt, failed: true,
				subject: strconv.Itoa(i)})
		}
	}
}

// operationTurned tells where an operation is now.
func (c *translation) operationTurned(op, before *structs.Operation) {
	row := operationTable[op.Kind]
	if row == nil || before != nil && before.Status.Final() {
		return
	}
	alone := op.Kind == structs.OpDelete && c.isDown(op.HostID)
	switch {
	case before == nil && (op.Status.Final() || alone): // done at once
		c.begunAtOnce(op, row.begun)
		if op.Status == structs.OpSucceeded {
			c.operationTold(op, row.done, nil, true)
		}
	case before == nil:
		c.placing(op)
		if !row.placed {
			c.operationTold(op, row.begun, nil, false)
		}
	case op.Status == structs.OpSucceeded:
		c.passed(op, before, row)
		c.operationTold(op, row.done, nil, alone)
	case op.Status == structs.OpFailed && row.unplaced != nil && (op.ErrorKind == structs.KindNoCapacity || before.HostID == ""):
		c.operationTold(op, row.unplaced, faultOf(op), false)
	case op.Status == structs.OpFailed:
		c.passed(op, before, row)
		if before.Status == structs.OpUndoing {
			c.operationTold(op, row.undone, nil, false)
		}
		c.operationTold(op, row.failed, faultOf(op), false)
	case row.placed && before.HostID == "" && op.HostID != "":
		c.operationTold(op, row.begun, nil, false)
	case row.placed && before.HostID != "" && op.HostID == "": // it goes on elsewhere
		left := *op
		left.HostID = before.HostID
		c.operationTold(&left, row.failed, faultOf(op), false)
		c.placing(op)
	case op.Signal != before.Signal:
		c.operationTold(op, row.signals[op.Signal], nil, false)
	case op.Step != before.Step || op.Status != before.Status:
		c.passed(op, before, row)
	}
}

// passed tells what lies between two steps. A step that failed is not left: what follows tells of that.
func (c *translation) passed(op, before *structs.Operation, row *operationEvents) {
	undoes := op.Status == structs.OpUndoing && before.Status != structs.OpUndoing
	failed := undoes || op.Status == structs.OpFailed && before.Status != structs.OpUndoing
	for _, s := range row.steps {
		if s.step == before.Step && !failed {
			c.operationTold(op, s.left, nil, false)
		}
	}
	if undoes {
		c.operationTold(op, row.undoing, nil, false)
	}
	for _, s := range row.steps {
		if s.step == op.Step && !op.Status.Final() {
			c.operationTold(op, s.entered, nil, false)
		}
	}
}

// isDown reports whether nobody does on the host what an operation asks there.
func (c *translation) isDown(id structs.HostID) bool {
	h := c.host(id)
	return h != nil && h.Status == structs.HostDown
}

// begunAtOnce tells the beginning of what was over in the same moment: the instance as it was, with the task that it would have had.
func (c *translation) begunAtOnce(op *structs.Operation, events []told) {
	was, _ := c.instance(op.InstanceID)
	steps := operation.Steps(op.Kind)
	if was == nil || len(steps) == 0 {
		return
	}
	ins := was.Copy()
	ins.Task = steps[0].Task
	for _, t := range events {
		if t.always {
			c.operationEvent(op, t, binaryAPI, ins, nil)
		}
	}
}

// placing tells that the scheduler begins to look for a host.
func (c *translation) placing(op *structs.Operation) {
	if op.Kind == structs.OpBuild {
		c.operationTold(op, []told{{event: "scheduler.select_destinations.start", by: binaryScheduler, as: requestSpecPayload}}, nil, false)
	}
}

func (c *translation) operationTold(op *structs.Operation, events []told, fault map[string]any, atOnce bool) {
	was, is := c.instance(op.InstanceID)
	if is == nil {
		return
	}
	for _, t := range events {
		ins, by := is, t.by
		if t.before {
			ins = was
		}
		if atOnce {
			by = binaryAPI
		}
		if !atOnce || t.always {
			c.operationEvent(op, t, by, ins, fault)
		}
	}
}

func (c *translation) operationEvent(op *structs.Operation, t told, by string, ins *structs.Instance, fault map[string]any) {
	host := ""
	if by == binaryCompute {
		host = cmp.Or(c.hostName(t.on.hostOf(op)), ins.Host)
	}
	failed := strings.HasSuffix(t.event, ".error")
	if !failed {
		fault = nil
	}
	c.tell(telling{event: t.event, publisher: publisher(by, host), payload: t.as(c, ins, op, fault), when: op.UpdatedAt,
		project: ins.ProjectID, user: ins.UserID, failed: failed})
}
