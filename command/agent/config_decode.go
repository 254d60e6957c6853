package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// parse reads one file's text, JSON when its name ends in .json. It returns what could be read even when there are
// problems, so that all files' problems are found; nil when the text is no HCL or JSON at all.
func parse(filename string, text []byte) (*Config, sources, Problems) {
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(filename, ".json") {
		file, diags = hcljson.Parse(text, filename)
	} else {
		file, diags = hclsyntax.ParseConfig(text, filename, hcl.InitialPos)
	}
	d := &decoder{sources: sources{}}
	d.report("", diags, nil)
	if file == nil || file.Body == nil || diags.HasErrors() {
		return nil, d.sources, d.problems
	}
	config := &Config{}
	d.body("", file.Body, reflect.ValueOf(config).Elem())
	return config, d.sources, d.problems
}

// decoder fills the Config structs from HCL bodies. gohcl.DecodeBody would do the same but forgets where things stood.
type decoder struct {
	sources  sources
	problems Problems
}

var settingsType = reflect.TypeFor[PluginSettings]()

func (d *decoder) body(path string, body hcl.Body, into reflect.Value) {
	if into.Type() == settingsType {
		d.settings(path, body, into.Addr().Interface().(*PluginSettings))
		return
	}
	schema, _ := gohcl.ImpliedBodySchema(into.Interface())
	content, diags := body.Content(schema)
	d.report(path, diags, schema)
	for i := range into.NumField() {
		name, kind := hclTag(into.Type().Field(i))
		switch kind {
		case "optional":
			if attribute, ok := content.Attributes[name]; ok {
				d.attribute(joinPath(path, name), attribute, into.Field(i))
			}
		case "block":
			d.blocks(joinPath(path, name), content.Blocks.OfType(name), into.Field(i))
		}
	}
}

func hclTag(field reflect.StructField) (name, kind string) {
	name, kind, _ = strings.Cut(field.Tag.Get("hcl"), ",")
	return name, kind
}

func (d *decoder) attribute(path string, attribute *hcl.Attribute, into reflect.Value) {
	value := reflect.New(into.Type())
	diags := gohcl.DecodeExpression(attribute.Expr, nil, value.Interface())
	if diags.HasErrors() {
		d.report(path, diags, nil)
		return
	}
	if value.Elem().IsNil() { // null is the same as not said
		return
	}
	into.Set(value.Elem())
	d.sources[path] = position(attribute.Range)
}

func (d *decoder) blocks(path string, blocks hcl.Blocks, into reflect.Value) {
	if into.Kind() == reflect.Slice {
		d.labelled(path, blocks, into)
		return
	}
	for i, block := range blocks {
		if i > 0 {
			d.problems.add(position(block.DefRange), "%s: a second block; the first is at %s; one block with the settings of both is right",
				path, position(blocks[0].DefRange))
			continue
		}
		into.Set(reflect.New(into.Type().Elem()))
		d.sources[path] = position(block.DefRange)
		d.body(path, block.Body, into.Elem())
	}
}

// labelled fills a list of blocks that are told apart by their label.
func (d *decoder) labelled(path string, blocks hcl.Blocks, into reflect.Value) {
	first := map[string]string{}
	for _, block := range blocks {
		label, where := block.Labels[0], position(block.DefRange)
		if at, taken := first[label]; taken {
			d.problems.add(where, "%s %q: a second block; the first is at %s; one block with the settings of both is right", path, label, at)
			continue
		}
		first[label] = where
		one := reflect.New(into.Type().Elem().Elem())
		one.Elem().FieldByName("Name").SetString(label)
		own := labelPath(path, label)
		d.sources[own] = where
		d.body(own, block.Body, one.Elem())
		into.Set(reflect.Append(into, one))
	}
}

func pluginPath(label string) string { return labelPath("plugin", label) }

// labelPath has no dots of the label in it: parentPath cuts at dots.
func labelPath(path, label string) string {
	return fmt.Sprintf("%s %q", path, strings.ReplaceAll(label, ".", "_"))
}

// settings takes attributes of any name; their values become what encoding/json would read of them.
func (d *decoder) settings(path string, body hcl.Body, into *PluginSettings) {
	attributes, diags := body.JustAttributes()
	for _, diag := range diags {
		d.problems.add(diagPosition(diag), "%s: %s only attributes can stand here: name = { ... } instead of name { ... }", path, diag.Detail)
	}
	into.Values = map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		attribute := attributes[name]
		value, diags := attribute.Expr.Value(nil)
		if diags.HasErrors() {
			d.report(joinPath(path, name), diags, nil)
			continue
		}
		text, err := ctyjson.SimpleJSONValue{Value: value}.MarshalJSON()
		if err != nil {
			d.problems.add(position(attribute.Range), "%s: %v", joinPath(path, name), err)
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var plain any
		if err := decoder.Decode(&plain); err != nil {
			d.problems.add(position(attribute.Range), "%s: %v", joinPath(path, name), err)
			continue
		}
		into.Values[name] = plain
		d.sources[joinPath(path, name)] = position(attribute.Range)
	}
}

// report turns HCL's diagnostics into problems. With a schema, an unknown name is answered with the known ones.
func (d *decoder) report(path string, diags hcl.Diagnostics, schema *hcl.BodySchema) {
	for _, diag := range diags {
		if diag.Severity != hcl.DiagError {
			continue
		}
		what := diag.Detail
		if what == "" {
			what = diag.Summary
		}
		what = strings.TrimPrefix(what, "Unsuitable value: ")
		if path != "" {
			what = path + ": " + what
		}
		if schema != nil && strings.HasPrefix(diag.Summary, "Unsupported") || schema != nil && strings.HasPrefix(diag.Summary, "Extraneous JSON") {
			what += " Known here: " + knownNames(schema) + "."
		}
		d.problems.add(diagPosition(diag), "%s", what)
	}
}

func diagPosition(diag *hcl.Diagnostic) string {
	if diag.Subject == nil {
		return "configuration"
	}
	return position(*diag.Subject)
}

func knownNames(schema *hcl.BodySchema) string {
	var names []string
	for _, a := range schema.Attributes {
		names = append(names, a.Name)
	}
	for _, b := range schema.Blocks {
		names = append(names, b.Type+" { }")
	}
	return strings.Join(names, ", ")
}
