package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/gophercloud/gophercloud/v2"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "migration status", usage: "[options] ID", synopsis: "Show a migration", agent: true, output: true, min: 1, max: 1, run: runMigrationStatus,
			prose: "Shows one migration, and of a live migration that is under way how far it is. ID is\nits number, or the beginning of its UUID where only one migration has it.",
		}
	})
}

func runMigrationStatus(ctx context.Context, s *session, args []string) error {
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
	if m.live() {
		if m.Progress, err = progressOf(ctx, compute, m); err != nil {
			return err
		}
	}
	return s.print(m, func(w io.Writer) { details(w, migrationDetails(m)) })
}

// progressOf asks how far a live migration is; nil when nobody can tell, or it has just ended, or only administrators may know.
func progressOf(ctx context.Context, compute *gophercloud.ServiceClient, m *migrationView) (*migrationProgress, error) {
	var answer struct{ Migration migrationProgress }
	_, err := compute.Get(ctx, compute.ServiceURL("servers", m.InstanceID, "migrations", strconv.FormatInt(m.ID, 10)), &answer, nil)
	switch {
	case gophercloud.ResponseCodeIs(err, http.StatusNotFound) || gophercloud.ResponseCodeIs(err, http.StatusForbidden):
		return nil, nil
	case err != nil:
		return nil, friendly(err)
	case answer.Migration == migrationProgress{}:
		return nil, nil
	}
	return &answer.Migration, nil
}

func migrationDetails(m *migrationView) [][2]string {
	rows := [][2]string{{"ID", strconv.FormatInt(m.ID, 10)}, {"UUID", m.UUID}, {"Instance", m.InstanceID}, {"Type", m.Type}, {"Status", m.Status}, {"From", m.Source}, {"To", m.Dest},
		{"Project", m.ProjectID}, {"User", m.UserID}, {"Created", moment(m.Created)}, {"Updated", moment(m.Updated)}}
	if p := m.Progress; p != nil {
		left := func(remaining, total int64) string { return fmt.Sprintf("%s of %s left", size(remaining), size(total)) }
		rows = append(rows, [2]string{"Memory", left(p.MemoryRemaining, p.MemoryTotal)}, [2]string{"Disk", left(p.DiskRemaining, p.DiskTotal)})
	}
	return rows
}
