package agent

import (
	"reflect"
	"slices"
	"strings"
)

// reloadable are the paths of Runtime that a running agent takes over on SIGHUP (agent.reload in run.go): whatever lies below one is
// included.
// TLS files are read again at each reload even when their names are the same.
var reloadable = []string{
	"log_level",
	"tls.ca_file", "tls.cert_file", "tls.key_file",
	"plugins",
	"server.scheduler.filters", "server.scheduler.weights",
	"server.scheduler.cpu_ratio", "server.scheduler.memory_ratio", "server.scheduler.disk_ratio",
}

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
// and those that hold only after a restart. Both are sorted.
func Reloadable(old, new *Runtime) (changed, needRestart []string) {
	compare("", reflect.ValueOf(*old), reflect.ValueOf(*new), func(path string) {
		switch {
		case under(unimportant, path):
		case under(reloadable, path):
			changed = append(changed, path)
		default:
			needRestart = append(needRestart, path)
		}
	})
	slices.Sort(changed)
	slices.Sort(needRestart)
	return changed, needRestart
}

func under(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return path == p || strings.HasPrefix(path, p+".") })
}

// compare calls differs with the path of every field that differs; lists and maps count as one.
func compare(path string, a, b reflect.Value, differs func(string)) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
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
