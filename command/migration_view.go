package command

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/migrations"
)

// migrationView is a migration as the command line prints it.
type migrationView struct {
	ID         int64     `json:"id"`
	UUID       string    `json:"uuid"`
	InstanceID string    `json:"instance_id"`
	Type       string    `json:"type"`
	Status     string    `json:"status"`
	Source     string    `json:"source_host"` // for administrators
	Dest       string    `json:"dest_host"`   // for administrators
	ProjectID  string    `json:"project_id"`
	UserID     string    `json:"user_id"`
	Created    time.Time `json:"created_at"`
	Updated    time.Time `json:"updated_at"`

	Progress *migrationProgress `json:"progress"` // of one that is under way, where its host tells
}

// migrationProgress is how far a live migration is, in bytes.
type migrationProgress struct {
	MemoryTotal     int64 `json:"memory_total_bytes"`
	MemoryRemaining int64 `json:"memory_remaining_bytes"`
	DiskTotal       int64 `json:"disk_total_bytes"`
	DiskRemaining   int64 `json:"disk_remaining_bytes"`
}

const liveMigration = "live-migration"

// liveStatuses are those of a live migration that is under way.
var liveStatuses = []string{"accepted", "queued", "preparing", "running", "post-migrating"}

func (v *migrationView) live() bool {
	return v.Type == liveMigration && slices.Contains(liveStatuses, v.Status)
}

func viewMigration(m *migrations.Migration) migrationView {
	return migrationView{ID: m.ID, UUID: m.UUID, InstanceID: m.InstanceID, Type: m.MigrationType, Status: m.Status, Source: m.SourceCompute, Dest: m.DestCompute,
		ProjectID: m.ProjectID, UserID: m.UserID, Created: m.CreatedAt, Updated: m.UpdatedAt}
}

// listMigrations returns all migrations that the query chooses, page by page, newest first.
func listMigrations(ctx context.Context, compute *gophercloud.ServiceClient, query url.Values) ([]migrationView, error) {
	views := []migrationView{}
	for {
		var page struct {
			Migrations []migrations.Migration
			Links      []any `json:"migrations_links"`
		}
		if _, err := compute.Get(ctx, compute.ServiceURL("os-migrations")+"?"+query.Encode(), &page, nil); err != nil {
			return nil, friendly(err)
		}
		for i := range page.Migrations {
			views = append(views, viewMigration(&page.Migrations[i]))
		}
		if len(page.Links) == 0 || len(page.Migrations) == 0 {
			break
		}
		query.Set("marker", page.Migrations[len(page.Migrations)-1].UUID)
	}
	slices.SortStableFunc(views, func(a, b migrationView) int { return b.Created.Compare(a.Created) })
	return views, nil
}

// findMigration returns the migration with that number, or whose UUID begins so.
func findMigration(ctx context.Context, compute *gophercloud.ServiceClient, asked string) (*migrationView, error) {
	all, err := listMigrations(ctx, compute, url.Values{})
	if err != nil {
		return nil, err
	}
	var found *migrationView
	for i := range all {
		m := &all[i]
		if strconv.FormatInt(m.ID, 10) == asked {
			return m, nil
		}
		if asked == "" || !strings.HasPrefix(m.UUID, asked) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("several migrations have ids that begin with %q; more of the id is right", asked)
		}
		found = m
	}
	if found == nil {
		return nil, fmt.Errorf("no migration has the id %q; `kilonova migration list` lists them", asked)
	}
	return found, nil
}
