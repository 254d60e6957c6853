package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var projectTable = newTable("projects", func(v *structs.Project) []string { return []string{string(v.ID)} },
	index[structs.Project]{"name", func(v *structs.Project) []string {
		return []string{string(v.DomainID), strings.ToLower(v.Name)}
	}},
	index[structs.Project]{"parent", func(v *structs.Project) []string {
		if v.ParentID == "" {
			return nil
		}
		return []string{string(v.ParentID)}
	}})

// Project returns a project by id, or nil.
func (r Reader) Project(id structs.ProjectID) *structs.Project {
	return first(r, projectTable, string(id))
}

// ProjectByName returns a project by name, letter case ignored as Keystone does, or nil.
func (r Reader) ProjectByName(d structs.DomainID, name string) *structs.Project {
	return one(prefix(r, projectTable, "name", string(d), strings.ToLower(name)))
}

// Projects iterates over all projects by id.
func (r Reader) Projects() iter.Seq[*structs.Project] { return all(r, projectTable) }

// ProjectsOfDomain iterates over a domain's projects by name.
func (r Reader) ProjectsOfDomain(d structs.DomainID) iter.Seq[*structs.Project] {
	return prefix(r, projectTable, "name", string(d))
}

// ProjectsBelow iterates over the projects right below another, by id.
func (r Reader) ProjectsBelow(id structs.ProjectID) iter.Seq[*structs.Project] {
	return prefix(r, projectTable, "parent", string(id))
}

// PutProject writes a project.
func (t *Txn) PutProject(v *structs.Project) { put(t, projectTable, v) }

// DeleteProject removes a project and returns it, or nil.
func (t *Txn) DeleteProject(id structs.ProjectID) *structs.Project {
	return remove(t, projectTable, string(id))
}
