package agent

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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
	case isLabelled(from.Type()):
		into.Set(mergeLabelled(into, from))
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

// isLabelled reports whether it is a list of blocks with labels.
func isLabelled(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Pointer && t.Elem().Elem().Kind() == reflect.Struct
}

// mergeLabelled merges the blocks of one label, and keeps the others.
func mergeLabelled(into, from reflect.Value) reflect.Value {
	label := func(block reflect.Value) string { return block.Elem().FieldByName("Name").String() }
	merged := reflect.MakeSlice(into.Type(), 0, into.Len()+from.Len())
	merged = reflect.AppendSlice(merged, into)
	for i := range from.Len() {
		one, at := from.Index(i), -1
		for j := range merged.Len() {
			if label(merged.Index(j)) == label(one) {
				at = j
			}
		}
		if at < 0 {
			merged = reflect.Append(merged, one)
			continue
		}
		both := reflect.New(one.Type().Elem())
		both.Elem().Set(merged.Index(at).Elem())
		mergeStruct(both.Elem(), one.Elem())
		merged.Index(at).Set(both)
	}
	return merged
}
