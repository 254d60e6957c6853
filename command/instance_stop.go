package command

import (
	"context"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceChange{goal: goal{"stop", "SHUTOFF"}, ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.Stop(ctx, compute, id).ExtractErr()
		}}
		return &definition{
			name: "instance stop", usage: "[options] ID|NAME", synopsis: "Shut an instance down", agent: true, output: true, min: 1, max: 1, flags: c.flags, run: c.run,
			prose: "Asks the guest to shut down, and cuts its power when it does not in time. Its\ndisks and its place stay.",
		}
	})
}
