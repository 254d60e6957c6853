//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command is one line of a file of a client's commands. In front of the command stand, in this order: ! for one that must fail, ? for one that is repeated
// until it holds, @2.X for a microversion. Behind " # " stands a regular expression: what it prints, or of one that fails the error, must match. A named
// group of the expression, (?P<id>...), is $id in the commands that follow.
type command struct {
	line             string
	refused, awaited bool
	args             []string
	says             *regexp.Regexp
}

func parseCommand(t *testing.T, line string) *command {
	t.Helper()
	c := &command{line: line}
	text, says, _ := strings.Cut(line, " # ")
	says = strings.TrimSpace(says)
	expression, err := regexp.Compile("(?s)" + says)
	require.NoError(t, err, line)
	c.says = expression
	text, c.refused = strings.CutPrefix(text, "! ")
	text, c.awaited = strings.CutPrefix(text, "? ")
	if version, rest, ok := strings.Cut(text, " "); ok && strings.HasPrefix(version, "@") {
		c.args, text = []string{"--os-compute-api-version", version[1:]}, rest
	}
	c.args = append(c.args, strings.Fields(text)...)
	return c
}

// commandGroup are commands that run one after the other on an agent of their own; groups run next to each other.
type commandGroup struct {
	name     string
	commands []*command
}

// parseCommands reads a file: "== name" begins a group, # a comment.
func parseCommands(t *testing.T, path string) (groups []*commandGroup, n int) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case begins:
			groups = append(groups, &commandGroup{name: name})
		case line != "" && !strings.HasPrefix(line, "#"):
			require.NotEmpty(t, groups, "%q is in no group", line)
			g := groups[len(groups)-1]
			g.commands = append(g.commands, parseCommand(t, line))
			n++
		}
	}
	return groups, n
}

// run runs the command, with the variables that those before it set, and sets its own.
func (c *command) run(client func(args ...string) (string, error), variables map[string]string) error {
	var args, unknown []string
	for _, arg := range c.args {
		args = append(args, os.Expand(arg, func(name string) string {
			if _, ok := variables[name]; !ok {
				unknown = append(unknown, name)
			}
			return variables[name]
		}))
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no command before it said %v", unknown)
	}
	out, err := client(args...)
	switch {
	case c.refused && err == nil:
		return fmt.Errorf("it did not fail:\n%s", out)
	case !c.refused && err != nil:
		return err
	case c.refused:
		out = err.Error()
	}
	found := c.says.FindStringSubmatch(out)
	if found == nil {
		return fmt.Errorf("%q is not in:\n%s", c.says, out)
	}
	for i, name := range c.says.SubexpNames() {
		if name != "" {
			variables[name] = found[i]
		}
	}
	return nil
}

// slowMoves makes a live migration wait for what the commands do to it: none comes to its end by itself.
const slowMoves = "plugin \"fake\" {\n config {\n  latency = { live_migrate = \"10m\" }\n }\n}\n"

// runCommands runs the commands of a file, of which there are least, with a client that begin makes for an agent with three simulated hosts.
func runCommands(t *testing.T, path string, least int, begin func(*testing.T, *agent) func(args ...string) (string, error)) {
	t.Helper()
	groups, n := parseCommands(t, path)
	require.GreaterOrEqual(t, n, least, "commands in %s", path)
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			conf := filepath.Join(t.TempDir(), "slow.hcl")
			require.NoError(t, os.WriteFile(conf, []byte(slowMoves), 0o600))
			client, variables := begin(t, newDev(t, "-driver", "fake", "-hosts", "3", "-config", conf)), map[string]string{}
			for _, c := range g.commands {
				if c.awaited {
					eventually(t, time.Minute, c.line, func() error { return c.run(client, variables) })
					continue
				}
				require.NoError(t, c.run(client, variables), c.line)
			}
		})
	}
}
