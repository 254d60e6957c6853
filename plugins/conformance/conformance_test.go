package conformance

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/plugins/example"
)

// recorder is a tester for a check that is expected to fail.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	messages []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow() { runtime.Goexit() }

func (r *recorder) Helper() {}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// fails runs one part against a driver and returns what it complained of.
func fails(t *testing.T, part Part, h *Harness) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		for _, c := range checks {
			if c.part == part {
				c.check(newSessionFor(r, t, h))
			}
		}
	}()
	<-done
	return r.messages
}

func exampleHarness(wrap func(*example.Driver) driver.Driver) *Harness {
	host := example.NewHost()
	return &Harness{
		New: func(hclog.Logger) driver.Driver { return wrap(example.New(host)) },
		Spec: func(testing.TB) *driver.InstanceSpec {
			return &driver.InstanceSpec{Name: "g", Hostname: "g", VCPUs: 1, MemoryMiB: 64, RootGiB: 1}
		},
		Timeout: 2 * time.Second,
	}
}

// defects are drivers that each break one rule, and the part that must see it.
var defects = []struct {
	part Part
	name string
	wrap func(*example.Driver) driver.Driver
}{
	{Configure, "takes unknown keys", func(d *example.Driver) driver.Driver { return lax{d} }},
	{Capabilities, "wrong error for what it lacks", func(d *example.Driver) driver.Driver { return silent{d} }},
	{Fingerprint, "no first value", func(d *example.Driver) driver.Driver { return mute{d} }},
	{Create, "forgets operation ids", func(d *example.Driver) driver.Driver { return restarter{d} }},
	{Destroy, "missing guest is an error", func(d *example.Driver) driver.Driver { return touchy{d} }},
	{Missing, "missing guest is success", func(d *example.Driver) driver.Driver { return careless{d} }},
	{Generation, "does not fence", func(d *example.Driver) driver.Driver { return unfenced{d} }},
	{Power, "stop does nothing", func(d *example.Driver) driver.Driver { return unfenced{d} }},
	{Restart, "recover restarts", func(d *example.Driver) driver.Driver { return rude{d} }},
	{Context, "ignores the context", func(d *example.Driver) driver.Driver { return deaf{d} }},
	{Concurrency, "loses guests", func(d *example.Driver) driver.Driver { return forgetful{d} }},
}

func TestSuiteSeesDefects(t *testing.T) {
	t.Parallel()
	for _, d := range defects {
		t.Run(string(d.part)+": "+d.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, fails(t, d.part, exampleHarness(func(e *example.Driver) driver.Driver { return e })), "the sound driver")
			require.NotEmpty(t, fails(t, d.part, exampleHarness(d.wrap)))
		})
	}
}

type lax struct{ *example.Driver }

func (lax) Configure(context.Context, []byte) error { return nil }

type silent struct{ *example.Driver }

func (silent) Pause(context.Context, *driver.InstanceRef) error { return nil }

type mute struct{ *example.Driver }

func (mute) Fingerprint(ctx context.Context) (<-chan *driver.Fingerprint, error) {
	ch := make(chan *driver.Fingerprint)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch, nil
}

type restarter struct{ *example.Driver }

func (d restarter) Create(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	if _, err := d.Driver.Create(ctx, spec); err != nil {
		return nil, err
	}
	ref := spec.InstanceRef
	ref.OperationID = ""
	if spec.PowerOn {
		if err := d.Reboot(ctx, &driver.RebootRequest{InstanceRef: ref, Type: driver.RebootHard}); err != nil {
			return nil, err
		}
	}
	return d.Inspect(ctx, spec.InstanceID)
}

type touchy struct{ *example.Driver }

func (d touchy) Destroy(ctx context.Context, req *driver.DestroyRequest) error {
	if _, err := d.Inspect(ctx, req.InstanceID); err != nil {
		return err
	}
	return d.Driver.Destroy(ctx, req)
}

type careless struct{ *example.Driver }

func (d careless) Start(ctx context.Context, ref *driver.InstanceRef) error {
	if _, err := d.Inspect(ctx, ref.InstanceID); err != nil {
		return nil
	}
	return d.Driver.Start(ctx, ref)
}

type unfenced struct{ *example.Driver }

func (d unfenced) Stop(context.Context, *driver.StopRequest) error { return nil }

type rude struct{ *example.Driver }

func (d rude) Recover(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	ref := spec.InstanceRef
	ref.OperationID = ""
	_ = d.Reboot(ctx, &driver.RebootRequest{InstanceRef: ref, Type: driver.RebootHard})
	return d.Driver.Recover(ctx, spec)
}

type deaf struct{ *example.Driver }

func (d deaf) Create(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	if _, err := d.Driver.Create(context.WithoutCancel(ctx), spec); err != nil {
		return nil, err
	}
	return nil, driver.Errorf(driver.KindInternal, "lost the answer")
}

type forgetful struct{ *example.Driver }

func (forgetful) List(context.Context) ([]*driver.InstanceStatus, error) { return nil, nil }
