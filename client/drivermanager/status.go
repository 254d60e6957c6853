package drivermanager

import (
	"cmp"
	"slices"
	"time"
)

// State is where a plugin stands.
type State string

const (
	// StateStarting: it has not run yet since the agent started.
	StateStarting State = "starting"
	// StateRunning: it runs; whether it is healthy is another matter.
	StateRunning State = "running"
	// StateRestarting: it has crashed, and waits to be started again or is being started.
	StateRestarting State = "restarting"
	// StateStopped: Shutdown.
	StateStopped State = "stopped"
)

// Status is what an operator wants to know of a plugin.
type Status struct {
	Name       string
	State      State
	Healthy    bool // it runs, answers, and every host's configuration was taken
	PID        int  // 0 when it does not run
	Reattached bool // an earlier agent started it
	StartedAt  time.Time
	Restarts   int // crashes since this agent started
	LastError  string
	// LastErrorAt is zero when there was none. An error stays here after it was overcome.
	LastErrorAt time.Time
	LogFile     string
	Hosts       []HostStatus // by host
}

// HostStatus is what an operator wants to know of one host of a plugin.
type HostStatus struct {
	Host       string
	Configured bool // the running plugin has taken its configuration
	// Healthy and HealthDescription are of the newest fingerprint.
	Healthy           bool
	HealthDescription string
	LastError         string
}

// Status returns the plugin's status at this moment.
func (p *Plugin) Status() Status {
	p.mu.Lock()
	s := Status{
		Name: p.config.Name, State: p.state, Restarts: p.restarts, LastError: p.lastError, LastErrorAt: p.lastErrorAt,
		LogFile: p.config.LogFile, Healthy: p.live != nil && p.missed == 0,
	}
	if l := p.live; l != nil {
		s.PID, s.Reattached, s.StartedAt = l.proc.pid, l.reattached, l.since
	}
	drivers := make([]*Driver, 0, len(p.drivers))
	for d := range p.drivers {
		drivers = append(drivers, d)
	}
	p.mu.Unlock()
	for _, d := range drivers {
		h := d.Status()
		s.Hosts = append(s.Hosts, h)
		s.Healthy = s.Healthy && h.Configured
	}
	slices.SortFunc(s.Hosts, func(a, b HostStatus) int { return cmp.Compare(a.Host, b.Host) })
	return s
}
