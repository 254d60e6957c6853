package base

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestAppendString compares the encoder of strings with encoding/json: what either writes must mean the same.
func TestAppendString(t *testing.T) {
	t.Parallel()
	check := func(s string) string {
		var got string
		text := AppendString(nil, s)
		if err := json.Unmarshal(text, &got); err != nil {
			return err.Error() + " in " + string(text)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ToValidUTF8(got, "\ufffd") != got || len([]rune(got)) != len([]rune(s)) || strings.ToValidUTF8(s,
			"") == s && got != want {
			return "became " + got
		}
		return ""
	}
	for c := range 0x110 {
		if why := check("a" + string(rune(c)) + "b"); why != "" {
			t.Errorf("%#x: %s", c, why)
		}
	}
	for _, s := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\ufffd", "😀\u2028"} {
		if why := check(s); why != "" {
			t.Errorf("%q: %s", s, why)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if why := check(string(b)); why != "" {
			t.Fatalf("%q: %s", b, why)
		}
	})
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	at := structs.TimeOf(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600)))
	for layout, want := range map[string]string{SecondsLayout: `{"t":"2026-03-01T11:00:00Z"`, MicrosLayout: `{"t":"2026-03-01T11:00:00.123456"`} {
		if got := string(AppendTime([]byte("{"), "t", layout, at)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := string(AppendTime([]byte("{"), "t", MicrosLayout, 0)); got != `{"t":null` {
		t.Error(got)
	}
}

func TestParseBool(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][2]bool{"True": {true, true}, " on ": {true, true}, "y": {true, true}, "0": {false, true}, "NO": {false, true}, "": {}, "maybe": {}} {
		if v, ok := ParseBool(s); v != want[0] || ok != want[1] {
			t.Errorf("%q: %v, %v", s, v, ok)
		}
	}
}
