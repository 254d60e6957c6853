package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var migrationTable = newTable("migrations", func(v *structs.Migration) []string { return []string{string(v.ID)} },
	index[structs.Migration]{"instance", func(v *structs.Migration) []string {
		return []string{string(v.InstanceID), newestFirst(v.CreatedAt)}
	}},
	index[structs.Migration]{"created", func(v *structs.Migration) []string { return []string{newestFirst(v.CreatedAt)} }})

// Migration returns a migration by id, or nil.
func (r Reader) Migration(id structs.MigrationID) *structs.Migration {
	return first(r, migrationTable, string(id))
}

// Migrations iterates over all migrations, newest first.
func (r Reader) Migrations() iter.Seq[*structs.Migration] {
	return prefix(r, migrationTable, "created")
}

// MigrationsOfInstance iterates over an instance's migrations, newest first.
func (r Reader) MigrationsOfInstance(id structs.InstanceID) iter.Seq[*structs.Migration] {
	return prefix(r, migrationTable, "instance", string(id))
}

// OpenMigration returns the instance's migration that still holds room, or nil.
func (r Reader) OpenMigration(ins *structs.Instance) *structs.Migration {
	if ins.MigrationID == "" {
		return nil
	}
	return r.Migration(ins.MigrationID)
}

// Holds returns what an instance takes of its project's quota: while it may yet become another flavor or go back, the larger of both, as in Nova an upsize
// counts from its beginning and a downsize once it is confirmed.
func (r Reader) Holds(ins *structs.Instance) (instances, cores, memoryMiB int64) {
	if !ins.Counts() {
		return 0, 0, 0
	}
	cores, memoryMiB = int64(ins.Flavor.VCPUs), ins.Flavor.MemoryMiB
	if m := r.OpenMigration(ins); m.Open() {
		for _, f := range []*structs.Flavor{&m.OldFlavor, &m.NewFlavor} {
			cores, memoryMiB = max(cores, int64(f.VCPUs)), max(memoryMiB, f.MemoryMiB)
		}
	}
	return 1, cores, memoryMiB
}

// PutMigration writes a migration. A new one gets its number.
func (t *Txn) PutMigration(v *structs.Migration) {
	if v.Num == 0 {
		v.Num = t.NextNum("migrations")
	}
	put(t, migrationTable, v)
}

// DeleteMigration removes a migration's record; an unknown one is no error.
func (t *Txn) DeleteMigration(id structs.MigrationID) { remove(t, migrationTable, string(id)) }
