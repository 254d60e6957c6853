package directory_test

import (
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// names are those of a list's things.
func names(t *testing.T, a identitytest.Answer) []string {
	t.Helper()
	out := []string{}
	for _, v := range a.JSON(t) {
		list, ok := v.([]any)
		if !ok {
			continue
		}
		for _, x := range list {
			out = append(out, x.(map[string]any)["name"].(string))
		}
	}
	return out
}

// thing is the one object of an answer.
func thing(t *testing.T, a identitytest.Answer, key string) map[string]any {
	t.Helper()
	m, ok := a.JSON(t)[key].(map[string]any)
	if !ok {
		t.Fatalf("no %s in %s", key, a.Body)
	}
	return m
}

// message is a fault's.
func message(t *testing.T, a identitytest.Answer) string {
	t.Helper()
	s, _ := thing(t, a, "error")["message"].(string)
	return s
}

func contains(s, part string) bool { return strings.Contains(s, part) }

func long(n int) string { return strings.Repeat("x", n) }
