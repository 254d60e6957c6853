package agent

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// reloadable are the paths of Runtime that a running agent takes over on SIGHUP (agent.parts in run_reload.go): whatever lies below one is
// included. The settings of the host's driver are taken over, too. TLS files are read again at each reload even when their names are the same,
// and so is the policy file.
var reloadable = slices.Concat([]string{"log_level", "client.reserved", policyPath}, reloadableTLS, reloadableScheduler)

const policyPath = "server.policy_file"

var (
	reloadableTLS       = []string{"tls.ca_file", "tls.cert_file", "tls.key_file", "tls.verify_server_hostname"}
	reloadableScheduler = []string{"server.scheduler.filters", "server.scheduler.weights", "server.scheduler.metric_weights", "server.scheduler.metrics_required",
		"server.scheduler.metric_weight_of_unavailable",
		"server.scheduler.cpu_ratio", "server.scheduler.memory_ratio", "server.scheduler.disk_ratio"}
)

// unimportant never count as a change.
var unimportant = []string{"files", "notes"}

// Reload reads the configuration again as LoadRuntime did for old. A development agent keeps its temporary directory.
func Reload(f Flags, old *Runtime) (*Runtime, error) {
	if old.TempDataDir {
		said := &loaded{config: &Config{}, sources: sources{}}
		said.overlay(f.said.config, f.said.sources)
		said.overlay(&Config{DataDir: &old.DataDir}, sources{"data_dir": "-dev"})
		f.said = *said
	}
	rt, err := LoadRuntime(f)
	if err != nil {
		return nil, err
	}
	rt.TempDataDir = old.TempDataDir
	return rt, nil
}

// Reloadable compares two configurations and returns the paths that differ: those that the running agent can take over,
// and those that hold only after a restart. Both are sorted. What means nothing to this agent, before and after, is in neither.
func Reloadable(old, new *Runtime) (changed, needRestart []string) {
	new = withDirsOf(old, new)
	can := slices.Clone(reloadable)
	if !usesTLS(old, new) { // files that fit the one do not fit the other
		can = slices.DeleteFunc(can, func(p string) bool { return slices.Contains(reloadableTLS, p) })
	}
	if old.Client.Enabled {
		for _, name := range old.Client.Drivers {
			can = append(can, pluginPath(name))
		}
	}
	nothing := slices.Concat(unimportant, meaningless(old, new))
	differs := func(path string) {
		switch {
		case under(nothing, path):
		case under(can, path):
			changed = append(changed, path)
		default:
			needRestart = append(needRestart, path)
		}
	}
	compare("", reflect.ValueOf(*old), reflect.ValueOf(*new), differs)
	comparePlugins(old, new, differs)
	slices.Sort(changed)
	slices.Sort(needRestart)
	return changed, needRestart
}

// usesTLS reports whether there is TLS, and the same before and after.
func usesTLS(old, new *Runtime) bool {
	return (old.TLS.RPC || old.TLS.HTTP) && old.TLS.RPC == new.TLS.RPC && old.TLS.HTTP == new.TLS.HTTP
}

// meaningless are the paths of roles that the agent does not have, neither before nor after, and of what is no longer said of the scheduler: the
// cluster keeps it as it is.
func meaningless(old, new *Runtime) (paths []string) {
	if !old.Server.Enabled && !new.Server.Enabled {
		paths = append(paths, "server")
	}
	if !old.Client.Enabled && !new.Client.Enabled {
		paths = append(paths, "client")
	}
	for path, unsaid := range map[string]bool{"filters": len(new.Server.Scheduler.Filters) == 0, "weights": len(new.Server.Scheduler.Weights) == 0,
		"cpu_ratio": new.Server.Scheduler.CPURatio == nil, "memory_ratio": new.Server.Scheduler.MemoryRatio == nil,
		"disk_ratio": new.Server.Scheduler.DiskRatio == nil, "metric_weights": len(new.Server.Scheduler.MetricWeights) == 0,
		"metrics_required": new.Server.Scheduler.MetricsRequired == nil, "metric_weight_of_unavailable": new.Server.Scheduler.MetricMissing == nil} {
		if unsaid {
			paths = append(paths, joinPath("server.scheduler", path))
		}
	}
	return paths
}

// comparePlugins compares the drivers that the agent uses, before or after.
func comparePlugins(old, new *Runtime, differs func(string)) {
	var names []string
	for _, rt := range []*Runtime{old, new} {
		if rt.Client.Enabled {
			names = append(names, rt.Client.Drivers...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		compare(pluginPath(name), reflect.ValueOf(old.Plugin(name)), reflect.ValueOf(new.Plugin(name)), differs)
	}
}

// pluginCommandPaths are what decides how a driver's process is started.
func pluginCommandPaths(name string) []string {
	return []string{joinPath(pluginPath(name), "path"), joinPath(pluginPath(name), "args")}
}

// withDirsOf puts the directories that a driver has below data_dir by default back to where they are now: they do not move before a restart.
func withDirsOf(now, next *Runtime) *Runtime {
	if now.DataDir == next.DataDir {
		return next
	}
	moved := *next
	moved.Plugins = slices.Clone(next.Plugins)
	for i, p := range moved.Plugins {
		var values map[string]any
		if len(driverDirs[p.Name]) == 0 || json.Unmarshal(p.Config, &values) != nil {
			continue
		}
		for key, dir := range driverDirs[p.Name] {
			if values[key] == filepath.Join(next.DataDir, dir) {
				values[key] = filepath.Join(now.DataDir, dir)
			}
		}
		if text, err := json.Marshal(values); err == nil {
			moved.Plugins[i].Config = text
		}
	}
	return &moved
}

func under(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return path == p || strings.HasPrefix(path, p+".") })
}

// compare calls differs with the path of every field that differs; lists and maps count as one.
func compare(path string, a, b reflect.Value, differs func(string)) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
			if a.Type().Field(i).Type == reflect.TypeFor[[]PluginRuntime]() {
				continue // comparePlugins does it
			}
			compare(joinPath(path, jsonName(a.Type().Field(i))), a.Field(i), b.Field(i), differs)
		}
		return
	}
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		differs(path)
	}
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}
