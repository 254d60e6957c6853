package base

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Decode reads a body that its schema has accepted.
func Decode[T any](r *httpapi.Request) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(r.Body, v); err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "Malformed request body")
	}
	return v, nil
}

// FlexInt is an integer that may come as a string of digits.
type FlexInt int64

// UnmarshalJSON reads either form; a number too large for int64 becomes the largest, which every bound refuses.
func (n *FlexInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil && !strings.Contains(err.Error(), "out of range") {
		return err
	}
	*n = FlexInt(v)
	return nil
}

// FlexBool is a boolean that may come as one of the words of Nova's boolean parameters.
type FlexBool bool

// UnmarshalJSON reads either form; a word that stands for neither is false, as the schema let it through.
func (v *FlexBool) UnmarshalJSON(b []byte) error {
	on, _ := ParseBool(strings.Trim(string(b), `"`))
	*v = FlexBool(on)
	return nil
}

var (
	trueWords  = []string{"1", "t", "true", "on", "y", "yes"}
	falseWords = []string{"0", "f", "false", "off", "n", "no"}
)

// ParseBool reads a word for true or false as oslo's strutils does.
func ParseBool(s string) (value, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if slices.Contains(trueWords, s) {
		return true, true
	}
	return false, slices.Contains(falseWords, s)
}

// StrictBool is ParseBool with Nova's refusal.
func StrictBool(s string) (bool, error) {
	v, ok := ParseBool(s)
	if !ok {
		return false, httpapi.BadRequest("Invalid input received: Unrecognized value '%s', acceptable values are: "+
			"'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", s)
	}
	return v, nil
}

// FlexText is a string that may come as a number.
type FlexText string

// UnmarshalJSON reads either form; null is "".
func (t *FlexText) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*t = FlexText(s)
		return err
	}
	*t = FlexText(b)
	return nil
}

// Optional tells a key that is absent from one that is null.
type Optional[T any] struct {
	Set   bool
	Value *T // nil is null
}

// UnmarshalJSON is only called for a key that is there.
func (o *Optional[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	o.Value = new(T)
	return json.Unmarshal(b, o.Value)
}
