//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The stock client does all that testdata/stock-commands.txt says, at its own default microversion and at those that are named.
func TestStockCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/stock-commands.txt")
	require.NoError(t, err)
	a := newDev(t, "-driver", "fake", "-hosts", "3")
	s := newStock(t, a, "kilonova-admin")
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		command, refused := strings.CutPrefix(line, "! ")
		command, says, _ := strings.Cut(command, " # ")
		var args []string
		if version, rest, ok := strings.Cut(command, " "); ok && strings.HasPrefix(version, "@") {
			args, command = []string{"--os-compute-api-version", version[1:]}, rest
		}
		out, err := s.try(append(args, strings.Fields(command)...)...)
		if !refused {
			require.NoError(t, err, line)
			continue
		}
		require.Error(t, err, "%s\n%s", line, out)
		require.ErrorContains(t, err, says, line)
	}
	require.GreaterOrEqual(t, n, 120, "commands")
}
