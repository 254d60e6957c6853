package command

import (
	"context"
	"fmt"
	"io"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "server join", usage: "[options] HOST[:PORT]...", synopsis: "Make an agent join others", agent: true, output: true, min: 1, max: -1,
			prose: "Makes the asked server gossip with other agents, named by the addresses of their\nSerf. One that answers is enough: the rest is found through it. For\nadministrators.",
			run: func(ctx context.Context, s *session, args []string) error {
				client, err := s.native(ctx)
				if err != nil {
					return err
				}
				joined, err := client.Join(ctx, args)
				if err != nil {
					return err
				}
				return s.print(map[string]int{"joined": joined}, func(w io.Writer) {
					_, _ = fmt.Fprintf(w, "Joined: %d of %d answered.\n", joined, len(args))
				})
			},
		}
	})
}
