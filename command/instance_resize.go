package command

import (
	"context"
	"flag"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceResize{}
		return &definition{
			name: "instance resize", usage: "[options] ID|NAME", synopsis: "Give an instance another flavor", agent: true, output: true, min: 1, max: 1,
			flags: c.flags, run: c.run,
			prose: "With -flavor makes an instance one of another flavor, here or on another host, and\n" +
				"waits until it is VERIFY_RESIZE: its old self is kept then, until the resize is\n" +
				"confirmed or taken back. -confirm gives up the old self, and -revert goes back to\n" +
				"it; both also end a migration. With -flavor and -confirm it does one after the\n" +
				"other. When interrupted it stops waiting; what was asked for goes on.",
		}
	})
}

type instanceResize struct {
	instanceMove
	flavor          string
	confirm, revert bool
}

func (c *instanceResize) flags(set *flag.FlagSet) {
	c.instanceMove.flags(set)
	set.StringVar(&c.flavor, "flavor", "", "Name or id of the `FLAVOR` that it is to have")
	set.BoolVar(&c.confirm, "confirm", false, "Keep what the resize or migration made")
	set.BoolVar(&c.revert, "revert", false, "Go back to what was before the resize or migration")
}

func (c *instanceResize) run(ctx context.Context, s *session, args []string) error {
	switch {
	case c.revert && (c.confirm || c.flavor != ""):
		return usagef("-revert stands alone: it takes back an earlier resize")
	case !c.revert && !c.confirm && c.flavor == "":
		return usagef("-flavor, -confirm or -revert is needed; `kilonova flavor list` shows which flavors there are")
	case c.detach && c.confirm && c.flavor != "":
		return usagef("-detach cannot be had with -flavor and -confirm: a resize is confirmed when it is done")
	}
	return c.do(ctx, s, args[0], c.moves)
}

const confirmOrRevert = "`kilonova instance resize -confirm %[1]s` keeps it so, `kilonova instance resize -revert %[1]s` goes back."

func (c *instanceResize) moves(ctx context.Context, compute *gophercloud.ServiceClient) (list []move, err error) {
	if c.flavor != "" {
		flavor, err := findFlavor(ctx, compute, c.flavor)
		if err != nil {
			return nil, err
		}
		list = append(list, move{kind: "resize", doing: "resize", next: confirmOrRevert, ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.Resize(ctx, compute, id, servers.ResizeOpts{FlavorRef: flavor.ID}).ExtractErr()
		}})
	}
	if c.confirm {
		list = append(list, move{kind: "confirmResize", doing: "confirmation", ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.ConfirmResize(ctx, compute, id).ExtractErr()
		}})
	}
	if c.revert {
		list = append(list, move{kind: "revertResize", doing: "revert", ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.RevertResize(ctx, compute, id).ExtractErr()
		}})
	}
	return list, nil
}
