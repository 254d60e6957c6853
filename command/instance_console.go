package command

import (
	"context"
	"flag"
	"io"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceConsole{}
		return &definition{
			name: "instance console", usage: "[options] ID|NAME", synopsis: "Print what an instance wrote to its console", agent: true, min: 1, max: 1, flags: c.flags, run: c.run,
			prose: "Prints what the guest has written to its serial console, as far as it is kept.\nWith -f goes on until interrupted.",
		}
	})
}

// consoleInterval is how often -f asks again.
const consoleInterval = time.Second

type instanceConsole struct {
	lines  int
	follow bool
}

func (c *instanceConsole) flags(set *flag.FlagSet) {
	set.IntVar(&c.lines, "n", 0, "Only the last `LINES`; 0 is all")
	set.BoolVar(&c.follow, "f", false, "Follow: print what comes as it comes")
}

func (c *instanceConsole) run(ctx context.Context, s *session, args []string) error {
	if c.lines < 0 {
		return usagef("-n %d is negative; a number of lines, or 0 for all, is right", c.lines)
	}
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	server, err := findInstance(ctx, compute, args[0])
	if err != nil {
		return err
	}
	output, err := servers.ShowConsoleOutput(ctx, compute, server.ID, servers.ShowConsoleOutputOpts{Length: c.lines}).Extract()
	if err != nil {
		return friendly(err)
	}
	if _, err := io.WriteString(s.Out, output); err != nil || !c.follow {
		return err
	}
	return followConsole(ctx, s, compute, server.ID, output)
}

// followConsole asks for the whole console again and again, and prints what was not there before.
func followConsole(ctx context.Context, s *session, compute *gophercloud.ServiceClient, id, seen string) error {
	tick := time.NewTicker(consoleInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done(): // how following ends
			return nil
		}
		output, err := servers.ShowConsoleOutput(ctx, compute, id, servers.ShowConsoleOutputOpts{}).Extract()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return friendly(err)
		}
		fresh, whole := after(seen, output)
		if !whole {
			s.notef("\n... some output was lost or the guest was started anew ...")
		}
		if _, err := io.WriteString(s.Out, fresh); err != nil {
			return err
		}
		seen = output
	}
}

// tailLength is how much of the end of what was seen must be found again to go on from there.
const tailLength = 4096

// after returns what output has beyond seen. The console's beginning may have been dropped since; whole is false when the end of
// seen is not in output any more, and then all of output is new.
func after(seen, output string) (fresh string, whole bool) {
	if rest, ok := strings.CutPrefix(output, seen); ok {
		return rest, true
	}
	tail := seen[max(0, len(seen)-tailLength):]
	if i := strings.LastIndex(output, tail); i >= 0 {
		return output[i+len(tail):], true
	}
	return output, false
}
