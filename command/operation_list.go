package command

import (
	"context"
	"flag"
	"io"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	registerParent("operation", "Show what is being done to instances", "Shows operations: the durable records of each change to an instance, step by step.")
	register(func() *definition {
		c := &operationList{}
		return &definition{
			name: "operation list", usage: "[options]", synopsis: "List operations", agent: true, output: true, flags: c.flags, run: c.run,
			prose: "Lists the operations that the cluster keeps, newest first: those that run, and\nthose that ended not long ago.",
		}
	})
}

type operationList struct{ filter api.OperationFilter }

func (c *operationList) flags(set *flag.FlagSet) {
	set.StringVar(&c.filter.InstanceID, "instance", "", "Only those of the instance with this `ID`")
	set.BoolVar(&c.filter.Active, "running", false, "Only those that have not ended")
	set.BoolVar(&c.filter.AllProjects, "all-projects", false, "Those of all projects; for administrators")
}

func (c *operationList) run(ctx context.Context, s *session, _ []string) error {
	client, err := s.native(ctx)
	if err != nil {
		return err
	}
	operations, err := client.Operations(ctx, c.filter)
	if err != nil {
		return err
	}
	slices.SortStableFunc(operations, func(a, b api.Operation) int { return b.CreatedAt.Compare(a.CreatedAt.Time) })
	return s.print(operations, func(w io.Writer) {
		rows := [][]string{{"ID", "Instance", "Kind", "Status", "Step", "Attempt", "Created", "Took", "Error"}}
		for i := range operations {
			rows = append(rows, operationRow(&operations[i], time.Now()))
		}
		table(w, rows)
	})
}

func operationRow(o *api.Operation, now time.Time) []string {
	end := now
	if !o.FinishedAt.IsZero() {
		end = o.FinishedAt.Time
	}
	return []string{shortID(o.ID), o.InstanceID, o.Kind, o.Status, o.Step, number(o.Attempt), moment(o.CreatedAt.Time), span(end.Sub(o.CreatedAt.Time)), o.Error}
}
