package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// errMalformed is Nova's answer to a body that is no JSON, and to an action body without exactly one key.
var errMalformed = BadRequest("Malformed request body")

// explain words a validation error as Nova does (nova/api/validation/validators.py). Of many it tells the one nearest to the top, then the first by
// path and keyword, so that equal requests get equal answers.
func (c *variant) explain(err error, text []byte, u use) error {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return structs.Errorf(structs.KindInternal, "validate: %w", err)
	}
	leaves := leavesOf(ve, nil)
	e := slices.MinFunc(leaves, func(a, b *jsonschema.ValidationError) int {
		return cmp.Or(cmp.Compare(len(a.InstanceLocation), len(b.InstanceLocation)), slices.Compare(a.InstanceLocation, b.InstanceLocation),
			cmp.Compare(rank(a.ErrorKind), rank(b.ErrorKind)), cmp.Compare(a.SchemaURL, b.SchemaURL))
	})
	value := newInstance(text, e.InstanceLocation)
	if f, ok := e.ErrorKind.(*kind.Format); ok {
		var ne *nameError
		if errors.As(f.Err, &ne) {
			return structs.Errorf(structs.KindInvalid, "%s", ne.Error())
		}
	}
	msg := c.sentence(e, value)
	if u == useKeystoneBody { // keystone/common/validation/validators.py; its schemas are of what is in the body's one key
		if len(e.InstanceLocation) < 2 {
			return structs.Errorf(structs.KindInvalid, "%s", msg)
		}
		return structs.Errorf(structs.KindInvalid, "Invalid input for field '%s': %s", strings.Join(e.InstanceLocation[1:], "/"), msg)
	}
	if len(e.InstanceLocation) == 0 {
		return structs.Errorf(structs.KindInvalid, "%s", msg)
	}
	if u == useQuery {
		return structs.Errorf(structs.KindInvalid, "Invalid input for query parameters %s. Value: %s. %s", e.InstanceLocation[0], value.str(), msg)
	}
	last := e.InstanceLocation[len(e.InstanceLocation)-1]
	return structs.Errorf(structs.KindInvalid, "Invalid input for field/attribute %s. Value: %s. %s", last, value.str(), msg)
}

// leavesOf collects the errors that have a sentence of their own: groups, references and allOf only pass on, while anyOf and oneOf
// speak for their alternatives.
func leavesOf(e *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.Group, *kind.Schema, *kind.Reference, *kind.AllOf, *kind.PropertyNames:
		if len(e.Causes) == 0 {
			return append(out, e)
		}
		for _, c := range e.Causes {
			out = leavesOf(c, out)
		}
		return out
	}
	return append(out, e)
}

var ranks = []string{"type", "const", "enum", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "additionalProperties"}

func rank(k jsonschema.ErrorKind) int {
	p := k.KeywordPath()
	if len(p) == 0 {
		return len(ranks)
	}
	if i := slices.Index(ranks, p[0]); i >= 0 {
		return i
	}
	return len(ranks)
}

// sentence is python-jsonschema's message for an error.
func (c *variant) sentence(e *jsonschema.ValidationError, v instance) string {
	node := asMap(lookup(c.doc, e.SchemaURL))
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return v.repr() + " is not of type " + quoted(typesOf(node), k.Want)
	case *kind.Required:
		return pyString(k.Missing[0]) + " is a required property"
	case *kind.AdditionalProperties:
		return unexpected(k.Properties, asMap(node["patternProperties"]))
	case *kind.Enum:
		return v.repr() + " is not one of " + pyRepr(node["enum"])
	case *kind.Const:
		return pyRepr(node["const"]) + " was expected"
	case *kind.Format:
		return v.repr() + " is not a " + pyString(k.Want)
	case *kind.Pattern:
		return v.repr() + " does not match " + pyString(k.Want)
	case *kind.MinLength, *kind.MinItems:
		return v.repr() + " is too short"
	case *kind.MaxLength, *kind.MaxItems:
		return v.repr() + " is too long"
	case *kind.MinProperties:
		return v.repr() + " does not have enough properties"
	case *kind.MaxProperties:
		return v.repr() + " has too many properties"
	case *kind.UniqueItems:
		return v.repr() + " has non-unique elements"
	case *kind.AnyOf:
		return v.repr() + " is not valid under any of the given schemas"
	case *kind.OneOf:
		return v.repr() + oneOf(k.Subschemas, asList(node["oneOf"]))
	case *kind.Not:
		return v.repr() + " should not be valid under " + pyRepr(node["not"])
	case *kind.Dependency:
		return pyString(k.Missing[0]) + " is a dependency of " + pyString(k.Prop)
	case *kind.AdditionalItems:
		return "Additional items are not allowed in " + v.repr()
	case *kind.Contains:
		return v.repr() + " does not contain items matching the given schema"
	case *kind.FalseSchema:
		return "False schema does not allow " + v.repr()
	}
	return numberSentence(e.ErrorKind, v)
}

func numberSentence(k jsonschema.ErrorKind, v instance) string {
	switch k := k.(type) {
	case *kind.Minimum:
		return fmt.Sprintf("%s is less than the minimum of %s", v.number(k.Got), ratText(k.Want))
	case *kind.Maximum:
		return fmt.Sprintf("%s is greater than the maximum of %s", v.number(k.Got), ratText(k.Want))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("%s is less than or equal to the minimum of %s", v.number(k.Got), ratText(k.Want))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("%s is greater than or equal to the maximum of %s", v.number(k.Got), ratText(k.Want))
	case *kind.MultipleOf:
		return fmt.Sprintf("%s is not a multiple of %s", v.number(k.Got), ratText(k.Want))
	}
	return v.repr() + " is not valid"
}

func ratText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return pyFloat(f)
}

func quoted(types, otherwise []string) string {
	if len(types) == 0 {
		types = otherwise
	}
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = pyString(t)
	}
	return strings.Join(out, ", ")
}

// unexpected words unknown keys; with patternProperties the patterns that they miss are named.
func unexpected(props []string, patterns map[string]any) string {
	slices.Sort(props)
	names := quoted(props, nil)
	if len(patterns) > 0 {
		verb := "does"
		if len(props) > 1 {
			verb = "do"
		}
		return fmt.Sprintf("%s %s not match any of the regexes: %s", names, verb, quoted(slices.Sorted(maps.Keys(patterns)), nil))
	}
	verb := "was"
	if len(props) > 1 {
		verb = "were"
	}
	return fmt.Sprintf("Additional properties are not allowed (%s %s unexpected)", names, verb)
}

func oneOf(matched []int, schemas []any) string {
	if len(matched) == 0 {
		return " is not valid under any of the given schemas"
	}
	var parts []string
	for _, i := range slices.Backward(matched) {
		if i < len(schemas) {
			parts = append(parts, pyRepr(schemas[i]))
		}
	}
	return " is valid under each of " + strings.Join(parts, ", ")
}

// lookup finds a subschema by the location that the library gives it: a JSON pointer in a URL's fragment.
func lookup(doc any, location string) any {
	_, frag, _ := strings.Cut(location, "#")
	if frag == "" {
		return doc
	}
	for tok := range strings.SplitSeq(strings.TrimPrefix(frag, "/"), "/") {
		if p, err := url.PathUnescape(tok); err == nil {
			tok = p
		}
		tok = strings.ReplaceAll(strings.ReplaceAll(tok, "~1", "/"), "~0", "~")
		switch n := doc.(type) {
		case map[string]any:
			doc = n[tok]
		case []any:
			i, err := strconv.Atoi(tok)
			if err != nil || i < 0 || i >= len(n) {
				return nil
			}
			doc = n[i]
		default:
			return nil
		}
	}
	return doc
}
