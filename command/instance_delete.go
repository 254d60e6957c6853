package command

import (
	"context"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceChange{goal: goal{"delete", ""}, ask: func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
			return servers.Delete(ctx, compute, id).ExtractErr()
		}}
		return &definition{
			name: "instance delete", usage: "[options] ID|NAME", synopsis: "Delete an instance and its disks", agent: true, min: 1, max: 1, flags: c.flags, run: c.run,
			prose: "Deletes an instance with its disks, and waits until it is gone. Nothing asks back.",
		}
	})
}
