package base

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The answers that can be large (lists of instances) are appended to one slice instead of being built as values and encoded: a page of
// 1000 detailed instances is 2 MB of JSON whose values are already text.

const hexDigits = "0123456789abcdef"

// plain[c] says that a byte stands for itself in a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD, as encoding/json does it.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = appendEscaped(b, c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(b, `\ufffd`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// AppendField appends a key that needs no escaping, with the comma that parts it from what is before it.
func AppendField(b []byte, key string) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' && b[n-1] != '[' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

// AppendStringField appends a key and its string.
func AppendStringField(b []byte, key, v string) []byte { return AppendString(AppendField(b, key), v) }

// AppendNullable appends a string, null when it is empty.
func AppendNullable(b []byte, key, v string) []byte {
	if v == "" {
		return append(AppendField(b, key), "null"...)
	}
	return AppendStringField(b, key, v)
}

// AppendPointer appends a string, null when there is none.
func AppendPointer(b []byte, key string, v *string) []byte {
	if v == nil {
		return append(AppendField(b, key), "null"...)
	}
	return AppendStringField(b, key, *v)
}

// AppendIntField appends a key and its integer.
func AppendIntField(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(AppendField(b, key), v, 10)
}

// AppendBoolField appends a key and its boolean.
func AppendBoolField(b []byte, key string, v bool) []byte {
	return strconv.AppendBool(AppendField(b, key), v)
}

// AppendMap appends an object of strings in the order of its keys, so that equal instances have equal answers.
func AppendMap(b []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return append(b, '{', '}')
	}
	var few [16]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, k), ':')
		b = AppendString(b, m[k])
	}
	return append(b, '}')
}

// AppendStrings appends an array of strings.
func AppendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}

// The two forms of time in Nova's answers: whole seconds with a Z, and microseconds without zone.
const (
	SecondsLayout = "2006-01-02T15:04:05Z"
	MicrosLayout  = "2006-01-02T15:04:05.000000"
)

// AppendTime appends a key and its time in the layout, null when it is not set.
func AppendTime(b []byte, key, layout string, t structs.Time) []byte {
	b = AppendField(b, key)
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	return append(t.Time().AppendFormat(b, layout), '"')
}

// Micros is a time in the form of services, actions and keypairs; nil when it is not set.
func Micros(t structs.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.Time().Format(MicrosLayout)
	return &s
}
