package command

import (
	"context"
	"io"
)

func init() {
	registerParent("operator", "Look after Raft and gossip", "Tools for those who look after the cluster itself.")
	registerParent("operator raft", "Look after Raft", "Shows the servers as Raft knows them, and takes out those that are gone.")
	register(func() *definition {
		return &definition{
			name: "operator raft list-peers", usage: "[options]", synopsis: "List the Raft peers", agent: true, output: true,
			prose: "Lists the servers that Raft counts, which of them may vote, and who leads. For\nadministrators.",
			run: func(ctx context.Context, s *session, _ []string) error {
				client, err := s.native(ctx)
				if err != nil {
					return err
				}
				peers, err := client.Peers(ctx)
				if err != nil {
					return err
				}
				return s.print(peers, func(w io.Writer) {
					rows := [][]string{{"ID", "Address", "State", "Voter"}}
					for _, p := range peers {
						rows = append(rows, []string{p.ID, p.Addr, pick(p.Leader, "leader", "follower"), yesNo(p.Voter)})
					}
					table(w, rows)
				})
			},
		}
	})
}
