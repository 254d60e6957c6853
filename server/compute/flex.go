package compute

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// decode reads a body that its schema has accepted.
func decode[T any](r *httpapi.Request) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(r.Body, v); err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "Malformed request body")
	}
	return v, nil
}

// flexInt is an integer that may come as a string of digits.
type flexInt int64

// UnmarshalJSON reads either form; a number too large for int64 becomes the largest, which every bound refuses.
func (n *flexInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil && !strings.Contains(err.Error(), "out of range") {
		return err
	}
	*n = flexInt(v)
	return nil
}

// flexBool is a boolean that may come as one of the words of Nova's boolean parameters.
type flexBool bool

// UnmarshalJSON reads either form; a word that stands for neither is false, as the schema let it through.
func (v *flexBool) UnmarshalJSON(b []byte) error {
	on, _ := parseBool(strings.Trim(string(b), `"`))
	*v = flexBool(on)
	return nil
}

var (
	trueWords  = []string{"1", "t", "true", "on", "y", "yes"}
	falseWords = []string{"0", "f", "false", "off", "n", "no"}
)

// parseBool reads a word for true or false as oslo's strutils does.
func parseBool(s string) (value, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if slices.Contains(trueWords, s) {
		return true, true
	}
	return false, slices.Contains(falseWords, s)
}

// strictBool is parseBool with Nova's refusal.
func strictBool(s string) (bool, error) {
	v, ok := parseBool(s)
	if !ok {
		return false, httpapi.BadRequest("Invalid input received: Unrecognized value '%s', acceptable values are: "+
			"'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", s)
	}
	return v, nil
}

// flexText is a string that may come as a number.
type flexText string

// UnmarshalJSON reads either form; null is "".
func (t *flexText) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*t = flexText(s)
		return err
	}
	*t = flexText(b)
	return nil
}

// optional tells a key that is absent from one that is null.
type optional[T any] struct {
	set   bool
	value *T
}

// UnmarshalJSON is only called for a key that is there.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	o.set = true
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	o.value = new(T)
	return json.Unmarshal(b, o.value)
}
