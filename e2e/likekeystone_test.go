//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// identityCall is a line of testdata/identity-calls.txt: METHOD PATH [BODY] [-> NAME=path.in.answer ...]. ~ before it compares the status alone. ?subject=WHO is whose token it is about; pause lets a second pass. WHO> before it
// sends another token than the administrator's: one that "login WHO BODY" got, or none for nobody. A name is $NAME in later lines.
type identityCall struct {
	line, who, method, path, body string
	statusOnly                    bool
	keep                          map[string]string
}

func parseIdentityCalls(t *testing.T, path string) []identityCall {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []identityCall
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		c := identityCall{line: line, who: "admin", keep: map[string]string{}}
		rest, kept, _ := strings.Cut(line, " -> ")
		for pair := range strings.FieldsSeq(kept) {
			name, path, ok := strings.Cut(pair, "=")
			require.True(t, ok, line)
			c.keep[name] = path
		}
		rest, c.statusOnly = strings.CutPrefix(rest, "~ ")
		if who, more, ok := strings.Cut(rest, "> "); ok && !strings.Contains(who, " ") {
			c.who, rest = who, more
		}
		c.method, rest, _ = strings.Cut(rest, " ")
		if c.method == "login" {
			c.who, c.body, _ = strings.Cut(rest, " ")
		} else {
			c.path, c.body, _ = strings.Cut(rest, " ")
		}
		out = append(out, c)
	}
	return out
}

// identitySide is one of the two services with what was learnt from it.
type identitySide struct {
	url    string
	vars   map[string]string
	tokens map[string]string
}

func (s *identitySide) send(c *identityCall) (int, any, error) {
	expand := func(text string) string { return os.Expand(text, func(name string) string { return s.vars[name] }) }
	path, body := expand(c.path), expand(c.body)
	if c.method == "login" {
		path = "/auth/tokens"
	}
	method := c.method
	if method == "login" {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.method != "login" && c.who != "nobody" {
		req.Header.Set("X-Auth-Token", s.tokens[c.who])
	}
	if plain, subject, ok := strings.Cut(s.url+path, "?subject="); ok { // whose token is spoken of
		if req.URL, err = url.Parse(plain); err != nil {
			return 0, nil, err
		}
		req.Header.Set("X-Subject-Token", s.tokens[subject])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var v any
	if len(bytes.TrimSpace(raw)) > 0 && json.Unmarshal(raw, &v) != nil {
		v = string(raw)
	}
	if c.method == "login" {
		s.tokens[c.who] = resp.Header.Get("X-Subject-Token")
		s.vars[c.who] = s.tokens[c.who]
	}
	for name, path := range c.keep {
		s.vars[name] = fmt.Sprint(dig(v, path))
	}
	return resp.StatusCode, v, nil
}

// dig follows a path of keys and indexes.
func dig(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i := 0
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// shape is what of an answer has to be alike: keys and kinds of values; of a list the shapes that are in it. null may stand for a text.
func shape(v any) string {
	switch x := v.(type) {
	case map[string]any:
		var parts []string
		for k, e := range x {
			if slices.Contains([]string{"truncated", "extra", "unrestricted"}, k) { // extra is what its database layer shows of an update; unrestricted may be null there
				continue
			}
			parts = append(parts, k+":"+shape(e))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, " ") + "}"
	case []any:
		var parts []string
		for _, e := range x {
			if s := shape(e); !slices.Contains(parts, s) {
				parts = append(parts, s)
			}
		}
		sort.Strings(parts)
		return "[" + strings.Join(parts, " ") + "]"
	case string, nil:
		return "text"
	}
	return fmt.Sprintf("%T", v)
}

// A file of requests gets the same statuses, and answers of the same shape, from Debian's Keystone and from us.
func TestLikeKeystone(t *testing.T) {
	t.Parallel()
	a := newDev(t, "-driver", "fake")
	login := func(password string) string {
		return `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":"` + password + `"}}},"scope":{"project":{"name":"admin","domain":{"id":"default"}}}}}`
	}
	keystone, _ := startKeystone(t)
	theirs := &identitySide{keystone, map[string]string{}, map[string]string{}}
	ours := &identitySide{a.url() + "/identity/v3", map[string]string{}, map[string]string{}}
	for side, password := range map[*identitySide]string{theirs: keystonePassword, ours: "kilonova"} {
		status, body, err := side.send(&identityCall{method: "login", who: "admin", body: login(password), keep: map[string]string{"me": "token.user.id", "project": "token.project.id"}})
		require.NoError(t, err)
		require.Equal(t, 201, status, "%v", body)
	}
	wrong := 0
	for _, c := range parseIdentityCalls(t, "testdata/identity-calls.txt") {
		if c.method == "pause" {
			<-time.After(1100 * time.Millisecond) // Keystone's revocations count in whole seconds
			continue
		}
		wantStatus, want, err := theirs.send(&c)
		require.NoError(t, err)
		gotStatus, got, err := ours.send(&c)
		require.NoError(t, err)
		switch {
		case wantStatus != gotStatus:
			t.Errorf("%s\n\tKeystone: %d %v\n\tours:     %d %v", c.line, wantStatus, want, gotStatus, got)
			wrong++
		case !c.statusOnly && wantStatus < 300 && shape(want) != shape(got):
			t.Errorf("%s\n\tKeystone: %s\n\tours:     %s", c.line, shape(want), shape(got))
			wrong++
		}
	}
	t.Logf("%d answers differ", wrong)
}
