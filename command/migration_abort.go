package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	register(func() *definition {
		c := &migrationAbort{}
		return &definition{
			name: "migration abort", usage: "[options] ID", synopsis: "End a live migration, with the guest where it is", agent: true, output: true, min: 1, max: 1,
			flags: c.flags, run: c.run,
			prose: "Ends a live migration that is under way and waits for it. The guest goes on where it\n" +
				"is, unless it has gone to the other host by then: in that case the command fails. ID\n" +
				"is the migration's number, or the beginning of its UUID. For managers of the project.",
		}
	})
}

type migrationAbort struct{ detach bool }

func (c *migrationAbort) flags(set *flag.FlagSet) {
	set.BoolVar(&c.detach, "detach", false, "Do not wait until it has ended")
}

func (c *migrationAbort) run(ctx context.Context, s *session, args []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	m, err := findMigration(ctx, compute, args[0])
	if err != nil {
		return err
	}
	if !m.live() {
		return fmt.Errorf("migration %d is a %s that is %s; only a live migration that is under way can be aborted", m.ID, m.Type, m.Status)
	}
	if _, err := compute.Delete(ctx, compute.ServiceURL("servers", m.InstanceID, "migrations", strconv.FormatInt(m.ID, 10)), nil); err != nil {
		return friendly(err)
	}
	if !c.detach {
		if m, err = s.waitAborted(ctx, connection, compute, m); err != nil {
			return fmt.Errorf("abortion of migration %s: %w", args[0], err)
		}
	}
	return s.print(m, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%d  %s  %s\n", m.ID, m.InstanceID, m.Status) })
}

// waitAborted follows the migration until it is over, and fails when that was not by the abortion.
func (s *session) waitAborted(ctx context.Context, c *connection, compute *gophercloud.ServiceClient, m *migrationView) (*migrationView, error) {
	p := s.newProgress()
	defer p.stop()
	p.say("abortion: accepted")
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := c.follow(following, m.InstanceID, func(o *api.Operation) { p.say("%s", describe(goal{doing: "abortion"}, o)) })
	for {
		now, err := findMigration(ctx, compute, m.UUID)
		switch {
		case ctx.Err() != nil:
			s.notef("\nNo longer waiting. `kilonova migration status %d` shows how it fares.", m.ID)
			return nil, ctx.Err()
		case err != nil:
			return nil, err
		case now.Status == "cancelled":
			p.say("abortion: done")
			return now, nil
		case !now.live():
			p.say("abortion: failed")
			return nil, fmt.Errorf("the migration is %s; `kilonova operation list -instance=%s` says why", now.Status, m.InstanceID)
		}
		select {
		case <-changes:
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}
