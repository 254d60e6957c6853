package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// problems are what is wrong with a file: the operator mends it all in one go.
type problems []string

func (p *problems) add(where, format string, args ...any) {
	*p = append(*p, where+": "+fmt.Sprintf(format, args...))
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return structs.Errorf(structs.KindInvalid, "%s", strings.Join(p, "\n"))
}

// override is a rule that a file has.
type override struct {
	name, text, where string
	check             *check
}

// file is a policy file that has been read.
type file struct {
	rules   []override
	dormant func(name string) bool // a rule of Nova's or Glance's that nothing here asks
}

// Load reads a policy file in YAML or JSON. See Parse.
func Load(path string, defaults []Rule) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "policy file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "policy file: %w", err)
	}
	return Parse(path, text, defaults)
}

// Parse returns the defaults with what a policy file says instead. A file with anything wrong is refused whole; the error names everything that is
// wrong, with file and line, and what would be right.
func Parse(name string, text []byte, defaults []Rule) (*Set, error) {
	f, err := read(name, text)
	if err != nil {
		return nil, err
	}
	return build(defaults, f)
}

// read turns a file's text into rules, each with its syntax checked.
func read(name string, text []byte) (*file, error) {
	f := &file{dormant: func(n string) bool { return novaRules[n] || glanceRules[n] }}
	var wrong problems
	if len(text) > maxFile {
		wrong.add(name, "it is larger than %d bytes; only what differs from the defaults is right", maxFile)
		return nil, wrong.err()
	}
	if json.Valid(text) { // YAML takes no tabs for space
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	root, err := document(text)
	if err != nil {
		wrong.add(yamlPlace(name, err), "this is no YAML: %s; lines of the form \"RULE\": \"CHECK\" are right", yamlWords(err))
		return nil, wrong.err()
	}
	if root == nil {
		return f, nil
	}
	if root.Kind != yaml.MappingNode {
		wrong.add(place(name, root), "the file is no map of rules; lines of the form \"RULE\": \"CHECK\" are right")
		return nil, wrong.err()
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := place(name, key)
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" || strings.TrimSpace(key.Value) == "" {
			wrong.add(at, "this is no rule's name; a text such as \"os_compute_api:servers:create\" is right")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			wrong.add(at, "rule %s: it is there twice, first in line %d; one of them is right", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		c, words, err := value2check(value)
		if err != nil {
			wrong.add(place(name, value), "rule %s: %v", key.Value, err)
			continue
		}
		f.rules = append(f.rules, override{name: key.Value, text: words, where: at, check: c})
	}
	return f, wrong.err()
}

// document returns the one document's content, nil for an empty file.
func document(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("there is a second document in it")
		}
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

func place(name string, n *yaml.Node) string { return fmt.Sprintf("%s:%d", name, n.Line) }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func yamlPlace(name string, err error) string {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		return name + ":" + m[1]
	}
	return name + ":1"
}

func yamlWords(err error) string { return yamlLine.ReplaceAllString(err.Error(), "") }

// value2check reads a rule's value: a text, or the old form, a list (of which one has to hold) of lists (of which all have to).
func value2check(n *yaml.Node) (c *check, words string, err error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		c, err = parse(n.Value)
		return c, strings.Join(strings.Fields(n.Value), " "), err
	case n.Kind == yaml.SequenceNode:
		if c, err = oldForm(n); err != nil {
			return nil, "", err
		}
		return c, c.String(), nil
	}
	return nil, "", errors.New(`this is no check; a text such as "role:admin" is right, "@" for everybody with a token, "!" for nobody`)
}

func oldForm(n *yaml.Node) (*check, error) {
	if len(n.Content) == 0 {
		return &check{op: always}, nil
	}
	either := &check{op: some}
	for _, inner := range n.Content {
		parts := []*yaml.Node{inner}
		if inner.Kind == yaml.SequenceNode {
			if parts = inner.Content; len(parts) == 0 {
				continue // as oslo.policy: an empty inner list counts for nothing
			}
		}
		both := &check{op: all}
		for _, p := range parts {
			if p.Kind != yaml.ScalarNode || p.Tag != "!!str" || p.Value == "" || len(strings.Fields(p.Value)) != 1 {
				return nil, fmt.Errorf(`line %d: the list has something else than single checks in it; [["role:admin"], ["role:member", "project_id:%%(project_id)s"]] is right`, p.Line)
			}
			c, err := single(strings.TrimSpace(p.Value))
			if err != nil {
				return nil, err
			}
			both.kids = append(both.kids, c)
		}
		either.kids = append(either.kids, simpler(both))
	}
	if len(either.kids) == 0 {
		return &check{op: never}, nil
	}
	return simpler(either), nil
}

func simpler(c *check) *check {
	if len(c.kids) == 1 {
		return c.kids[0]
	}
	return c
}

// overlay puts the file's rules over the defaults. A name that nothing knows is an operator's own rule when another rule refers to it, and else a
// mistake. The answer are notes.
func (f *file) overlay(defs map[string]*definition, wrong *problems) (notes []string) {
	referred := map[string]bool{}
	for _, o := range f.rules {
		o.check.references(func(c *check) { referred[c.name] = true })
	}
	var own []override
	for _, o := range f.rules {
		switch old := defs[o.name]; {
		case old != nil:
			old.Check, old.Where, old.check = o.text, o.where, o.check
		case referred[o.name]:
			own = append(own, o)
		case o.name == "default" || f.dormant(o.name):
			notes = append(notes, fmt.Sprintf("%s: rule %s is %s, but nothing here asks it", o.where, o.name, whose(o.name)))
		default:
			wrong.add(o.where, "there is no rule %q, and no other rule refers to it; %s", o.name, meant(o.name, defs))
		}
	}
	for _, o := range own {
		defs[o.name] = &definition{Rule: Rule{Name: o.name, Check: o.text, Where: o.where, Base: true}, check: o.check}
	}
	return notes
}

// meant says what may be right instead of a name.
func meant(name string, defs map[string]*definition) string {
	if near := nearest(name, slices.Sorted(maps.Keys(defs))); near != "" {
		return fmt.Sprintf("%q may be right; `kilonova policy list` prints all names", near)
	}
	return "a name that `kilonova policy list` prints is right, or one of the file's own rules"
}
