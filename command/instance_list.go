package command

import (
	"context"
	"flag"
	"io"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	register(func() *definition {
		c := &instanceList{}
		return &definition{
			name: "instance list", usage: "[options]", synopsis: "List instances", agent: true, output: true, flags: c.flags, run: c.run,
			prose: "Lists the instances of the project, newest first.",
		}
	})
}

type instanceList struct{ options servers.ListOpts }

func (c *instanceList) flags(set *flag.FlagSet) {
	set.BoolVar(&c.options.AllTenants, "all-projects", false, "Those of all projects; for administrators")
	set.StringVar(&c.options.Status, "status", "", "Only those with this `STATUS`: ACTIVE, SHUTOFF, ERROR, ...")
	set.StringVar(&c.options.Name, "name", "", "Only those whose names match this regular `EXPRESSION`")
	set.StringVar(&c.options.Host, "host", "", "Only those on this `HOST`; for administrators")
}

func (c *instanceList) run(ctx context.Context, s *session, _ []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	pages, err := servers.List(compute, c.options).AllPages(ctx)
	if err != nil {
		return friendly(err)
	}
	all, err := servers.ExtractServers(pages)
	if err != nil {
		return err
	}
	views := make([]instanceView, len(all))
	rows := [][]string{{"ID", "Name", "Status", "Power", "Flavor", "Host", "Created"}}
	for i := range all {
		v := viewInstance(&all[i])
		views[i] = v
		rows = append(rows, []string{v.ID, v.Name, v.state(), v.Power, v.Flavor, v.Host, moment(v.Created)})
	}
	return s.print(views, func(w io.Writer) { table(w, rows) })
}
