package command

import (
	"context"
	"flag"
	"io"
	"slices"
	"strings"
)

func init() {
	register(func() *definition {
		c := &monitor{}
		return &definition{
			name: "monitor", usage: "[options]", synopsis: "Follow an agent's log", agent: true, flags: c.flags, run: c.run,
			prose: "Prints the asked server's log lines as they come, at any level, whatever level it\nlogs at itself. Ends when interrupted. For administrators.",
		}
	})
}

type monitor struct{ level string }

func (c *monitor) flags(set *flag.FlagSet) {
	set.StringVar(&c.level, "log-level", "info", "Lowest `LEVEL` to show: trace, debug, info, warn or error")
}

var logLevels = []string{"trace", "debug", "info", "warn", "error"}

func (c *monitor) run(ctx context.Context, s *session, _ []string) error {
	if !slices.Contains(logLevels, c.level) {
		return usagef("-log-level %q is not known; %s is right", c.level, strings.Join(logLevels, ", "))
	}
	client, err := s.native(ctx)
	if err != nil {
		return err
	}
	lines, err := client.Monitor(ctx, c.level)
	if err != nil {
		return err
	}
	defer func() { _ = lines.Close() }()
	_, err = io.Copy(s.Out, lines)
	if ctx.Err() != nil { // how a monitor ends
		return nil
	}
	return err
}
