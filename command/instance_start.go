package command

import (
	"context"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceChange{goal: goal{"start", "ACTIVE"}, ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.Start(ctx, compute, id).ExtractErr()
		}}
		return &definition{
			name: "instance start", usage: "[options] ID|NAME", synopsis: "Start a stopped instance", agent: true, output: true, min: 1, max: 1, flags: c.flags, run: c.run,
			prose: "Starts an instance that was stopped, on the host that it is on.",
		}
	})
}
