package command

import (
	"context"
	"flag"

	"github.com/gophercloud/gophercloud/v2"
)

// instanceChange is what stop, start, reboot and delete share: ask for a change of one instance, and wait for it.
type instanceChange struct {
	ask    func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error
	goal   goal
	detach bool
}

func (c *instanceChange) flags(set *flag.FlagSet) {
	set.BoolVar(&c.detach, "detach", false, "Do not wait until it is done")
}

func (c *instanceChange) run(ctx context.Context, s *session, args []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	server, err := findInstance(ctx, compute, args[0])
	if err != nil {
		return err
	}
	if err := c.ask(ctx, compute, server.ID); err != nil {
		return friendly(err)
	}
	if c.detach && c.goal.status == "" { // it may be gone already
		return nil
	}
	return s.finish(ctx, connection, compute, server.ID, c.goal, c.detach)
}
