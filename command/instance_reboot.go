package command

import (
	"context"
	"flag"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceReboot{}
		c.goal, c.ask = goal{"reboot", "ACTIVE"}, c.reboot
		return &definition{
			name: "instance reboot", usage: "[options] ID|NAME", synopsis: "Reboot an instance", agent: true, output: true, min: 1, max: 1, flags: c.flags, run: c.run,
			prose: "Asks the guest to reboot, and resets it when it does not in time; with -hard\nresets it at once.",
		}
	})
}

type instanceReboot struct {
	instanceChange
	hard bool
}

func (c *instanceReboot) flags(set *flag.FlagSet) {
	c.instanceChange.flags(set)
	set.BoolVar(&c.hard, "hard", false, "Reset the guest without asking it")
}

func (c *instanceReboot) reboot(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
	method := servers.SoftReboot
	if c.hard {
		method = servers.HardReboot
	}
	return servers.Reboot(ctx, compute, id, servers.RebootOpts{Type: method}).ExtractErr()
}
