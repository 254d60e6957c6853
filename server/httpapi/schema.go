package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is one JSON schema (draft 7) for all microversions of a route. Beside the usual keywords it knows:
//
//   - "x-min", "x-max" in any subschema: outside these microversions the subschema is not there. As a property it is then
//     unknown, in anyOf, oneOf and allOf it is left out.
//   - "x-required": {"networks": {"min": 37, "max": 60}}: required within the bounds.
//   - "x-closed-from": 75 in an object: unknown keys are let through below it and refused from it on. In a query schema those let
//     through are dropped (Request.Query does not have them).
//   - "x-when": [{"min": 2, "max": 18, "schema": {...}}, ...]: the keywords of the first one whose bounds hold are merged in.
//
// An integer written with a fraction (1.0) is no integer, and minimum and maximum hold for digits in a string too, both as in Nova.
type Schema struct {
	doc  any
	cuts []Microversion // sorted: the first version of every range but the first

	mu       sync.Mutex
	compiled [2][]*variant // by use, then by range; made when first needed
}

// use is what a schema judges: a body, or a query whose values are lists of strings.
type use int

const (
	useBody use = iota
	useQuery
	useKeystoneBody // a body, refused in Keystone's words
)

// variant is a schema as it holds for one range of microversions.
type variant struct {
	doc    any // pruned: what messages quote
	schema *jsonschema.Schema
	open   bool     // an unknown key at the top is no error
	known  []string // sorted top-level properties
}

// MustSchema makes a schema from JSON text (string or []byte) or from what JSON text decodes to. It panics on what is no schema:
// schemas are constants of the program. NewHandler compiles all of them, so that a mistake shows at start.
func MustSchema(doc any) *Schema {
	var text []byte
	switch d := doc.(type) {
	case string:
		text = []byte(d)
	case []byte:
		text = d
	default:
		b, err := json.Marshal(doc)
		if err != nil {
			panic("httpapi: schema: " + err.Error())
		}
		text = b
	}
	v, err := decodeJSON(text)
	if err != nil {
		panic(fmt.Sprintf("httpapi: schema: %v in %.80s", err, text))
	}
	s := &Schema{doc: v}
	cuts := map[Microversion]bool{}
	findCuts(v, cuts)
	for c := range cuts {
		s.cuts = append(s.cuts, c)
	}
	slices.Sort(s.cuts)
	s.compiled[useBody] = make([]*variant, len(s.cuts)+1)
	s.compiled[useQuery] = make([]*variant, len(s.cuts)+1)
	if _, err := s.at(0, useBody); err != nil {
		panic("httpapi: " + err.Error())
	}
	return s
}

// rangeOf returns which range a version is in.
func (s *Schema) rangeOf(v Microversion) int {
	return sort.Search(len(s.cuts), func(i int) bool { return s.cuts[i] > v })
}

// at returns the variant that holds at a version, compiling it the first time.
func (s *Schema) at(v Microversion, u use) (*variant, error) {
	if u == useKeystoneBody {
		u = useBody
	}
	i := s.rangeOf(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.compiled[u][i]; c != nil {
		return c, nil
	}
	first := Microversion(0)
	if i > 0 {
		first = s.cuts[i-1]
	}
	c, err := compile(s.doc, first, u)
	if err != nil {
		return nil, err
	}
	s.compiled[u][i] = c
	return c, nil
}

// compileRange compiles every variant of the versions min..max (0: unbounded).
func (s *Schema) compileRange(lo, hi Microversion, u use) error {
	if hi == 0 {
		hi = math.MaxInt32
	}
	if _, err := s.at(lo, u); err != nil {
		return err
	}
	for _, c := range s.cuts {
		if c > lo && c <= hi {
			if _, err := s.at(c, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// Validate judges a JSON body at a microversion. The error is Nova's 400.
func (s *Schema) Validate(body []byte, v Microversion) error {
	value, err := decodeJSON(body)
	if err != nil {
		return errMalformed
	}
	return s.validate(value, body, v, useBody)
}

func (s *Schema) validate(value any, text []byte, v Microversion, u use) error {
	c, err := s.at(v, u)
	if err != nil {
		return err
	}
	if err := c.schema.Validate(value); err != nil {
		return c.explain(err, text, u)
	}
	return nil
}
