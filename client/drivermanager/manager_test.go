package drivermanager

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestCallsReachThePlugin(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	var prints collected[*driver.Fingerprint]
	var events collected[*driver.Event]
	control := filepath.Join(e.config.StateDir, "guests", "control")
	e.fake["control_file"] = control
	d := p.Driver(DriverConfig{DriverConfig: e.json(), OnFingerprint: prints.add, OnEvent: events.add})

	st, err := d.Create(e.ctx(), guestSpec("g"))
	require.NoError(t, err)
	require.Equal(t, driver.PowerRunning, st.Power)
	_, err = d.Inspect(e.ctx(), "other")
	require.ErrorIs(t, err, driver.ErrNotFound, "kinds pass through")
	caps, err := d.Capabilities(e.ctx())
	require.NoError(t, err)
	require.Equal(t, "fake", caps.Name)

	e.eventually("a fingerprint", func() bool { return prints.any(func(f *driver.Fingerprint) bool { return f.Healthy }) })
	ch, err := d.Fingerprint(e.ctx())
	require.NoError(t, err)
	require.True(t, (<-ch).Healthy)
	evs, err := d.Events(e.ctx())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(control, []byte(`{"action":"guest_power_off","instance":"g"}`+"\n"), 0o600))
	require.Equal(t, driver.EventStopped, (<-evs).Type)
	e.eventually("the same event at the agent", func() bool { return events.any(func(ev *driver.Event) bool { return ev.InstanceID == "g" }) })

	s := p.Status()
	require.Equal(t, StateRunning, s.State)
	require.True(t, s.Healthy)
	require.False(t, s.Reattached)
	require.True(t, alive(s.PID))
	require.Equal(t, []HostStatus{{Configured: true, Healthy: true}}, s.Hosts)

	require.NoError(t, p.Shutdown(true))
	e.gone(s.PID)
	require.Empty(t, e.left())
	_, open := <-evs
	require.False(t, open)
	_, err = d.Inspect(e.ctx(), "g")
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.False(t, driver.Retryable(err), "nothing to wait for")
	require.Equal(t, StateStopped, p.Status().State)
	require.ErrorIs(t, p.WaitReady(e.ctx()), driver.ErrUnavailable)
	require.ErrorIs(t, p.Driver(DriverConfig{}).Start(e.ctx(), &driver.InstanceRef{}), driver.ErrUnavailable)
	require.NoError(t, p.Shutdown(false), "once more does nothing")
}

// A changed command is that of the next process; the one that runs goes on.
func TestSetCommand(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	_, err := d.Create(e.ctx(), guestSpec("g"))
	require.NoError(t, err)
	pid := p.Status().PID

	require.ErrorContains(t, p.SetCommand([]string{""}), "the command is empty")
	require.NoError(t, p.SetCommand(append(pluginCommand(), "another")))
	require.Equal(t, pid, p.Status().PID)
	_, err = d.Inspect(e.ctx(), "g")
	require.NoError(t, err)
	require.Equal(t, pid, p.Status().PID)

	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	e.eventually("another process", func() bool { s := p.Status(); return s.State == StateRunning && s.PID != pid })
	argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Status().PID))
	require.NoError(t, err)
	require.Equal(t, append(pluginCommand(), "another"), strings.Split(strings.TrimSuffix(string(argv), "\x00"), "\x00"))
	_, err = d.Inspect(e.ctx(), "g")
	require.NoError(t, err)
}

func TestCrashIsOvercome(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	restarts := make(chan []*driver.InstanceStatus, 10)
	var prints, events atomic.Int64
	var d *Driver
	made := make(chan struct{})
	d = p.Driver(DriverConfig{
		DriverConfig:  e.json(),
		OnFingerprint: func(*driver.Fingerprint) { prints.Add(1) },
		OnEvent:       func(*driver.Event) { events.Add(1) },
		OnRestart: func() {
			<-made
			list, err := d.List(context.Background())
			if err != nil {
				t.Error(err)
			}
			restarts <- list
		},
	})
	close(made)
	_, err := d.Create(e.ctx(), guestSpec("g"))
	require.NoError(t, err)
	e.eventually("a fingerprint", func() bool { return prints.Load() > 0 })

	for n := 1; n <= 3; n++ {
		before, pid := prints.Load(), p.Status().PID
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Len(t, <-restarts, 1, "the guest is there, and the driver configured, when OnRestart is called")
		st, err := d.Inspect(e.ctx(), "g")
		require.NoError(t, err)
		require.Equal(t, driver.PowerRunning, st.Power)
		s := p.Status()
		require.NotEqual(t, pid, s.PID)
		require.Equal(t, n, s.Restarts)
		require.Contains(t, s.LastError, "killed")
		require.True(t, s.Healthy)
		e.eventually("the fingerprint stream is open again", func() bool { return prints.Load() > before })
	}
}

func TestCallsWhileThePluginIsDown(t *testing.T) {
	e := newEnv(t)
	e.config.MinBackoff, e.config.MaxBackoff = time.Hour, time.Hour
	p := e.plugin()
	e.fake["latency"] = map[string]string{"create": "1h"}
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	require.NoError(t, d.Configure(e.ctx(), e.json()))

	broken := make(chan error, 1)
	go func() {
		_, err := d.Create(context.Background(), guestSpec("g"))
		broken <- err
	}()
	_, err := d.List(e.ctx())
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(p.Status().PID, syscall.SIGKILL))
	err = <-broken
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.True(t, driver.Retryable(err))

	e.eventually("restarting", func() bool { return p.Status().State == StateRestarting })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = d.List(ctx)
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, driver.Retryable(err))
	require.ErrorContains(t, err, "killed", "it says why")
	require.ErrorIs(t, d.Configure(ctx, nil), driver.ErrUnavailable)
	require.False(t, p.Status().Healthy)

	waiting := make(chan error, 1)
	go func() { waiting <- d.Start(context.Background(), &driver.InstanceRef{InstanceID: "g"}) }()
	require.NoError(t, p.Shutdown(true), "while it waits to start the plugin again")
	require.ErrorIs(t, <-waiting, driver.ErrUnavailable)
	require.Empty(t, e.left())
}

func TestPluginThatCannotStart(t *testing.T) {
	for name, command := range map[string][]string{
		"missing": {"/no/such/program"}, "broken": {os.Args[0], roleBroken}, "hangs": {os.Args[0], roleHang},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.config.Command, e.config.StartTimeout = command, 200*time.Millisecond
			p := e.plugin()
			d := p.Driver(DriverConfig{DriverConfig: e.json()})
			e.eventually("an error", func() bool { return p.Status().LastError != "" })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err := p.WaitReady(ctx)
			require.ErrorIs(t, err, driver.ErrUnavailable)
			require.ErrorContains(t, err, "start driver plugin")
			_, err = d.List(ctx)
			require.ErrorIs(t, err, driver.ErrUnavailable)
			require.False(t, p.Status().Healthy)
			require.NoError(t, p.Shutdown(true))
			require.Empty(t, e.left())
		})
	}
}

func TestShutdownWhileStarting(t *testing.T) {
	e := newEnv(t)
	e.config.Command = []string{os.Args[0], roleHang}
	p := e.plugin()
	e.eventually("the process is forked", func() bool { r, _ := loadRecord(&e.config); return r != nil })
	r, err := loadRecord(&e.config)
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, p.Shutdown(false))
	require.Less(t, time.Since(begin), 10*time.Second, "it does not wait for the start timeout")
	e.gone(r.PID)
	require.Empty(t, e.left())
}

func TestConfiguration(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	var prints collected[*driver.Fingerprint]
	d := p.Driver(DriverConfig{DriverConfig: json.RawMessage(`{"vcpu": 4}`), OnFingerprint: prints.add})
	_, err := d.List(e.ctx())
	require.ErrorIs(t, err, driver.ErrInvalid, "a refusal for good is answered at once")
	require.ErrorContains(t, err, "vcpu")
	e.eventually("the host is unhealthy and says why", func() bool {
		return prints.any(func(f *driver.Fingerprint) bool {
			return !f.Healthy && strings.Contains(f.HealthDescription, "vcpu")
		})
	})
	require.False(t, p.Status().Healthy)

	e.fake["vcpus"] = 4
	require.NoError(t, d.Configure(e.ctx(), e.json()))
	_, err = d.List(e.ctx())
	require.NoError(t, err)
	e.eventually("the new inventory", func() bool {
		return prints.any(func(f *driver.Fingerprint) bool { return f.Healthy && f.Inventory.VCPUs == 4 })
	})

	e.fake["vcpus"] = 5
	require.NoError(t, d.Configure(e.ctx(), e.json()))
	require.ErrorIs(t, d.Configure(e.ctx(), []byte(`{"vcpus": -1}`)), driver.ErrInvalid)
	_, err = d.List(e.ctx())
	require.NoError(t, err, "a refused change leaves the driver as it was")

	require.NoError(t, syscall.Kill(p.Status().PID, syscall.SIGKILL))
	e.eventually("the next process has the newest configuration that was taken", func() bool {
		ch, err := d.Fingerprint(e.ctx())
		require.NoError(t, err)
		return p.Status().Restarts == 1 && p.Status().Healthy && (<-ch).Inventory.VCPUs == 5
	})
}

func TestHostsOfOnePlugin(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	const hosts = 20
	restarted := make(chan string, hosts)
	var ds []*Driver
	for i := range hosts {
		host := fmt.Sprintf("h%02d", i)
		e.fake["host"] = host
		d := p.Driver(DriverConfig{Host: host, DriverConfig: e.json(), OnRestart: func() { restarted <- host }})
		_, err := d.Create(e.ctx(), guestSpec("on-"+host))
		require.NoError(t, err)
		ds = append(ds, d)
	}
	require.NoError(t, syscall.Kill(p.Status().PID, syscall.SIGKILL))
	for range hosts {
		<-restarted
	}
	for i, d := range ds {
		list, err := d.List(e.ctx())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, fmt.Sprintf("on-h%02d", i), list[0].InstanceID)
	}
	require.Len(t, p.Status().Hosts, hosts)
	ds[0].Close()
	require.Len(t, p.Status().Hosts, hosts-1)
	require.ErrorIs(t, ds[0].Configure(e.ctx(), nil), driver.ErrUnavailable)
	_, err := ds[1].List(e.ctx())
	require.NoError(t, err)
}

// TestAgentKilled: the agent dies by kill -9, its plugin and guests go on, and the next agent finds both. The plugin then
// logs more than any pipe holds, on every channel: with a pipe to the dead agent it would be killed or block.
func TestAgentKilled(t *testing.T) {
	e := newEnv(t)
	agent := exec.Command(os.Args[0], roleAgent, e.config.StateDir, string(e.json()))
	agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := agent.StdoutPipe()
	require.NoError(t, err)
	agent.Stderr = os.Stderr
	require.NoError(t, agent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscanf(line, "ready %d", &pid)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(-agent.Process.Pid, syscall.SIGKILL), "the whole process group, as a shell would")
	require.Error(t, agent.Wait())
	require.True(t, alive(pid), "the plugin outlives its agent")

	p := e.plugin()
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	list, err := d.List(e.ctx())
	require.NoError(t, err)
	require.Len(t, list, 1)
	s := p.Status()
	require.Equal(t, pid, s.PID)
	require.True(t, s.Reattached)
	require.Zero(t, s.Restarts)

	for range 2 {
		_, err = d.HostStats(e.ctx())
		require.NoError(t, err)
	}
	require.Equal(t, pid, p.Status().PID)
	log := e.log()
	for _, channel := range []string{"by logger", "by stdout", "by stderr", "by descriptor"} {
		require.GreaterOrEqual(t, strings.Count(log, channel), 2*chatLines, channel)
	}
	require.NoError(t, p.Shutdown(true))
	e.gone(pid)
	require.Empty(t, e.left())
}

func TestDetachAndReattach(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	_, err := d.Create(e.ctx(), guestSpec("g"))
	require.NoError(t, err)
	pid := p.Status().PID
	require.NoError(t, p.Shutdown(false))
	require.True(t, alive(pid))

	var restarts atomic.Int64
	p = e.plugin()
	d = p.Driver(DriverConfig{DriverConfig: e.json(), OnRestart: func() { restarts.Add(1) }})
	_, err = d.Inspect(e.ctx(), "g")
	require.NoError(t, err)
	require.Equal(t, pid, p.Status().PID)
	require.True(t, p.Status().Reattached)
	require.Zero(t, restarts.Load(), "a re-attached plugin did not restart")

	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	e.eventually("a crash is seen in a re-attached plugin too", func() bool { return restarts.Load() == 1 })
	_, err = d.Inspect(e.ctx(), "g")
	require.NoError(t, err)
	require.False(t, p.Status().Reattached)
}

func TestReattachRefused(t *testing.T) {
	// What an earlier agent left is changed before the next one comes; killed says what must become of the process.
	for name, c := range map[string]struct {
		change func(*env, *record)
		killed bool
	}{
		"pid reused":      {func(e *env, r *record) { r.StartTime += "1" }, false},
		"another boot":    {func(e *env, r *record) { r.BootID = "before" }, false},
		"a stranger":      {func(e *env, r *record) { r.PID = os.Getpid() }, false},
		"process is gone": {func(e *env, r *record) { r.PID = 1 << 22 }, false},
		"wrong token":     {func(e *env, r *record) { r.Token = "x" }, true},
		"no address":      {func(e *env, r *record) { r.Address = "" }, true},
		"old program":     {func(e *env, r *record) { r.Program = "1@2" }, true},
		"old protocol":    {func(e *env, r *record) { r.ProtocolVersion = 99 }, true},
		"other command":   {func(e *env, r *record) { r.Command = []string{"x"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			delete(e.fake, "state_dir") // the first plugin may go on and hold it
			p := e.plugin()
			require.NoError(t, p.WaitReady(e.ctx()))
			pid := p.Status().PID
			require.NoError(t, p.Shutdown(false))
			r, err := loadRecord(&e.config)
			require.NoError(t, err)
			c.change(e, r)
			require.NoError(t, r.save(&e.config))

			p = e.plugin()
			d := p.Driver(DriverConfig{DriverConfig: e.json()})
			_, err = d.Create(e.ctx(), guestSpec("g"))
			require.NoError(t, err)
			require.NotEqual(t, pid, p.Status().PID)
			require.False(t, p.Status().Reattached)
			if c.killed {
				e.gone(pid)
				return
			}
			require.True(t, alive(pid), "a process that may be another's is left alone")
			require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
			e.eventually("the first plugin ends", func() bool { reap(pid); return !alive(pid) })
		})
	}
}

func TestDamagedRecord(t *testing.T) {
	e := newEnv(t)
	require.NoError(t, os.WriteFile(recordPath(&e.config), []byte("{"), 0o600))
	p := e.plugin()
	require.NoError(t, p.WaitReady(e.ctx()))
}

func TestHungPluginIsReplaced(t *testing.T) {
	e := newEnv(t)
	e.config.PingInterval = 100 * time.Millisecond
	p := e.plugin()
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	_, err := d.Create(e.ctx(), guestSpec("g"))
	require.NoError(t, err)
	pid := p.Status().PID
	err = d.HostPower(e.ctx(), driver.HostPowerReboot) // it stops itself
	require.ErrorIs(t, err, driver.ErrUnavailable, "the call ends with the process")
	e.eventually("another process", func() bool { s := p.Status(); return s.PID != pid && s.Healthy })
	_, err = d.Inspect(e.ctx(), "g")
	require.NoError(t, err)
	require.Contains(t, p.Status().LastError, "hangs")
	e.gone(pid)
}

func TestShutdownOfAHungPlugin(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	require.NoError(t, p.WaitReady(e.ctx()))
	pid := p.Status().PID
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	begin := time.Now()
	require.NoError(t, p.Shutdown(true))
	require.Less(t, time.Since(begin), 4*killGrace)
	e.gone(pid)
	require.Empty(t, e.left())
}

func TestOrphanEnds(t *testing.T) {
	e := newEnv(t)
	e.config.OrphanTimeout = 100 * time.Millisecond
	p := e.plugin()
	require.NoError(t, p.WaitReady(e.ctx()))
	pid := p.Status().PID
	require.NoError(t, p.Shutdown(false))
	e.eventually("the plugin ends by itself", func() bool { reap(pid); return !alive(pid) })
	require.Contains(t, e.log(), "no agent is connected")
}

// TestFlood: many calls at once while the plugin is killed again and again. Each call is repeated until it succeeds, as the
// agent does, and in the end every guest is there exactly once.
func TestFlood(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	const workers, each = 16, 60
	var done, repeated atomic.Int64
	var wg sync.WaitGroup
	ctx := e.ctx()
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				spec := guestSpec(fmt.Sprintf("g-%d-%d", w, i))
				for {
					_, err := d.Create(ctx, spec)
					if err == nil {
						break
					}
					if !errors.Is(err, driver.ErrUnavailable) || !driver.Retryable(err) || ctx.Err() != nil {
						t.Errorf("create: %v", err)
						return
					}
					repeated.Add(1)
				}
				done.Add(1)
			}
		})
	}
	for kills := int64(1); kills <= 3; kills++ {
		e.eventually("progress", func() bool { return done.Load() > kills*workers*each/5 })
		if s := p.Status(); s.PID != 0 {
			require.NoError(t, syscall.Kill(s.PID, syscall.SIGKILL))
		}
	}
	wg.Wait()
	list, err := d.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, workers*each)
	require.NotZero(t, p.Status().Restarts)
	t.Logf("%d calls repeated, %d restarts", repeated.Load(), p.Status().Restarts)
}

// TestScriptedCrash: the driver dies after a Create has had its effect and before it has answered. The repetition finds the
// guest.
func TestScriptedCrash(t *testing.T) {
	e := newEnv(t)
	p := e.plugin()
	e.fake["crashes"] = []map[string]any{{"method": "create", "nth": 1, "point": "after"}}
	d := p.Driver(DriverConfig{DriverConfig: e.json()})
	_, err := d.Create(e.ctx(), guestSpec("g"))
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.True(t, driver.Retryable(err))
	e.eventually("the repetition succeeds", func() bool {
		_, err := d.Create(e.ctx(), guestSpec("g"))
		return err == nil
	})
	list, err := d.List(e.ctx())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 1, p.Status().Restarts)
	require.Contains(t, e.log(), "crashing as scripted")
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{StateDir: t.TempDir()}, {Name: "fake"}, {Name: "../x", StateDir: t.TempDir()}, {Name: ".x", StateDir: t.TempDir()},
		{Name: "x", StateDir: t.TempDir(), Command: []string{""}}, {Name: "x", StateDir: "/dev/null/x"},
	} {
		_, err := New(c)
		require.Error(t, err, "%+v", c)
	}
}
