package structs

// ErrChanged is the refusal of a write that was made from an older version of a thing: who sees it reads again and tries again.
var ErrChanged = Errorf(KindConflict, "it was changed meanwhile")

// DefaultImplications are the roles that imply another in a new cluster, as keystone-manage bootstrap makes them.
var DefaultImplications = [][2]string{{"admin", "manager"}, {"manager", "member"}, {"member", "reader"}}

// IdentityUpsertRequest writes identities in one step. With Bootstrap it fails with KindConflict when the cluster already has an
// administrator, and marks it as having one.
type IdentityUpsertRequest struct {
	Bootstrap bool      `codec:"boot"`
	Domains   []Domain  `codec:"domains"`
	Projects  []Project `codec:"projects"`
	Users     []User    `codec:"users"`
	Roles     []Role    `codec:"roles"`
	Grants    []Grant   `codec:"grants"`
	// Implications makes the default ones between the roles that there are then, unless that was done before: clusters that were made when they were no records
	// get theirs.
	Implications bool `codec:"implied,omitempty"`
}
