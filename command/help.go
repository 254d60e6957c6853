package command

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
)

// Help is usage, prose, the general options of commands that talk to an agent, and the command's own options.
func (a *adapter) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n\n%s\n", strings.TrimSpace("kilonova "+a.name+" "+a.usage), paragraphs(a.prose))
	if a.rawArgs {
		return b.String()
	}
	if a.agent {
		set := flag.NewFlagSet("", flag.ContinueOnError)
		(&generalFlags{}).register(set)
		fmt.Fprintf(&b, "\nGeneral Options:\n\n%s", options(set))
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	a.ownFlags(&session{}, set)
	if text := options(set); text != "" {
		fmt.Fprintf(&b, "\nOptions:\n\n%s", text)
	}
	return b.String()
}

const helpWidth = 80

// options lists flags with their help text, wrapped.
func options(set *flag.FlagSet) string {
	var parts []string
	set.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		head := "  -" + f.Name
		if value != "" && !isBool(f) {
			head += "=" + value
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" && f.DefValue != "0s" {
			usage += " (default " + f.DefValue + ")"
		}
		parts = append(parts, head+"\n"+wrap(usage, "    ", helpWidth)+"\n")
	})
	return strings.Join(parts, "\n")
}

// paragraphs indents and wraps prose. A paragraph that is indented already (a command, a table) keeps its lines.
func paragraphs(text string) string {
	parts := strings.Split(strings.Trim(text, "\n"), "\n\n")
	for i, part := range parts {
		if strings.HasPrefix(part, " ") {
			parts[i] = indent(part)
		} else {
			parts[i] = wrap(part, "  ", helpWidth)
		}
	}
	return strings.Join(parts, "\n\n")
}

func wrap(text, prefix string, width int) string {
	var lines []string
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if line != prefix && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = prefix
		}
		if line != prefix {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// groups order the first words of commands in the help of the whole program; a word that no group names comes last.
var groups = []struct {
	title string
	words []string
}{
	{"Run an agent", []string{"agent"}},
	{"Use the cloud", []string{"instance", "image", "flavor", "operation", "migration", "host", "openrc"}},
	{"Operate the cluster", []string{"identity", "monitor", "operator", "policy", "server", "tls"}},
	{"Other", []string{"version"}},
}

// programHelp is what `kilonova` alone prints.
func programHelp(commands map[string]cli.CommandFactory) string {
	var b strings.Builder
	b.WriteString("Usage: kilonova [-version] [-help] <command> [args]\n\n" +
		"  An OpenStack-compatible cloud of virtual machines in one binary.\n" +
		"  To try it: `kilonova agent -dev`; it says how to go on.\n")
	seen := map[string]bool{}
	section := func(title string, words []string) {
		var lines []string
		for _, word := range words {
			if factory, ok := commands[word]; ok {
				seen[word] = true
				lines = append(lines, helpLine(word, factory))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n%s", title, strings.Join(lines, ""))
		}
	}
	for _, g := range groups {
		section(g.title, g.words)
	}
	var rest []string
	for _, word := range slices.Sorted(maps.Keys(commands)) {
		if !seen[word] {
			rest = append(rest, word)
		}
	}
	section("More", rest)
	b.WriteString("\nkilonova <command> -help tells more of each. Exit codes: 0 done, 1 refused or\nfailed, 2 wrong arguments, 130 interrupted.\n")
	return b.String()
}

func helpLine(word string, factory cli.CommandFactory) string {
	command, err := factory()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("  %-12s%s\n", word, command.Synopsis())
}
