package command

import (
	"context"
	"flag"
	"io"
	"net/url"
	"strconv"
)

func init() {
	registerParent("migration", "Show and end migrations of instances", "Shows migrations: the records of instances that go to another host or flavor.")
	register(func() *definition {
		c := &migrationList{}
		return &definition{
			name: "migration list", usage: "[options]", synopsis: "List migrations", agent: true, output: true, flags: c.flags, run: c.run,
			prose: "Lists the migrations that the cluster keeps, newest first: live and cold ones,\nresizes and evacuations. For managers of a project; administrators see all.",
		}
	})
}

type migrationList struct{ instance, host, status, kind string }

func (c *migrationList) flags(set *flag.FlagSet) {
	set.StringVar(&c.instance, "instance", "", "Only those of the instance with this `ID`")
	set.StringVar(&c.host, "host", "", "Only those from or to the `HOST` with this name")
	set.StringVar(&c.status, "status", "", "Only those with this `STATUS`, such as running or finished")
	set.StringVar(&c.kind, "type", "", "Only those of this `TYPE`: live-migration, migration, resize, evacuation")
}

func (c *migrationList) run(ctx context.Context, s *session, _ []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	query := url.Values{}
	for key, value := range map[string]string{"instance_uuid": c.instance, "host": c.host, "status": c.status, "migration_type": c.kind} {
		if value != "" {
			query.Set(key, value)
		}
	}
	views, err := listMigrations(ctx, compute, query)
	if err != nil {
		return err
	}
	return s.print(views, func(w io.Writer) {
		rows := [][]string{{"ID", "Instance", "Type", "Status", "From", "To", "Created", "Updated"}}
		for _, v := range views {
			rows = append(rows, []string{strconv.FormatInt(v.ID, 10), v.InstanceID, v.Type, v.Status, v.Source, v.Dest, moment(v.Created), moment(v.Updated)})
		}
		table(w, rows)
	})
}
