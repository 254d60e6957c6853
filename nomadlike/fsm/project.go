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
		return nil, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store project - it is not permitted to have two projects with either the same name or same id in the same domain: name is %s, project id %s.", p.Name, p.ID)
	}
	var err error
	if old == nil {
		err = parentTakes(tx, p, r.MaxDepth)
	} else {
		err = staysWhole(tx, p, old)
	}
	if err != nil {
		return nil, err
	}
	tx.PutProject(p)
	return p, nil
})

// parentTakes refuses a new project whose parent is in another domain, is disabled, or lies too deep already. depth bounds how many projects lie below each
// other; 0 is no bound.
func parentTakes(tx *state.Txn, p *structs.Project, depth int) error {
	level := 1
	for id := p.ParentID; id != ""; level++ {
		parent := tx.Project(id)
		if parent == nil {
			return noSuch("project", id)
		}
		if parent.DomainID != p.DomainID {
			return structs.Errorf(structs.KindInvalid, "Cannot create project, since it specifies its domain_id %s, but specifies a parent in a different domain (%s).", p.DomainID, parent.DomainID)
		}
		id = parent.ParentID
	}
	if id := disabledAbove(tx, p); id != "" {
		return structs.Errorf(structs.KindInvalid, "cannot create a project in a branch containing a disabled project: %s", id)
	}
	if depth > 0 && level > depth {
		return structs.Errorf(structs.KindForbidden, "Max hierarchy depth reached for %s branch.", p.ParentID)
	}
	return nil
}

// staysWhole refuses a change that moves a project, enables it below a disabled one, or disables it above an enabled one.
func staysWhole(tx *state.Txn, p, old *structs.Project) error {
	switch {
	case p.ParentID != old.ParentID || p.DomainID != old.DomainID:
		return structs.Errorf(structs.KindForbidden, "Update of `parent_id` is not allowed.")
	case p.Enabled && !old.Enabled && disabledAbove(tx, p) != "":
		return structs.Errorf(structs.KindForbidden, "Cannot enable project %s since it has disabled parents", p.ID)
	case !p.Enabled && old.Enabled && enabledBelow(tx, p.ID):
		return structs.Errorf(structs.KindForbidden, "Cannot disable project %s since its subtree contains enabled projects.", p.ID)
	}
	return nil
}

// disabledAbove returns the nearest project above one, or its domain, that is disabled, "" for none.
func disabledAbove(tx *state.Txn, p *structs.Project) string {
	for id := p.ParentID; id != ""; {
		parent := tx.Project(id)
		if parent == nil {
			break
		}
		if !parent.Enabled {
			return string(id)
		}
		id = parent.ParentID
	}
	if !tx.Domain(p.DomainID).Enabled {
		return string(p.DomainID)
	}
	return ""
}

func enabledBelow(tx *state.Txn, id structs.ProjectID) bool {
	for p := range tx.ProjectsBelow(id) {
		if p.Enabled || enabledBelow(tx, p.ID) {
			return true
		}
	}
	return false
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
	for _, user := range slices.Collect(tx.UsersOfDefaultProject(id)) {
		u := *user
		u.DefaultProjectID = ""
		tx.PutUser(&u)
	}
	for _, g := range slices.Collect(tx.GrantsOnProject(id)) {
		tx.DeleteGrant(g)
	}
	for _, c := range slices.Collect(tx.CredentialsOnProject(id)) {
		tx.DeleteCredential(c.ID)
	}
	for _, c := range slices.Collect(tx.ApplicationCredentialsOnProject(id)) {
		tx.DeleteApplicationCredential(c.ID)
	}
	for _, t := range slices.Collect(tx.TrustsOnProject(id)) {
		dropTrust(tx, t.ID)
	}
	for _, l := range slices.Collect(tx.LimitsOfProject(id)) {
		tx.DeleteLimit(l.ID)
	}
	for _, f := range slices.Collect(tx.EndpointFiltersOf(id)) {
		tx.DeleteEndpointFilter(f)
	}
	tx.DeleteProject(id)
}
