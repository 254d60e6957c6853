package command

import (
	"context"
	"flag"

	"github.com/gophercloud/gophercloud/v2"
)

func init() {
	register(func() *definition {
		c := &instanceEvacuate{}
		return &definition{
			name: "instance evacuate", usage: "[options] ID|NAME", synopsis: "Build an instance anew on another host, for its own is down", agent: true, output: true, min: 1, max: 1,
			flags: c.flags, run: c.run,
			prose: "Builds an instance whose host is down anew on another one, with its id, from its\n" +
				"image: what was on its disk is lost. A host that is only suspected must be forced\n" +
				"down first, so that the guest cannot run twice. When interrupted it stops waiting;\n" +
				"the evacuation goes on. For administrators.",
		}
	})
}

type instanceEvacuate struct {
	instanceMove
	host string
}

func (c *instanceEvacuate) flags(set *flag.FlagSet) {
	c.instanceMove.flags(set)
	set.StringVar(&c.host, "host", "", "Name of the `HOST` to go to. Default: the scheduler chooses")
}

func (c *instanceEvacuate) run(ctx context.Context, s *session, args []string) error {
	ask := func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
		to := map[string]any{}
		if c.host != "" {
			to["host"] = c.host
		}
		return action(ctx, compute, id, "evacuate", to)
	}
	return c.do(ctx, s, args[0], func(context.Context, *gophercloud.ServiceClient) ([]move, error) {
		return []move{{kind: "evacuate", doing: "evacuation", ask: ask}}, nil
	})
}
