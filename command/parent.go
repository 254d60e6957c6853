package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
)

// parents describe the words that only have commands below them.
var parents = map[string]parent{}

type parent struct{ synopsis, prose string }

// registerParent is called from init of the file that has the first command below words.
func registerParent(words, synopsis, prose string) { parents[words] = parent{synopsis, prose} }

// parentCommand answers a word that is no command by itself.
type parentCommand struct {
	words string
	parent
	env Env
}

// Synopsis is the one line of the list of commands.
func (p *parentCommand) Synopsis() string { return p.synopsis }

// Help lists nothing: the cli library adds the subcommands.
func (p *parentCommand) Help() string {
	return "Usage: kilonova " + p.words + " <subcommand> [options] [args]\n\n" + paragraphs(p.prose)
}

// Run asks for the help, or says that there is no such subcommand.
func (p *parentCommand) Run(args []string) int {
	if len(args) == 0 {
		return cli.RunResultHelp
	}
	fmt.Fprintf(p.env.Err, "There is no command \"%s %s\". Below %s there are: %s\n", p.words, args[0], p.words, strings.Join(subcommands(p.words), ", "))
	return ExitUsage
}

// subcommands returns the names right below words.
func subcommands(words string) []string {
	found := map[string]bool{}
	for name := range registry {
		if rest, ok := strings.CutPrefix(name, words+" "); ok {
			first, _, _ := strings.Cut(rest, " ")
			found[first] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
