package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/cli"

	"github.com/kilonova-cloud/kilonova/command/agent"
)

func init() {
	register(func() *definition {
		own, flags := agent.NewFlagSet()
		return &definition{
			name: "agent", usage: "[options]", synopsis: "Run a server, a client or both", prose: agentProse(),
			flags: func(set *flag.FlagSet) {
				own.VisitAll(func(f *flag.Flag) { set.Var(f.Value, f.Name, f.Usage) })
			},
			run: func(ctx context.Context, s *session, _ []string) error { return runAgent(ctx, s, *flags) },
		}
	})
}

func agentProse() string {
	var b strings.Builder
	b.WriteString(`Runs an agent until it is interrupted: a server (control plane), a client
(compute host), or both, as its configuration says. With -dev no configuration
is needed.

Configuration is read from -config, then from the environment, then from the
other flags; what comes later wins. SIGHUP reads it again: log level, TLS and
policy files, what a host reserves, its driver's settings and the scheduler's
filters, weights and ratios are taken over, other changes wait for a restart;
the log says which. A second interrupt ends the agent at once.

Environment:

`)
	for _, v := range agent.Variables {
		fmt.Fprintf(&b, "  %-20s %s\n", v.Name, v.Help)
	}
	return b.String()
}

func runAgent(ctx context.Context, s *session, flags agent.Flags) error {
	if agent.Runner == nil {
		return errors.New("this program was built without the agent")
	}
	rt, err := agent.LoadRuntime(flags)
	if err != nil {
		s.notef("The configuration cannot be used:\n%s", indent(err.Error()))
		return exitError(ExitUsage)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends reloads
	ui := &cli.BasicUi{Reader: s.In, Writer: s.Out, ErrorWriter: s.Err}
	if code := agent.Runner(ctx, rt, reloads(ctx, s, flags, rt), ui); code != ExitDone {
		return exitError(code)
	}
	return nil
}

// reloads reads the configuration again at each SIGHUP and hands on what is sound. What is not is said and changes
// nothing. Its goroutine ends with ctx.
func reloads(ctx context.Context, s *session, flags agent.Flags, rt *agent.Runtime) <-chan *agent.Runtime {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	out := make(chan *agent.Runtime)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			next := reload(s, flags, rt)
			if next == nil {
				continue
			}
			select {
			case out <- next:
				rt = next
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func reload(s *session, flags agent.Flags, rt *agent.Runtime) *agent.Runtime {
	next, err := agent.Reload(flags, rt)
	if err != nil {
		s.notef("The changed configuration cannot be used, the agent goes on as it was:\n%s", indent(err.Error()))
		return nil
	}
	return next
}
