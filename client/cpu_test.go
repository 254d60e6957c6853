package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestCPUMonitor(t *testing.T) {
	t.Parallel()
	proc, sys := t.TempDir(), t.TempDir()
	m := NewCPUMonitor(proc, sys)
	_, err := m.Measure(time.Unix(1, 0))
	require.ErrorIs(t, err, os.ErrNotExist)
	stat := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(proc, "stat"), []byte(text), 0o600))
	}
	for _, wrong := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7\n", "cpu 1 2 3 4 x 6 7\n"} {
		stat(wrong)
		_, err = m.Measure(time.Unix(1, 0))
		require.Error(t, err, wrong)
	}
	stat("cpu  10 20 30 100 40 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1\n")
	got, err := m.Measure(time.Unix(2, 0))
	require.NoError(t, err)
	const second = int64(time.Second)
	require.Equal(t, &structs.HostMetrics{At: structs.TimeOf(time.Unix(2, 0)), Source: "linux", UserTime: 3 * second / 10, KernelTime: 3 * second / 10, IdleTime: second, IowaitTime: 4 * second / 10,
		UserPercent: 15, KernelPercent: 15, IdlePercent: 50, IowaitPercent: 20, CPUPercent: 30}, got, "since the start")
	stat("cpu  20 20 35 180 44 0 1 0 0 0\n")
	require.NoError(t, os.WriteFile(filepath.Join(proc, "cpuinfo"), []byte("processor\t: 0\ncpu MHz\t\t: 2399.998\n"), 0o600))
	got, err = m.Measure(time.Unix(3, 0))
	require.NoError(t, err)
	require.Equal(t, []int64{10, 6, 80, 4, 16, 2399}, []int64{got.UserPercent, got.KernelPercent, got.IdlePercent, got.IowaitPercent, got.CPUPercent, got.Frequency})
	freq := filepath.Join(sys, "devices/system/cpu/cpu0/cpufreq")
	require.NoError(t, os.MkdirAll(freq, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(freq, "scaling_cur_freq"), []byte("800000\n"), 0o600))
	got, err = m.Measure(time.Unix(4, 0))
	require.NoError(t, err)
	require.EqualValues(t, 800, got.Frequency)
	require.Zero(t, got.CPUPercent+got.IdlePercent, "no time has passed")
}

// Whatever the kernel's counters do, shares are percents, and those of a whole are at most the whole.
func TestCPUShares(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		m := NewCPUMonitor(dir, dir)
		for range 3 {
			var line string
			for range 7 {
				line += fmt.Sprintf(" %d", rapid.Int64Range(0, 1e9).Draw(t, "ticks"))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte("cpu "+line+"\n"), 0o600))
			got, err := m.Measure(time.Unix(1, 0))
			require.NoError(t, err)
			for _, v := range got.List() {
				require.GreaterOrEqual(t, v.Value, int64(0), v.Name)
			}
			for _, p := range []int64{got.UserPercent, got.KernelPercent, got.IdlePercent, got.IowaitPercent, got.CPUPercent} {
				require.LessOrEqual(t, p, int64(100))
			}
		}
	})
}

// What is measured reaches the host's record with a heartbeat, and not with every one.
func TestMetricsReachTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	n := newNode(t, "host-cpu")
	a := w.newAgent(w.wire, n)
	measured := 0 // the heartbeats' goroutine alone uses it
	a.c.cfg.MetricsEvery = time.Hour
	a.c.cfg.Metrics = func(now time.Time) (*structs.HostMetrics, error) {
		measured++
		return &structs.HostMetrics{At: structs.TimeOf(now), Source: "test", UserTime: int64(measured)}, nil
	}
	a.c.Start()
	w.until("the metrics on the record", func(r state.Reader) bool { h := r.Host(n.id); return h != nil && h.Metrics != nil })
	beats := w.front.count("Host.Heartbeat")
	eventually(t, "more heartbeats", func() bool { return w.front.count("Host.Heartbeat") > beats+2 })
	require.EqualValues(t, 1, w.srv.Stale().Host(n.id).Metrics.UserTime)
	told := 0
	for _, req := range requests[structs.HostHeartbeatRequest](w.front, "Host.Heartbeat") {
		if req.Beats[0].Metrics != nil {
			told++
		}
	}
	require.Equal(t, 1, told)
}

// A machine that does not tell costs no heartbeat.
func TestMetricsThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	n := newNode(t, "host-cpu")
	a := w.newAgent(w.wire, n)
	a.c.cfg.Metrics = func(time.Time) (*structs.HostMetrics, error) { return nil, errors.New("no /proc") }
	a.c.Start()
	eventually(t, "heartbeats", func() bool { return w.front.count("Host.Heartbeat") > 2 })
	require.Nil(t, w.srv.Stale().Host(n.id).Metrics)
}
