package conformance

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func checkPower(s *session) {
	spec := s.create(false)
	start, stop := again(spec), again(spec)
	for range 2 { // the same operation
		require.NoError(s, s.d.Start(s.call(), start))
		s.wantPower(spec.InstanceID, driver.PowerRunning)
	}
	started := s.inspect(spec.InstanceID).StartedAt
	require.NoError(s, s.d.Start(s.call(), again(spec)))
	require.Equal(s, started, s.inspect(spec.InstanceID).StartedAt, "Start of a running guest does nothing")

	for range 2 {
		require.NoError(s, s.d.Stop(s.call(), stopReq(stop, 0)))
		s.wantPower(spec.InstanceID, driver.PowerShutdown)
	}
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)), "another operation on a stopped guest")
	require.True(s, s.inspect(spec.InstanceID).StartedAt.IsZero(), "StartedAt of a stopped guest is zero")
	begin := time.Now()
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), time.Hour)), "soft stop of a stopped guest")
	require.Less(s, time.Since(begin), s.h.Timeout)

	require.NoError(s, s.d.Start(s.call(), again(spec)))
	require.NoError(s, s.d.Reboot(s.call(), rebootReq(again(spec), driver.RebootHard, 0)))
	s.wantPower(spec.InstanceID, driver.PowerRunning)
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)))
	require.NoError(s, s.d.Reboot(s.call(), rebootReq(again(spec), driver.RebootHard, 0)), "hard reboot of a stopped guest")
	s.wantPower(spec.InstanceID, driver.PowerRunning)
	require.ErrorIs(s, s.d.Reboot(s.call(), rebootReq(again(spec), "LUKEWARM", 0)), driver.ErrInvalid, "unknown reboot type")
}

func checkRebootOnce(s *session) {
	spec := s.create(true)
	first := s.inspect(spec.InstanceID).StartedAt
	require.False(s, first.IsZero(), "StartedAt of a running guest; a driver that cannot tell lacks this part")
	ref := again(spec)
	require.NoError(s, s.d.Reboot(s.call(), rebootReq(ref, driver.RebootHard, 0)))
	second := s.wantPower(spec.InstanceID, driver.PowerRunning).StartedAt
	require.True(s, second.After(first), "StartedAt after a hard reboot: %v, before: %v", second, first)

	require.NoError(s, s.d.Reboot(s.call(), rebootReq(ref, driver.RebootHard, 0)), "the same operation again")
	require.Equal(s, second, s.inspect(spec.InstanceID).StartedAt, "a repetition does not reboot")
	s.restart()
	require.NoError(s, s.d.Reboot(s.call(), rebootReq(ref, driver.RebootHard, 0)), "and after a restart of the driver")
	require.Equal(s, second, s.inspect(spec.InstanceID).StartedAt, "a repetition does not reboot")

	require.NoError(s, s.d.Reboot(s.call(), rebootReq(again(spec), driver.RebootHard, 0)), "another operation")
	third := s.wantPower(spec.InstanceID, driver.PowerRunning).StartedAt
	require.True(s, third.After(second), "another operation does reboot")
}

// booted waits until a guest can hear a request to shut down, as far as its console tells.
func (s *session) booted(instanceID string) {
	s.Helper()
	if s.h.ConsoleContains == "" {
		return
	}
	s.eventually(func() bool {
		out, err := s.d.ConsoleOutput(s.call(), &driver.ConsoleOutputRequest{InstanceID: instanceID})
		return err == nil && bytes.Contains(out, []byte(s.h.ConsoleContains))
	}, "the console of %s should show %q", instanceID, s.h.ConsoleContains)
}

func checkSoftStop(s *session) {
	spec := s.create(true)
	s.booted(spec.InstanceID)
	long := 10 * s.h.Grace
	ctx, cancel := context.WithTimeout(s.ctx, long+s.h.Timeout)
	defer cancel()

	require.NoError(s, s.d.Reboot(ctx, rebootReq(again(spec), driver.RebootSoft, long)))
	s.wantPower(spec.InstanceID, driver.PowerRunning)
	s.booted(spec.InstanceID)

	begin := time.Now()
	require.NoError(s, s.d.Stop(ctx, stopReq(again(spec), long)))
	require.Less(s, time.Since(begin), long, "the guest shuts down by itself, before its time is over")
	s.wantPower(spec.InstanceID, driver.PowerShutdown)
}

func checkStubborn(s *session) {
	spec := s.named(s.h.StubbornSpec(s.tb), true)
	s.createAs(spec)
	const patience = 300 * time.Millisecond

	ctx, cancel := context.WithTimeout(s.ctx, patience/2)
	defer cancel()
	require.ErrorIs(s, s.d.Stop(ctx, stopReq(again(spec), time.Hour)), context.DeadlineExceeded)
	require.Equal(s, driver.PowerRunning, s.inspect(spec.InstanceID).Power, "a call that was cancelled does not cut the power")

	begin := time.Now()
	require.NoError(s, s.d.Reboot(s.call(), rebootReq(again(spec), driver.RebootSoft, patience)))
	require.GreaterOrEqual(s, time.Since(begin), patience, "the guest has its time")
	s.wantPower(spec.InstanceID, driver.PowerRunning)

	begin = time.Now()
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), patience)))
	require.GreaterOrEqual(s, time.Since(begin), patience, "the guest has its time")
	s.wantPower(spec.InstanceID, driver.PowerShutdown)
}

func checkConsole(s *session) {
	spec := s.create(true)
	s.booted(spec.InstanceID)
	all, err := s.d.ConsoleOutput(s.call(), &driver.ConsoleOutputRequest{InstanceID: spec.InstanceID, Lines: -1})
	require.NoError(s, err)
	require.Contains(s, string(all), s.h.ConsoleContains)
	for _, n := range []int{1, 2} {
		out, err := s.d.ConsoleOutput(s.call(), &driver.ConsoleOutputRequest{InstanceID: spec.InstanceID, Lines: n})
		require.NoError(s, err)
		require.NotEmpty(s, out)
		require.LessOrEqual(s, bytes.Count(bytes.TrimSuffix(out, []byte("\n")), []byte("\n")), n-1, "the last %d lines: %q", n, out)
	}
}

func checkEvents(s *session) {
	first, second := s.create(true), s.create(true)
	s.offWithEvent(first)
	s.restart()
	s.offWithEvent(second)
}

func (s *session) offWithEvent(spec *driver.InstanceSpec) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ch, err := s.d.Events(ctx)
	require.NoError(s, err)
	s.booted(spec.InstanceID)
	s.h.PowerOffInside(s.tb, spec.InstanceID)
	deadline := time.After(s.h.Timeout)
	for {
		var e *driver.Event
		select {
		case e = <-ch:
		case <-deadline:
		}
		require.NotNil(s, e, "an event for the guest that switched itself off")
		if e.InstanceID == spec.InstanceID && e.Type == driver.EventStopped {
			require.WithinDuration(s, time.Now(), e.Time, s.h.Timeout)
			break
		}
	}
	s.wantPower(spec.InstanceID, driver.PowerShutdown)
}

func checkConcurrency(s *session) {
	specs := make([]*driver.InstanceSpec, s.h.Parallel)
	for i := range specs {
		specs[i] = s.spec(true)
	}
	const repetitions = 3
	var wg sync.WaitGroup
	errs := make(chan error, len(specs)*repetitions)
	each := func(what string, n int, call func(*driver.InstanceSpec) error) {
		for _, spec := range specs {
			for range n {
				wg.Go(func() {
					if err := call(spec); err != nil {
						errs <- fmt.Errorf("%s %s: %w", what, spec.InstanceID, err)
					}
				})
			}
		}
		wg.Wait()
		select {
		case err := <-errs:
			require.NoError(s, err)
		default:
		}
	}
	each("create", repetitions, func(spec *driver.InstanceSpec) error {
		_, err := s.d.Create(s.ctx, spec)
		return err
	})
	require.Len(s, s.listed(), len(specs), "the same Create at the same time makes one guest")
	each("stop", repetitions, func(spec *driver.InstanceSpec) error { return s.d.Stop(s.ctx, stopReq(again(spec), 0)) })
	each("start", 1, func(spec *driver.InstanceSpec) error { return s.d.Start(s.ctx, again(spec)) })
	each("inspect", repetitions, func(spec *driver.InstanceSpec) error {
		_, err := s.d.Inspect(s.ctx, spec.InstanceID)
		return err
	})
	each("destroy", repetitions, func(spec *driver.InstanceSpec) error {
		return s.d.Destroy(s.ctx, &driver.DestroyRequest{InstanceRef: *again(spec), DestroyDisks: true})
	})
	require.Empty(s, s.listed())
}

func checkPaused(s *session) {
	spec := s.create(true)
	pairs := []struct {
		away, back   string
		there        driver.PowerState
		leave, comes func(*driver.Client, context.Context, *driver.InstanceRef) error
	}{
		{"Pause", "Unpause", driver.PowerPaused, (*driver.Client).Pause, (*driver.Client).Unpause},
		{"Suspend", "Resume", driver.PowerSuspended, (*driver.Client).Suspend, (*driver.Client).Resume},
	}
	for _, p := range pairs {
		if !s.has(p.away) {
			continue
		}
		require.True(s, s.has(p.back), "a driver with %s has %s", p.away, p.back)
		for range 2 {
			require.NoError(s, p.leave(s.d, s.call(), again(spec)), p.away)
			s.wantPower(spec.InstanceID, p.there)
		}
		s.restart()
		require.Equal(s, p.there, s.inspect(spec.InstanceID).Power, "%s outlives the driver", p.away)
		for range 2 {
			require.NoError(s, p.comes(s.d, s.call(), again(spec)), p.back)
			s.wantPower(spec.InstanceID, driver.PowerRunning)
		}
	}
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)))
	for _, p := range pairs {
		if s.has(p.away) {
			require.ErrorIs(s, p.leave(s.d, s.call(), again(spec)), driver.ErrConflict, "%s of a stopped guest", p.away)
		}
	}
}

func checkReshape(s *session) {
	spec := s.create(true)
	if s.has("Resize") {
		bigger := *spec
		bigger.InstanceRef = *again(spec)
		bigger.VCPUs, bigger.MemoryMiB = spec.VCPUs+1, spec.MemoryMiB+64
		require.ErrorIs(s, s.d.Resize(s.call(), &bigger), driver.ErrConflict, "Resize of a running guest")
		require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)))
		for range 2 {
			require.NoError(s, s.d.Resize(s.call(), &bigger))
			st := s.inspect(spec.InstanceID)
			require.Equal(s, bigger.VCPUs, st.VCPUs)
			require.Equal(s, bigger.MemoryMiB, st.MemoryMiB)
		}
		require.NoError(s, s.d.Start(s.call(), again(spec)))
		spec = &bigger
	}
	if s.has("Rebuild") {
		rebuilt := *spec
		rebuilt.InstanceRef = *again(spec)
		rebuilt.PowerOn, rebuilt.Files = true, someFiles
		var started time.Time
		for range 2 {
			st, err := s.d.Rebuild(s.call(), &rebuilt)
			require.NoError(s, err)
			require.Equal(s, driver.PowerRunning, st.Power)
			require.Equal(s, rebuilt.OperationID, st.OperationID)
			if !started.IsZero() {
				require.Equal(s, started, st.StartedAt, "a repetition does not rebuild")
			}
			started = st.StartedAt
		}
		require.Len(s, s.listed(), 1)
	}
}
