package agent

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
)

// part is what a reload takes over as one: all of it or, on error, nothing.
type part struct {
	paths []string // of Runtime, as Reloadable names them
	apply func(ctx context.Context, next *Runtime) error
	keep  func(now, next *Runtime) // writes down that it was taken over
}

// parts are what this agent can take over from next. Together their paths are those that Reloadable takes for changed.
func (a *agent) parts(next *Runtime) []part {
	parts := []part{{[]string{"log_level"}, a.reloadLog, func(now, next *Runtime) { now.LogLevel = next.LogLevel }}}
	if usesTLS(a.now, next) {
		parts = append(parts, part{reloadableTLS, a.reloadTLS, func(now, next *Runtime) {
			t := next.TLS
			t.VerifyHTTPSClient = now.TLS.VerifyHTTPSClient
			now.TLS = t
		}})
	}
	if a.server != nil {
		parts = append(parts, part{reloadableScheduler, a.reloadScheduler, func(now, next *Runtime) {
			s := next.Server.Scheduler
			s.Workers = now.Server.Scheduler.Workers
			now.Server.Scheduler = s
		}})
	}
	if a.policy != nil {
		parts = append(parts, part{[]string{policyPath}, a.reloadPolicy, func(now, next *Runtime) { now.Server.PolicyFile = next.Server.PolicyFile }})
	}
	if a.client != nil {
		parts = append(parts, part{[]string{"client.reserved"}, a.reloadReserved, func(now, next *Runtime) { now.Client.Reserved = next.Client.Reserved }})
	}
	if a.drivers != nil {
		name := a.drivers.name
		parts = append(parts, part{pluginCommandPaths(name), a.reloadPluginCommand, func(now, next *Runtime) {
			now.setPlugin(name, func(p *PluginRuntime) { p.Path, p.Args = next.Plugin(name).Path, next.Plugin(name).Args })
		}}, part{[]string{joinPath(pluginPath(name), "config")}, a.reloadPluginConfig, func(now, next *Runtime) {
			now.setPlugin(name, func(p *PluginRuntime) { p.Config = next.Plugin(name).Config })
		}})
	}
	return parts
}

// reload takes over what a running agent can, and says what it took over, what not, and what waits for a restart. What waits is said again at each
// reload until it is restarted or taken back.
func (a *agent) reload(ctx context.Context, next *Runtime) {
	next = withDirsOf(a.now, next)
	changed, restart := Reloadable(a.now, next)
	now := *a.now
	now.Plugins = slices.Clone(now.Plugins)
	var taken, later []string
	for _, p := range a.parts(next) {
		ours := within(changed, p.paths)
		if err := p.apply(ctx, next); err != nil {
			a.logger.Error("a part of the configuration is not taken over; what was there goes on", "part", strings.Join(p.paths, ", "), "error", err)
			continue
		}
		p.keep(&now, next)
		if a.drivers != nil && slices.Equal(p.paths, pluginCommandPaths(a.drivers.name)) {
			later = ours
		} else {
			taken = append(taken, ours...)
		}
	}
	a.now = &now
	a.logger.Info("configuration read again", "taken_over", listed(taken))
	if len(later) > 0 {
		a.logger.Warn("changed, but only holds from the next start of the driver's process on", "settings", listed(later), "driver", a.drivers.name)
	}
	if len(restart) > 0 {
		a.logger.Warn("changed, but only holds after a restart of the agent", "settings", listed(restart))
	}
}

func within(paths, parts []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !under(parts, p) })
}

func listed(paths []string) string {
	if len(paths) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Sorted(slices.Values(paths)), ", ")
}

func (a *agent) reloadLog(_ context.Context, next *Runtime) error {
	a.logger.SetLevel(hclog.LevelFromString(next.LogLevel))
	return nil
}

// reloadTLS reads the files again even when their names are the same: that is how certificates are renewed.
func (a *agent) reloadTLS(_ context.Context, next *Runtime) error {
	if a.http != nil && a.rt.TLS.HTTP {
		t := next.TLS
		t.VerifyHTTPSClient = a.rt.TLS.VerifyHTTPSClient
		if err := a.http.loadTLS(t); err != nil {
			return err
		}
	}
	if a.tls != nil {
		if err := a.tls.Reload(a.tlsFiles(next.TLS)); err != nil {
			return err
		}
	}
	a.logger.Info("TLS files read again; they hold for connections from now on")
	return nil
}

// reloadScheduler refuses at once what does not exist; the rest is written to the cluster as soon as there is a leader.
func (a *agent) reloadScheduler(ctx context.Context, next *Runtime) error {
	s := next.Server.Scheduler
	settings := overlaySettings(*a.server.Stale().ClusterSettings(), s)
	if err := scheduler.Validate(&settings); err != nil {
		return err
	}
	a.goRun(func() { a.applyScheduler(ctx, s) })
	return nil
}

func (a *agent) reloadReserved(_ context.Context, next *Runtime) error {
	a.client.Reserve(next.Client.Reserved.resources())
	return nil
}

func (a *agent) reloadPluginCommand(_ context.Context, next *Runtime) error {
	return a.drivers.plugin.SetCommand(next.Plugin(a.drivers.name).command())
}

func (a *agent) reloadPluginConfig(ctx context.Context, next *Runtime) error {
	return a.drivers.configure(ctx, next.Plugin(a.drivers.name))
}
