package command

import (
	"context"
	"flag"
)

func init() {
	register(func() *definition {
		var force bool
		return &definition{
			name: "host delete", usage: "[options] ID|NAME", synopsis: "Remove the record of a host that is gone", agent: true, min: 1, max: 1,
			prose: "Removes what the cluster knows of a compute host that does not come back, so that\n" +
				"another one may have its name. The host must be down or forced down, and have no\n" +
				"instances. The beginning of an id is enough. A client that is started there\n" +
				"again registers as a new host. Nothing asks back. For administrators.",
			flags: func(set *flag.FlagSet) {
				set.BoolVar(&force, "force", false, "Remove it even if guests of deleted instances may be left on its disks")
			},
			run: func(ctx context.Context, s *session, args []string) error {
				if args[0] == "" {
					return usagef("an empty id names no host")
				}
				client, err := s.native(ctx)
				if err != nil {
					return err
				}
				hosts, err := client.Hosts(ctx)
				if err != nil {
					return err
				}
				host, err := chooseHost(hosts, args[0])
				if err != nil {
					return err
				}
				if err := client.DeleteHost(ctx, host.ID, force); err != nil {
					return err
				}
				s.notef("Deleted: host %s (%s).", host.Name, host.ID)
				return nil
			},
		}
	})
}
