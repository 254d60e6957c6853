package httpapi

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// errNotUTF8 is of a text that JSON does not allow; encoding/json would put replacement characters in its place and store what nobody sent.
var errNotUTF8 = errors.New("the text is not UTF-8")

// canonical returns the text that handlers decode of a body. Where an object names a key twice the last one counts, and that is what the schema has
// judged; decoding into a struct would merge the two, and let through what was not judged. Such a text is replaced by the judged value's own.
func canonical(text []byte, v any) ([]byte, error) {
	if keysIn(text) == keysOf(v) {
		return text, nil
	}
	return json.Marshal(v)
}

// keysIn counts the keys in a valid JSON text: the colons outside of strings.
func keysIn(text []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == ':':
			n++
		}
	}
	return n
}

// keysOf counts the keys of a decoded value.
func keysOf(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, e := range v {
			n += keysOf(e)
		}
	case []any:
		for _, e := range v {
			n += keysOf(e)
		}
	}
	return n
}

func checkUTF8(text []byte) error {
	if !utf8.Valid(text) {
		return errNotUTF8
	}
	return nil
}
