package command

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	registerParent("server", "Show and join the cluster's agents", "Shows the agents that gossip knows, and makes them know each other.")
	register(func() *definition {
		c := &serverMembers{}
		return &definition{
			name: "server members", usage: "[options]", synopsis: "List the agents of the cluster", agent: true, output: true,
			prose: "Lists the agents, servers and clients, as the asked server's gossip knows them,\nwith their roles, states and RPC addresses. For administrators.",
			run:   c.run,
		}
	})
}

type serverMembers struct{}

func (*serverMembers) run(ctx context.Context, s *session, _ []string) error {
	client, err := s.native(ctx)
	if err != nil {
		return err
	}
	members, err := client.Members(ctx)
	if err != nil {
		return err
	}
	leader, err := client.Leader(ctx)
	if err != nil && !api.IsStatus(err, http.StatusServiceUnavailable) { // without a leader the members are worth knowing all the more
		return err
	}
	return s.print(members, func(w io.Writer) { table(w, memberRows(members, leader)) })
}

func memberRows(members []api.Member, leader api.Leader) [][]string {
	rows := [][]string{{"Name", "Address", "Role", "Status", "Leader", "Version", "Region", "Zone"}}
	for _, m := range slices.SortedFunc(slices.Values(members), func(a, b api.Member) int { return compareText(a.Name, b.Name) }) {
		leads := ""
		if leader.ID != "" && m.Tags["id"] == leader.ID {
			leads = "yes"
		}
		rows = append(rows, []string{m.Name, m.Addr, m.Role, m.Status, leads, m.Tags["version"], m.Tags["region"], m.Tags["zone"]})
	}
	return rows
}
