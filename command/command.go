// Package command is the kilonova program's command line, one file per command. A file registers its command in init;
// there is no list of them anywhere else.
//
// Results go to stdout, notes and errors to stderr, so that output can be piped. Exit codes: 0 done, 1 refused or failed,
// 2 wrong arguments, 130 interrupted.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
	"github.com/posener/complete"
)

// The program's exit codes.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130
)

// Env is what a command has of the world.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal: a person watches Err, so that progress may be drawn there.
	Terminal bool
}

// definition is one command.
type definition struct {
	name     string // words separated by spaces: "host status"
	usage    string // what comes after the name: "[options] [ID]"
	synopsis string // one line
	prose    string // of the help; lines are kept
	hidden   bool
	// agent: it talks to an agent, and has the general options for that.
	agent bool
	// output: its result can be had with -json and -t.
	output   bool
	min, max int // how many arguments; max < 0 is any number
	flags    func(*flag.FlagSet)
	// rawArgs hands all arguments to run without reading flags.
	rawArgs bool
	run     func(ctx context.Context, s *session, args []string) error
	// complete predicts arguments for the shell; nil predicts nothing.
	complete complete.Predictor
}

var registry = map[string]func() *definition{}

// register is called from init of a command's file. make is called for each use: what flags write into is its own.
func register(make func() *definition) {
	name := make().name
	if _, taken := registry[name]; taken {
		panic("command: registered twice: " + name)
	}
	registry[name] = make
}

// session is one run of a command.
type session struct {
	Env
	general generalFlags
	output  outputFlags
}

// usageError is a mistake of the caller's in the arguments.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exitError ends the program with a code; what there was to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// adapter makes a definition a cli.Command.
type adapter struct {
	*definition
	ctx context.Context
	env Env
}

// Synopsis is the one line of the list of commands.
func (a *adapter) Synopsis() string { return a.synopsis }

// Run does the command.
func (a *adapter) Run(args []string) int {
	s := &session{Env: a.env}
	err := a.runWith(s, args)
	var usage usageError
	var code exitError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(s.Err, "%s\nFor help: kilonova %s -help\n", usage.text, a.name)
		return ExitUsage
	case a.ctx.Err() != nil:
		fmt.Fprintln(s.Err, "interrupted")
		return ExitInterrupted
	}
	fmt.Fprintf(s.Err, "Error: %v\n", err)
	return ExitFailed
}

func (a *adapter) runWith(s *session, args []string) error {
	if a.rawArgs {
		return a.run(a.ctx, s, args)
	}
	args, err := parseInterleaved(a.flagSet(s), args)
	switch {
	case err != nil:
		return usagef("%v", err)
	case len(args) < a.min && a.min == a.max:
		return usagef("This command takes %s, not %d: kilonova %s %s", count(a.min, "argument"), len(args), a.name, a.usage)
	case len(args) < a.min:
		return usagef("This command takes at least %s, not %d: kilonova %s %s", count(a.min, "argument"), len(args), a.name, a.usage)
	case a.max >= 0 && len(args) > a.max:
		return usagef("This command takes at most %s, not %d: kilonova %s %s", count(a.max, "argument"), len(args), a.name, a.usage)
	}
	if err := s.output.check(); err != nil {
		return err
	}
	return a.run(a.ctx, s, args)
}

func count(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// flagSet returns all flags of the command, with values that go to s and to the definition's own variables.
func (a *adapter) flagSet(s *session) *flag.FlagSet {
	set := flag.NewFlagSet(a.name, flag.ContinueOnError)
	if a.agent {
		s.general.register(set)
	}
	a.ownFlags(s, set)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	return set
}

func (a *adapter) ownFlags(s *session, set *flag.FlagSet) {
	if a.output {
		s.output.register(set)
	}
	if a.flags != nil {
		a.flags(set)
	}
}

// parseInterleaved reads flags wherever they stand among the arguments; after "--" all are arguments.
func parseInterleaved(set *flag.FlagSet, args []string) (rest []string, err error) {
	var after []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, after = args[:i], args[i+1:]
	}
	for len(args) > 0 {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		if args = set.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return append(rest, after...), nil
}

// AutocompleteFlags completes flag names.
func (a *adapter) AutocompleteFlags() complete.Flags {
	flags := complete.Flags{}
	if a.rawArgs {
		return flags
	}
	a.flagSet(&session{}).VisitAll(func(f *flag.Flag) {
		flags["-"+f.Name] = complete.PredictAnything
		if isBool(f) {
			flags["-"+f.Name] = complete.PredictNothing
		}
	})
	return flags
}

// AutocompleteArgs completes arguments.
func (a *adapter) AutocompleteArgs() complete.Predictor {
	if a.complete == nil {
		return complete.PredictNothing
	}
	return a.complete
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

var _ cli.CommandAutocomplete = (*adapter)(nil)

func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
