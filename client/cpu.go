package client

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// CPUMonitor measures the processors of a Linux machine as its kernel tells of them. Not safe for concurrent use.
type CPUMonitor struct {
	proc, sys string
	before    cpuTimes
}

// NewCPUMonitor returns a monitor that reads below the folders where procfs and sysfs are mounted.
func NewCPUMonitor(proc, sys string) *CPUMonitor { return &CPUMonitor{proc: proc, sys: sys} }

// cpuTimes are ticks since the machine's start.
type cpuTimes struct{ user, kernel, idle, iowait int64 }

func (t cpuTimes) sub(o cpuTimes) cpuTimes {
	return cpuTimes{t.user - o.user, t.kernel - o.kernel, t.idle - o.idle, t.iowait - o.iowait}
}

func (t cpuTimes) total() int64 { return t.user + t.kernel + t.idle + t.iowait }

// tick is the unit of /proc/stat: USER_HZ is 100 on every architecture.
const tick = int64(time.Second) / 100

// parseStat reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq. What guests got is within user; what the hypervisor below took (steal)
// is nobody's here.
func parseStat(text []byte) (cpuTimes, error) {
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) < 8 || fields[0] != "cpu" {
		return cpuTimes{}, fmt.Errorf("%q is no first line of /proc/stat", line)
	}
	var n [7]int64
	for i := range n {
		v, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return cpuTimes{}, fmt.Errorf("/proc/stat: %w", err)
		}
		n[i] = v
	}
	return cpuTimes{user: n[0] + n[1], kernel: n[2] + n[5] + n[6], idle: n[3], iowait: n[4]}, nil
}

// nanoseconds of many processors and years end at what their number can tell.
func nanoseconds(ticks int64) int64 {
	if ticks > math.MaxInt64/tick {
		return math.MaxInt64
	}
	return ticks * tick
}

// Measure reads the times, with shares of the time since it was called last; the first time, since the machine's start.
func (m *CPUMonitor) Measure(now time.Time) (*structs.HostMetrics, error) {
	text, err := os.ReadFile(filepath.Join(m.proc, "stat"))
	if err != nil {
		return nil, err
	}
	t, err := parseStat(text)
	if err != nil {
		return nil, err
	}
	d := t.sub(m.before)
	m.before = t
	percent := func(part int64) int64 {
		if total := d.total(); total > 0 {
			return min(max(part*100/total, 0), 100) // the kernel's idle times can go back a little
		}
		return 0
	}
	return &structs.HostMetrics{At: structs.TimeOf(now), Source: "linux", UserTime: nanoseconds(t.user), KernelTime: nanoseconds(t.kernel),
		IdleTime: nanoseconds(t.idle), IowaitTime: nanoseconds(t.iowait),
		UserPercent: percent(d.user), KernelPercent: percent(d.kernel), IdlePercent: percent(d.idle), IowaitPercent: percent(d.iowait),
		CPUPercent: percent(d.user + d.kernel), Frequency: m.frequency()}, nil
}

// frequency is the first processor's in MHz; 0 when the machine does not tell it, as virtual ones may not.
func (m *CPUMonitor) frequency() int64 {
	text, err := os.ReadFile(filepath.Join(m.sys, "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"))
	if err == nil {
		if khz, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return khz / 1000
		}
	}
	if text, err = os.ReadFile(filepath.Join(m.proc, "cpuinfo")); err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "cpu MHz" {
			mhz, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return int64(mhz)
		}
	}
	return 0
}

// monitor says when it is time to measure.
type monitor struct {
	every       time.Duration
	asked, told time.Time // when it was measured last, and when it was what reached a server
	failed      string
}

// measure returns what the next heartbeat tells, nil when it is not time yet. What did not reach a server is measured again.
func (c *Client) measure(m *monitor) *structs.HostMetrics {
	now := time.Now()
	if c.cfg.Metrics == nil || now.Sub(m.told) < m.every {
		return nil
	}
	m.asked = now
	measured, err := c.cfg.Metrics(now)
	if err == nil {
		m.failed = ""
		return measured
	}
	if m.told = now; m.failed != err.Error() {
		m.failed = err.Error()
		c.logger.Warn("cannot measure this machine's processors", "error", err)
	}
	return nil
}
