package runner

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// job is what the steps of one run share.
type job struct {
	r       *Runner
	work    structs.Work
	image   *driver.Image
	fetched bool
	release func()

	signals <-chan structs.MigrationSignal // asked of the operation while it runs
	data    []byte                         // what the step gives for those that follow elsewhere
	found   bool                           // an undoing step found that what it undoes had come to its good end
}

// stepFunc does a step. It answers the guest's power state when it knows it.
type stepFunc func(ctx context.Context, j *job) (structs.PowerState, error)

func (j *job) done() {
	if j.release != nil {
		j.release()
	}
}

// steps are the host's hooks, by the name of the step in the operation's table. Each is idempotent.
var steps = map[structs.StepName]stepFunc{
	structs.StepImage:   stepImage,
	structs.StepSpawn:   stepSpawn,
	structs.StepStart:   stepStart,
	structs.StepStop:    stepStop,
	structs.StepReboot:  stepReboot,
	structs.StepDestroy: stepDestroy,

	structs.StepRebuild:     stepRebuild,
	structs.StepRescue:      stepRescue,
	structs.StepUnrescue:    refStep(driver.Driver.Unrescue, structs.PowerRunning),
	structs.StepPause:       refStep(driver.Driver.Pause, structs.PowerPaused),
	structs.StepUnpause:     refStep(driver.Driver.Unpause, structs.PowerRunning),
	structs.StepSuspend:     refStep(driver.Driver.Suspend, structs.PowerSuspended),
	structs.StepResume:      refStep(driver.Driver.Resume, structs.PowerRunning),
	structs.StepCrashDump:   refStep(driver.Driver.TriggerCrashDump, structs.PowerNoState),
	structs.StepSetPassword: stepSetPassword,
	structs.StepPowerOff:    stepStop,
	structs.StepSnapshot:    stepSnapshot,
	structs.StepUpload:      stepUpload,

	structs.StepExport:           stepExport,
	structs.StepImport:           stepImport,
	structs.StepBoot:             stepBoot,
	structs.StepDiscard:          stepDiscard,
	structs.StepReturn:           stepReturn,
	structs.StepForget:           stepForget,
	structs.StepCheckDestination: checkStep(driver.Driver.CheckMigrateDestination),
	structs.StepCheckSource:      checkStep(driver.Driver.CheckMigrateSource),
	structs.StepPrepare:          stepPrepare,
	structs.StepMigrate:          stepMigrate,
	structs.StepHalt:             stepHalt,
	structs.StepRollback:         stepRollback,
	structs.StepArrive:           stepArrive,
}

// refStep is a step that is one call of the driver and needs nothing but the instance's name.
func refStep(call func(driver.Driver, context.Context, *driver.InstanceRef) error, power structs.PowerState) stepFunc {
	return func(ctx context.Context, j *job) (structs.PowerState, error) {
		if err := call(j.r.cfg.Driver, ctx, j.ref()); err != nil {
			return j.power(ctx), err
		}
		return power, nil
	}
}

func stepImage(ctx context.Context, j *job) (structs.PowerState, error) {
	return structs.PowerNoState, j.fetch(ctx)
}

// fetch makes sure that the operation's image is in the cache. A run that begins at a later step (after a restart) fetches here again: it is there already.
func (j *job) fetch(ctx context.Context) error {
	id := operation.ImageOf(j.work.Operation, j.work.Instance)
	if j.fetched || id == "" {
		return nil
	}
	if j.work.Image == nil {
		return structs.Errorf(structs.KindInvalid, "image %s was deleted before it was used", id)
	}
	j.r.mu.Lock()
	formats := j.r.formats
	j.r.mu.Unlock()
	img, release, err := j.r.cfg.Images.Get(ctx, j.work.Image, formats)
	if err != nil {
		return err
	}
	j.image, j.release, j.fetched = img, release, true
	return nil
}

func stepSpawn(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := j.fetch(ctx); err != nil {
		return structs.PowerNoState, err
	}
	spec := j.spec()
	spec.PowerOn = !j.staysOff()
	if j.work.Operation.Kind == structs.OpBuild { // what else spawns makes no new disk, or, as Nova's evacuation, one without them
		spec.Files = j.files()
	}
	st, err := j.r.cfg.Driver.Create(ctx, spec)
	if err != nil {
		return structs.PowerNoState, err
	}
	return structs.PowerState(st.Power), nil
}

// staysOff reports whether the guest is made but not started: one that was evacuated while it was stopped, or from microversion 2.95 on.
func (j *job) staysOff() bool {
	op := j.work.Operation
	return op.Kind == structs.OpEvacuate && (op.Args.StayOff || op.Args.PriorVM == structs.VMStopped)
}

// stepStart powers on. A guest whose definition the hypervisor lost (but whose disks are there) is recovered first.
func stepStart(ctx context.Context, j *job) (structs.PowerState, error) {
	return startOrRecover(ctx, j, j.spec())
}

func startOrRecover(ctx context.Context, j *job, spec *driver.InstanceSpec) (structs.PowerState, error) {
	err := j.r.cfg.Driver.Start(ctx, j.ref())
	if errors.Is(err, driver.ErrNotFound) {
		if _, err = j.r.cfg.Driver.Recover(ctx, spec); err == nil {
			err = j.r.cfg.Driver.Start(ctx, j.ref())
		}
	}
	if err != nil {
		return structs.PowerNoState, err
	}
	return structs.PowerRunning, nil
}

func stepStop(ctx context.Context, j *job) (structs.PowerState, error) {
	err := j.r.cfg.Driver.Stop(ctx, &driver.StopRequest{InstanceRef: *j.ref(), Timeout: operation.StopTimeout(j.work.Operation)})
	return structs.PowerShutdown, err
}

func stepReboot(ctx context.Context, j *job) (structs.PowerState, error) {
	req := &driver.RebootRequest{InstanceRef: *j.ref(), Type: driver.RebootHard}
	if j.work.Operation.Kind == structs.OpSoftReboot {
		req.Type, req.Timeout = driver.RebootSoft, operation.StopTimeout(j.work.Operation)
	}
	err := j.r.cfg.Driver.Reboot(ctx, req)
	if errors.Is(err, driver.ErrNotFound) && req.Type == driver.RebootHard {
		return stepStart(ctx, j)
	}
	if err != nil {
		return j.power(ctx), err
	}
	return structs.PowerRunning, nil
}

// power asks for the guest's state after a failure; PowerNoState when it cannot be had.
func (j *job) power(ctx context.Context) structs.PowerState {
	st, err := j.r.cfg.Driver.Inspect(ctx, string(j.work.Instance.ID))
	if err != nil {
		return structs.PowerNoState
	}
	return structs.PowerState(st.Power)
}

// stepRebuild gives the guest a new root disk; one that was stopped stays so.
func stepRebuild(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := j.fetch(ctx); err != nil {
		return structs.PowerNoState, err
	}
	spec := j.spec()
	spec.PowerOn, spec.Files = j.work.Operation.Args.PriorVM != structs.VMStopped, j.files()
	st, err := j.r.cfg.Driver.Rebuild(ctx, spec)
	if err != nil {
		return j.power(ctx), err
	}
	return structs.PowerState(st.Power), nil
}

func stepRescue(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := j.fetch(ctx); err != nil {
		return structs.PowerNoState, err
	}
	if err := j.r.cfg.Driver.Rescue(ctx, j.spec()); err != nil {
		return j.power(ctx), err
	}
	return structs.PowerRunning, nil
}

func stepSetPassword(ctx context.Context, j *job) (structs.PowerState, error) {
	return structs.PowerNoState, j.r.cfg.Driver.SetAdminPassword(ctx, &driver.PasswordRequest{InstanceRef: *j.ref(), Password: j.work.Operation.Args.Secret})
}

// stepDestroy removes the guest and all that is left here of its moves.
func stepDestroy(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := os.RemoveAll(moveDir(j.r.cfg.Scratch, j.work.Instance.ID)); err != nil {
		return j.power(ctx), err
	}
	return structs.PowerNoState, j.r.cfg.Driver.Destroy(ctx, &driver.DestroyRequest{InstanceRef: *j.ref(), DestroyDisks: true})
}

func (j *job) ref() *driver.InstanceRef {
	op := j.work.Operation
	return &driver.InstanceRef{InstanceID: string(op.InstanceID), OperationID: string(op.ID), Generation: op.Generation}
}

func (j *job) spec() *driver.InstanceSpec {
	s := SpecOf(j.work.Instance)
	s.InstanceRef, s.Image = *j.ref(), j.image
	return s
}

// files are those that the instance's user wants in a new root disk.
func (j *job) files() []driver.File {
	var files []driver.File
	for _, f := range j.work.Instance.Files {
		files = append(files, driver.File{Path: f.Path, Contents: f.Contents})
	}
	return files
}

// SpecOf turns a stored instance into what a driver is told of it, without the image's file and what is injected.
func SpecOf(ins *structs.Instance) *driver.InstanceSpec {
	return &driver.InstanceSpec{
		InstanceRef: driver.InstanceRef{InstanceID: string(ins.ID), OperationID: string(ins.OperationID), Generation: ins.Generation},
		Name:        ins.Name, Hostname: ins.Hostname, ProjectID: string(ins.ProjectID), UserID: string(ins.UserID),
		VCPUs: ins.Flavor.VCPUs, MemoryMiB: ins.Flavor.MemoryMiB, RootGiB: ins.Flavor.RootGiB, EphemeralGiB: ins.Flavor.EphemeralGiB,
		SwapMiB: ins.Flavor.SwapMiB, ExtraSpecs: ins.Flavor.ExtraSpecs, PowerOn: true, KeyName: ins.KeyName, PublicKeys: ins.PublicKeys,
		UserData: ins.UserData, Metadata: ins.Metadata,
	}
}

var kinds = map[driver.Kind]structs.Kind{
	driver.KindNotFound: structs.KindNotFound, driver.KindNotSupported: structs.KindNotSupported, driver.KindInvalid: structs.KindInvalid,
	driver.KindConflict: structs.KindConflict, driver.KindExhausted: structs.KindNoCapacity, driver.KindUnavailable: structs.KindUnavailable,
	driver.KindTimeout: structs.KindTimeout, driver.KindInternal: structs.KindInternal,
}

// Translate turns a driver's error into one of the cluster's, with its kind.
func Translate(err error) error {
	var de *driver.Error
	if errors.As(err, &de) {
		return structs.Errorf(kinds[de.Kind], "%s", de.Error())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return structs.Errorf(structs.KindTimeout, "the driver did not answer in time: %w", err)
	}
	return err
}

// classify says how a step's error is reported. A driver says itself whether the same call may succeed later. Of other errors only what surely fails again
// is not retried: a wrong request, what cannot be done, no room.
func classify(err error) (text string, k structs.Kind, retryable bool) {
	text = shorten(strings.TrimSpace(err.Error()))
	k = structs.KindOf(Translate(err))
	if errors.Is(err, context.DeadlineExceeded) {
		k = structs.KindTimeout
	}
	var de *driver.Error
	if errors.As(err, &de) {
		return text, k, de.Retryable
	}
	switch k {
	case structs.KindInvalid, structs.KindNotSupported, structs.KindConflict, structs.KindNotFound, structs.KindNoCapacity:
		return text, k, false
	}
	return text, k, true
}

// maxErrorText bounds an error's text in the cluster's state, where it is kept with the operation and its instance.
const maxErrorText = 2048

// shorten keeps the beginning and the end of a long text, such as a hypervisor's output.
func shorten(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	half := maxErrorText / 2
	return strings.ToValidUTF8(text[:half], "") + " ... " + strings.ToValidUTF8(text[len(text)-half:], "")
}
