package agent

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// loaded is configuration with where each thing of it was said.
type loaded struct {
	config  *Config
	sources sources
	files   []string
	broken  bool // a file could not be read at all, so that what is missing may only be missing from here
}

// overlay lays one more source over what is there: what it says wins. Lists are replaced, not appended to.
func (l *loaded) overlay(config *Config, from sources) {
	if config == nil {
		return
	}
	mergeStruct(reflect.ValueOf(l.config).Elem(), reflect.ValueOf(config).Elem())
	maps.Copy(l.sources, from)
}

// loadFiles reads files and directories in the order given.
func (l *loaded) loadFiles(paths []string) Problems {
	var problems Problems
	for _, path := range paths {
		files, err := configFiles(path)
		if err != nil {
			problems.add(path, "%v", err)
			l.broken = true
			continue
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				problems.add(file, "%v", withoutPath(err))
				l.broken = true
				continue
			}
			config, from, more := parse(file, text)
			problems = append(problems, more...)
			l.broken = l.broken || config == nil
			l.overlay(config, from)
			l.files = append(l.files, file)
		}
	}
	return problems
}

// configFiles returns path itself, or a directory's *.hcl and *.json in name order.
func configFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, withoutPath(err)
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		if ext := filepath.Ext(name); ext == ".hcl" || ext == ".json" {
			files = append(files, filepath.Join(path, name))
		}
	}
	if len(files) == 0 {
		return nil, errors.New("a directory without any *.hcl or *.json")
	}
	return files, nil
}

// withoutPath drops "open PATH:" from an error whose path stands before it already.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func mergeStruct(into, from reflect.Value) {
	for i := range into.NumField() {
		mergeField(into.Field(i), from.Field(i))
	}
}

func mergeField(into, from reflect.Value) {
	switch {
	case from.Kind() == reflect.String: // a label: equal in both
	case from.IsNil():
	case from.Type() == reflect.TypeFor[[]*PluginConfig]():
		into.Set(reflect.ValueOf(mergePlugins(into.Interface().([]*PluginConfig), from.Interface().([]*PluginConfig))))
	case from.Kind() == reflect.Pointer && from.Type().Elem().Kind() == reflect.Struct:
		merged := reflect.New(from.Type().Elem())
		if !into.IsNil() {
			merged.Elem().Set(into.Elem())
		}
		mergeStruct(merged.Elem(), from.Elem())
		into.Set(merged)
	case from.Type() == reflect.TypeFor[map[string]any](): // settings of a plugin: key by key
		merged := maps.Clone(from.Interface().(map[string]any))
		for key, value := range into.Interface().(map[string]any) {
			if _, said := merged[key]; !said {
				merged[key] = value
			}
		}
		into.Set(reflect.ValueOf(merged))
	default:
		into.Set(from)
	}
}

func mergePlugins(into, from []*PluginConfig) []*PluginConfig {
	merged := slices.Clone(into)
	for _, plugin := range from {
		at := slices.IndexFunc(merged, func(p *PluginConfig) bool { return p.Name == plugin.Name })
		if at < 0 {
			merged = append(merged, plugin)
			continue
		}
		both := *merged[at]
		mergeStruct(reflect.ValueOf(&both).Elem(), reflect.ValueOf(plugin).Elem())
		merged[at] = &both
	}
	return merged
}
