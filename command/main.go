package command

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
	"github.com/mattn/go-isatty"

	"github.com/kilonova-cloud/kilonova/version"
)

// SystemEnv is the process's own.
func SystemEnv() Env {
	return Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: isatty.IsTerminal(os.Stderr.Fd())}
}

// Main runs the command that args (without the program's name) name, and returns the exit code.
func Main(ctx context.Context, env Env, args []string) int {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "-v" || arg == "-version" || arg == "--version" {
			args = append([]string{"version"}, slices.Delete(slices.Clone(args), i, i+1)...)
			break
		}
		if !strings.HasPrefix(arg, "-") {
			break
		}
	}
	if len(args) == 0 {
		fmt.Fprint(env.Out, programHelp(topLevel(commands(ctx, env))))
		return ExitDone
	}
	if _, ok := parents[strings.Join(args, " ")]; ok { // its help is what is asked for
		args = append(slices.Clone(args), "-help")
	}
	c := &cli.CLI{
		Name: "kilonova", Version: version.Number(), Args: args, Commands: commands(ctx, env), HiddenCommands: hiddenCommands(),
		Autocomplete: true, HelpFunc: programHelp, HelpWriter: env.Out, ErrorWriter: env.Err,
	}
	if !strings.HasPrefix(args[0], "-") && !known(args[0]) {
		fmt.Fprintf(env.Err, "There is no command %q. The commands: %s\n", args[0], strings.Join(firstWords(), ", "))
		return ExitUsage
	}
	code, err := c.Run()
	if err != nil {
		fmt.Fprintf(env.Err, "Error: %v\n", err)
		return ExitFailed
	}
	return code
}

func commands(ctx context.Context, env Env) map[string]cli.CommandFactory {
	all := map[string]cli.CommandFactory{}
	for words, p := range parents {
		all[words] = func() (cli.Command, error) { return &parentCommand{words, p, env}, nil }
	}
	for name, make := range registry {
		all[name] = func() (cli.Command, error) { return &adapter{make(), ctx, env}, nil }
	}
	return all
}

// topLevel leaves the commands that one word names, without the hidden ones: what the library hands to a help function.
func topLevel(all map[string]cli.CommandFactory) map[string]cli.CommandFactory {
	top := map[string]cli.CommandFactory{}
	for _, word := range firstWords() {
		top[word] = all[word]
	}
	return top
}

func hiddenCommands() (names []string) {
	for name, make := range registry {
		if make().hidden {
			names = append(names, name)
		}
	}
	return names
}

func known(word string) bool {
	_, isCommand := registry[word]
	return isCommand || slices.Contains(firstWords(), word)
}

func firstWords() []string {
	var words []string
	for name, make := range registry {
		if first, _, _ := strings.Cut(name, " "); !make().hidden && !slices.Contains(words, first) {
			words = append(words, first)
		}
	}
	slices.Sort(words)
	return words
}
