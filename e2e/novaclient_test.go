//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// novaCLI runs Debian's nova client against an agent, with what the agent's openrc exports.
type novaCLI struct{ env []string }

func newNovaCLI(t *testing.T, a *agent) *novaCLI {
	t.Helper()
	if _, err := exec.LookPath("nova"); err != nil {
		t.Fatal("the nova client is missing: install Debian's python3-novaclient")
	}
	rc, err := os.ReadFile(filepath.Join(a.dir, "openrc"))
	require.NoError(t, err)
	n := &novaCLI{env: append(os.Environ(), "PYTHONWARNINGS=ignore", "COLUMNS=200")}
	for line := range strings.Lines(string(rc)) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(assignment, "=")
			n.env = append(n.env, name+"="+strings.Trim(value, "'"))
		}
	}
	return n
}

func (n *novaCLI) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nova", args...)
	cmd.Env = n.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("nova %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// Debian's nova client does all that testdata/nova-commands.txt says, at its own default microversion, 2.92, and at those that are named.
func TestNovaCommands(t *testing.T) {
	t.Parallel()
	runCommands(t, "testdata/nova-commands.txt", 230, func(t *testing.T, a *agent) func(args ...string) (string, error) {
		return newNovaCLI(t, a).try
	})
}
