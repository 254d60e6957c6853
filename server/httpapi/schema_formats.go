package httpapi

import (
	"encoding/base64"
	"errors"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// formats are the formats that schemas may name, with Nova's meaning; "regex" is the library's.
var formats = makeFormats()

var errFormat = errors.New("wrong format")

// nameError is a format's refusal with a whole sentence of its own, as Nova's InvalidName is.
type nameError struct{ reason string }

func (e *nameError) Error() string {
	return "An invalid 'name' value was provided. The name must be: " + e.reason
}

func makeFormats() map[string]*jsonschema.Format {
	formats := map[string]*jsonschema.Format{}
	text := func(name string, ok func(string) bool) {
		formats[name] = &jsonschema.Format{Name: name, Validate: func(v any) error {
			if s, is := v.(string); is && !ok(s) {
				return errFormat
			}
			return nil
		}}
	}
	text("uuid", isUUID)
	text("ipv4", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() })
	text("ipv6", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" })
	text("cidr", func(s string) bool { _, err := netip.ParsePrefix(s); return err == nil })
	text("mac-address", regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$`).MatchString)
	text("date-time", func(s string) bool { _, err := ParseTime(s); return err == nil })
	text("base64", isBase64)
	text("uri", regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$`).MatchString)

	name := func(format, reason string, ok func(string) bool) {
		formats[format] = &jsonschema.Format{Name: format, Validate: func(v any) error {
			if s, is := v.(string); !is || !ok(s) {
				return &nameError{reason}
			}
			return nil
		}}
	}
	trimmed := func(s string) bool { return s != "" && s == strings.TrimFunc(s, unicode.IsSpace) && printable(s) }
	name("name", "printable characters. Can not start or end with whitespace.", trimmed)
	name("name_with_leading_trailing_spaces", "printable characters with at least one non space character",
		func(s string) bool { return strings.TrimFunc(s, unicode.IsSpace) != "" && printable(s) })
	name("az_name", "printable characters except :. Can not start or end with whitespace.",
		func(s string) bool { return trimmed(s) && !strings.Contains(s, ":") })
	return formats
}

// printable holds for text without control characters, surrogates or unassigned code points; every kind of space is allowed.
func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

// isUUID accepts what oslo's is_uuid_like does: 32 hexadecimal digits, hyphens, braces and urn:uuid: ignored.
func isUUID(s string) bool {
	if len(s) == 36 && canonicalUUID(s) {
		return true
	}
	s = strings.Trim(strings.ReplaceAll(strings.ReplaceAll(s, "urn:", ""), "uuid:", ""), "{}")
	n := 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			n++
		case c != '-':
			return false
		}
	}
	return n == 32
}

func canonicalUUID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isBase64(s string) bool {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

// timeLayouts are the spellings of ISO 8601 that clients use in changes-since and the like.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02", "20060102T150405Z07:00", "20060102T150405"}

// ParseTime reads an ISO 8601 time as Nova does: seconds and zone may be missing (UTC then), and so may the time of day.
func ParseTime(s string) (time.Time, error) {
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, BadRequest("%s is no ISO 8601 time; one is 2026-01-31T12:00:00Z", pyString(s))
}

// numbersVocabulary adds what Nova's validator does with numbers beyond the standard.
var numbersVocabulary = &jsonschema.Vocabulary{URL: "kilonova:///numbers", Compile: compileNumbers}

type numbers struct {
	strict   bool // an integer has no fraction, not even .0
	want     []string
	min, max *big.Rat // for digits in strings
}

func compileNumbers(_ *jsonschema.CompilerContext, node map[string]any) (jsonschema.SchemaExt, error) {
	types := typesOf(node)
	x := numbers{strict: slices.Contains(types, "integer") && !slices.Contains(types, "number"), want: types}
	if slices.Contains(types, "string") {
		x.min, x.max = ratOf(node["minimum"]), ratOf(node["maximum"])
	}
	if !x.strict && x.min == nil && x.max == nil {
		return nil, nil
	}
	return x, nil
}

func typesOf(node map[string]any) []string {
	if s, ok := node["type"].(string); ok {
		return []string{s}
	}
	var out []string
	for _, t := range asList(node["type"]) {
		if s, ok := t.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func ratOf(v any) *big.Rat {
	n, ok := v.(interface{ String() string })
	if !ok {
		return nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil
	}
	return r
}

// Validate implements jsonschema.SchemaExt.
func (x numbers) Validate(ctx *jsonschema.ValidatorContext, v any) {
	switch v := v.(type) {
	case interface{ String() string }: // json.Number
		if x.strict && strings.ContainsAny(v.String(), ".eE") {
			ctx.AddError(&kind.Type{Got: "number", Want: x.want})
		}
	case string:
		if x.min == nil && x.max == nil {
			return
		}
		n, ok := new(big.Int).SetString(strings.TrimSpace(v), 10)
		if !ok {
			return
		}
		r := new(big.Rat).SetInt(n)
		if x.min != nil && r.Cmp(x.min) < 0 {
			ctx.AddError(&kind.Minimum{Got: r, Want: x.min})
		}
		if x.max != nil && r.Cmp(x.max) > 0 {
			ctx.AddError(&kind.Maximum{Got: r, Want: x.max})
		}
	}
}
