// Package conformance checks that a driver keeps the rules of package driver. Every driver runs it in its own tests:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, func(t testing.TB) *conformance.Harness { ... })
//	}
//
// The driver is called over real gRPC on a unix socket, as the agent does, in the process of the test, so that -race sees
// both sides.
package conformance

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Harness is one simulated or real host for one part of the suite. Parts run in parallel, each with its own.
type Harness struct {
	// New makes the driver as the plugin program does. It is called again to stand for a driver that restarted, after the
	// one before was closed (when it is an io.Closer): guests must have stayed.
	New func(hclog.Logger) driver.Driver
	// Config is given to Configure. It must be a JSON object.
	Config []byte
	// Spec returns a guest that boots and runs, small and quick. The suite sets the ids, the generation and PowerOn. It
	// destroys each guest at the end, with its disks.
	Spec func(t testing.TB) *driver.InstanceSpec

	// StubbornSpec returns a guest that runs and ignores a request to shut down.
	StubbornSpec func(t testing.TB) *driver.InstanceSpec
	// PowerOffInside makes the guest switch itself off, as its own user would.
	PowerOffInside func(t testing.TB, instanceID string)
	// ConsoleContains appears on the console of a guest made of Spec within Timeout of its start.
	ConsoleContains string

	// Lacks names what the driver or this machine cannot do, with the reason; those parts are skipped.
	Lacks map[Part]string

	// Timeout bounds every call and every wait. 0 is 10 s; a real hypervisor wants more.
	Timeout time.Duration
	// Grace is how long a guest made of Spec may take to shut down when asked. 0 is 5 s.
	Grace time.Duration
	// Parallel is how many guests exist at once in the Concurrency part. 0 is 16.
	Parallel int
	// Logger gets the driver's log. nil is silence.
	Logger hclog.Logger
}

// Factory makes a Harness on a host that no other part uses, and cleans up with t.Cleanup.
type Factory func(t testing.TB) *Harness

// Part names a part of the suite.
type Part string

const (
	// Configure: a configuration may be given again; an unknown key is ErrInvalid and named.
	Configure Part = "configure"
	// Capabilities are complete and do not change; what is not in them answers ErrNotSupported.
	Capabilities Part = "capabilities"
	// Fingerprint's first value comes at once and is sane.
	Fingerprint Part = "fingerprint"
	// Create is idempotent by operation id, powered on or off.
	Create Part = "create"
	// Destroy is idempotent, leaves nothing, and a missing guest is success.
	Destroy Part = "destroy"
	// Missing guests are ErrNotFound.
	Missing Part = "missing"
	// Generation: an older one than was seen is ErrConflict and has no effect, also after a restart of the driver.
	Generation Part = "generation"
	// Power: start, hard stop, hard reboot.
	Power Part = "power"
	// RebootOnce: a repeated reboot does not reboot twice. Needs InstanceStatus.StartedAt.
	RebootOnce Part = "reboot_once"
	// SoftStop: the guest of Spec shuts down when asked, before the timeout; a soft reboot brings it back.
	SoftStop Part = "soft_stop"
	// Stubborn: a guest that ignores the request is cut off after the timeout. Needs StubbornSpec.
	Stubborn Part = "stubborn"
	// Restart: a driver that restarts finds its guests undisturbed.
	Restart Part = "restart"
	// Redefine: Recover brings back a guest that was destroyed but for its disks.
	Redefine Part = "redefine"
	// Console output, whole and its last lines. Needs ConsoleContains.
	Console Part = "console"
	// Events: a guest that switches itself off is an event, also when an earlier driver made it. Needs PowerOffInside.
	Events Part = "events"
	// Context: a call whose context ends returns its error promptly; its repetition completes.
	Context Part = "context"
	// Concurrency: many guests at once, and the same call many times at once.
	Concurrency Part = "concurrency"
	// Paused: pause, unpause, suspend and resume, as far as Capabilities has them.
	Paused Part = "paused"
	// Reshape: rebuild and resize, as far as Capabilities has them.
	Reshape Part = "reshape"
)

var checks = []struct {
	part  Part
	check func(*session)
}{
	{Configure, checkConfigure},
	{Capabilities, checkCapabilities},
	{Fingerprint, checkFingerprint},
	{Create, checkCreate},
	{Destroy, checkDestroy},
	{Missing, checkMissing},
	{Generation, checkGeneration},
	{Power, checkPower},
	{RebootOnce, checkRebootOnce},
	{SoftStop, checkSoftStop},
	{Stubborn, checkStubborn},
	{Restart, checkRestart},
	{Redefine, checkRedefine},
	{Console, checkConsole},
	{Events, checkEvents},
	{Context, checkContext},
	{Concurrency, checkConcurrency},
	{Paused, checkPaused},
	{Reshape, checkReshape},
}

// Run runs every part as a parallel subtest.
func Run(t *testing.T, factory Factory) {
	for _, c := range checks {
		t.Run(string(c.part), func(t *testing.T) {
			t.Parallel()
			h := factory(t)
			if why := h.lacks(c.part); why != "" {
				t.Skip(why)
			}
			c.check(newSession(t, h))
		})
	}
}

func (h *Harness) lacks(p Part) string {
	if why := h.Lacks[p]; why != "" {
		return why
	}
	switch {
	case p == Stubborn && h.StubbornSpec == nil:
		return "no StubbornSpec"
	case p == Console && h.ConsoleContains == "":
		return "no ConsoleContains"
	case p == Events && h.PowerOffInside == nil:
		return "no PowerOffInside"
	}
	return ""
}
