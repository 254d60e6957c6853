package httpapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Nova's messages quote values as Python prints them; clients and test suites compare the text.

// object is a JSON object with its keys in the order of the text: Python keeps it.
type object struct {
	keys   []string
	values map[string]any
}

// decodeOrdered decodes the next value of a decoder that gives numbers as json.Number.
func decodeOrdered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := k.(string)
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			if _, again := o.values[key]; !again {
				o.keys = append(o.keys, key)
			}
			o.values[key] = v
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// instance is the value that an error is about.
type instance struct{ v any }

// newInstance finds the value at a path of a JSON text that was decoded before.
func newInstance(text []byte, path []string) instance {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeOrdered(d)
	if err != nil {
		return instance{}
	}
	hideSecrets(v)
	for _, p := range path {
		switch n := v.(type) {
		case *object:
			v = n.values[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(n) {
				return instance{}
			}
			v = n[i]
		}
	}
	return instance{v}
}

// secretKeys are what messages do not quote, wherever it is: a refusal is in logs that others read.
var secretKeys = []string{"password", "original_password", "adminPass", "secret", "blob", "signature"}

func hideSecrets(v any) {
	switch n := v.(type) {
	case *object:
		for _, k := range n.keys {
			if slices.Contains(secretKeys, k) {
				n.values[k] = "***"
			} else {
				hideSecrets(n.values[k])
			}
		}
	case []any:
		for _, e := range n {
			hideSecrets(e)
		}
	}
}

// repr is Python's repr of the value, str its str: they differ for a string alone.
func (i instance) repr() string { return pyRepr(i.v) }

func (i instance) str() string {
	if s, ok := i.v.(string); ok {
		return s
	}
	return pyRepr(i.v)
}

// number is how a number is named in a message about its bounds: digits in a string count as the number that they are.
func (i instance) number(got *big.Rat) string {
	if _, ok := i.v.(json.Number); ok || got == nil {
		return i.repr()
	}
	return ratText(got)
}

// pyRepr renders a decoded JSON value. Keys of a map without an order come sorted.
func pyRepr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return pyString(v)
	case json.Number:
		return pyNumber(v.String())
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = pyRepr(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		return pyDict(slices.Sorted(maps.Keys(v)), v)
	case *object:
		return pyDict(v.keys, v.values)
	}
	return "None"
}

func pyDict(keys []string, values map[string]any) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = pyString(k) + ": " + pyRepr(values[k])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func pyNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && math.IsInf(f, 0) {
		if f > 0 {
			return "inf"
		}
		return "-inf"
	}
	return pyFloat(f)
}

// pyFloat writes a float the shortest way that reads back the same, with an exponent where Python uses one.
func pyFloat(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pyString is the repr of a str: single quotes unless only they occur within.
func pyString(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(pyEscape(r))
		}
	}
	b.WriteByte(q)
	return b.String()
}

func pyEscape(r rune) string {
	h := strconv.FormatInt(int64(r), 16)
	switch {
	case r <= 0xff:
		return `\x` + strings.Repeat("0", 2-len(h)) + h
	case r <= 0xffff:
		return `\u` + strings.Repeat("0", 4-len(h)) + h
	}
	return `\U` + strings.Repeat("0", 8-len(h)) + h
}
