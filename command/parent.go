package command

import (
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
}

// Synopsis is the one line of the list of commands.
func (p *parentCommand) Synopsis() string { return p.synopsis }

// Help lists nothing: the cli library adds the subcommands.
func (p *parentCommand) Help() string {
	return "Usage: kilonova " + p.words + " <subcommand> [options] [args]\n\n" + indent(p.prose)
}

// Run asks for the help.
func (p *parentCommand) Run([]string) int { return cli.RunResultHelp }

// subcommands returns the names right below words, for tests and completion.
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
