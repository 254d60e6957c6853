package command

import (
	"context"
	"flag"
)

func init() {
	register(func() *definition {
		var force bool
		return &definition{
			name: "operator raft remove-peer", usage: "[options] ID", synopsis: "Take a server that is gone out of Raft", agent: true, min: 1, max: 1,
			prose: "Takes a server out of Raft, so that it no longer counts towards the majority. It\n" +
				"is for a server that is gone for good: the leader and a server that is alive are\n" +
				"refused. `kilonova operator raft list-peers` shows the ids. Do not start the\n" +
				"removed server on its old disk again: it would be added once more. Nothing asks\n" +
				"back. For administrators.",
			flags: func(set *flag.FlagSet) {
				set.BoolVar(&force, "force", false, "Remove it even if fewer servers than a majority of those left are known to be alive")
			},
			run: func(ctx context.Context, s *session, args []string) error {
				if args[0] == "" {
					return usagef("an empty id names no peer")
				}
				client, err := s.native(ctx)
				if err != nil {
					return err
				}
				if err := client.RemovePeer(ctx, args[0], force); err != nil {
					return err
				}
				s.notef("Removed: %s is no longer a Raft peer.", args[0])
				return nil
			},
		}
	})
}
