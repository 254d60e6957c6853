package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ProjectWrite makes or changes a project. It stays in its domain and below its parent for good, as in Keystone.
var ProjectWrite = registerOnce(66, "project-write", func(tx *state.Txn, r *structs.ProjectWriteRequest) (*structs.Project, error) {
	p := &r.Project
	old := tx.Project(p.ID)
	if err := version(old != nil || tx.Domain(structs.DomainID(p.ID)) != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if tx.Domain(p.DomainID) == nil {
		return nil, noSuch("domain", p.DomainID)
	}
	if other := tx.ProjectByName(p.DomainID, p.Name); other != nil && other.ID != p.ID {
		return nil, duplicate("project", p.Name)
	}
	if old == nil {
		if err := parentTakes(tx, p, r.MaxDepth); err != nil {
			return nil, err
		}
	} else if p.ParentID != old.ParentID || p.DomainID != old.DomainID {
		return nil, structs.Errorf(structs.KindForbidden, "Update of `parent_id` is not allowed.")
	}
	tx.PutProject(p)
	return p, nil
})

// parentTakes refuses a project whose parent is in another domain, is disabled, or lies too deep already. depth counts the projects above it; 0 is no bound.
func parentTakes(tx *state.Txn, p *structs.Project, depth int) error {
	above := 1
	for id := p.ParentID; id != ""; above++ {
		parent := tx.Project(id)
		if parent == nil {
			return noSuch("project", id)
		}
		if parent.DomainID != p.DomainID {
			return structs.Errorf(structs.KindInvalid, "Cannot create project, since its parent (%s) is in another domain.", id)
		}
		if !parent.Enabled {
			return structs.Errorf(structs.KindForbidden, "cannot create a project in a branch containing a disabled project: %s", id)
		}
		id = parent.ParentID
	}
	if depth > 0 && above >= depth {
		return structs.Errorf(structs.KindForbidden, "Max hierarchy depth reached for %s branch.", p.ParentID)
	}
	return nil
}

// ProjectDelete removes a project without projects below it.
var ProjectDelete = registerOnce(67, "project-delete", func(tx *state.Txn, r *structs.ProjectDeleteRequest) (None, error) {
	if tx.Project(r.ID) == nil {
		return None{}, noSuch("project", r.ID)
	}
	for range tx.ProjectsBelow(r.ID) {
		return None{}, structs.Errorf(structs.KindForbidden, "Cannot delete the project %s since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree.", r.ID)
	}
	dropProject(tx, r.ID)
	return None{}, nil
})

// dropProject removes a project and what is said of it in other identities. Users whose default project it was have none.
func dropProject(tx *state.Txn, id structs.ProjectID) {
	for _, g := range slices.Collect(tx.GrantsOnProject(id)) {
		if user := tx.User(g.UserID); user != nil && user.DefaultProjectID == id {
			u := *user
			u.DefaultProjectID = ""
			tx.PutUser(&u)
		}
		tx.DeleteGrant(g)
	}
	for _, c := range slices.Collect(tx.CredentialsOnProject(id)) {
		tx.DeleteCredential(c.ID)
	}
	for _, c := range slices.Collect(tx.ApplicationCredentialsOnProject(id)) {
		tx.DeleteApplicationCredential(c.ID)
	}
	for _, t := range slices.Collect(tx.TrustsOnProject(id)) {
		tx.DeleteTrust(t.ID)
	}
	for _, l := range slices.Collect(tx.LimitsOfProject(id)) {
		tx.DeleteLimit(l.ID)
	}
	for _, f := range slices.Collect(tx.EndpointFiltersOf(id)) {
		tx.DeleteEndpointFilter(f)
	}
	tx.DeleteProject(id)
}
