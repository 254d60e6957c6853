//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// novaEnv is what the agent's openrc exports.
func novaEnv(t *testing.T, a *agent) []string {
	t.Helper()
	rc, err := os.ReadFile(filepath.Join(a.dir, "openrc"))
	require.NoError(t, err)
	env := append(os.Environ(), "PYTHONWARNINGS=ignore", "COLUMNS=200")
	for line := range strings.Lines(string(rc)) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(assignment, "=")
			env = append(env, name+"="+strings.Trim(value, "'"))
		}
	}
	return env
}

// Debian's nova client does all that testdata/nova-commands.txt says, at its own default microversion, 2.92, and at those that are named.
func TestNovaCommands(t *testing.T) {
	t.Parallel()
	runCommands(t, "testdata/nova-commands.txt", 230, func(t *testing.T, a *agent) func(args ...string) (string, error) {
		return preloadedClient(t, "nova", novaEnv(t, a))
	})
}
