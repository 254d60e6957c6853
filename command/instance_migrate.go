package command

import (
	"context"
	"flag"

	"github.com/gophercloud/gophercloud/v2"
)

func init() {
	register(func() *definition {
		c := &instanceMigrate{}
		return &definition{
			name: "instance migrate", usage: "[options] ID|NAME", synopsis: "Move an instance to another host", agent: true, output: true, min: 1, max: 1,
			flags: c.flags, run: c.run,
			prose: "Moves an instance to another host and waits for it. Its guest is switched off\n" +
				"meanwhile, and the move is to be confirmed or taken back with\n" +
				"`kilonova instance resize`. With -live the guest goes on running and nothing is to\n" +
				"be confirmed. When interrupted it stops waiting; the move goes on. For managers of\n" +
				"the project.",
		}
	})
}

type instanceMigrate struct {
	instanceMove
	live bool
	host string
}

func (c *instanceMigrate) flags(set *flag.FlagSet) {
	c.instanceMove.flags(set)
	set.BoolVar(&c.live, "live", false, "Move the guest while it runs")
	set.StringVar(&c.host, "host", "", "Name of the `HOST` to go to; for administrators. Default: the scheduler chooses")
}

func (c *instanceMigrate) run(ctx context.Context, s *session, args []string) error {
	return c.do(ctx, s, args[0], func(context.Context, *gophercloud.ServiceClient) ([]move, error) { return []move{c.move()}, nil })
}

func (c *instanceMigrate) move() move {
	var host any // null is any
	if c.host != "" {
		host = c.host
	}
	if c.live {
		return move{kind: "live-migration", doing: "live migration", ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return action(ctx, compute, id, "os-migrateLive", map[string]any{"host": host, "block_migration": "auto"})
		}}
	}
	return move{kind: "migrate", doing: "migration", next: confirmOrRevert, ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
		return action(ctx, compute, id, "migrate", map[string]any{"host": host})
	}}
}
