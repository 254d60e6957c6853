package structs

// ServerGroupID names a server group.
type ServerGroupID string

// ServerGroupPolicy says how a server group's instances are to be placed.
type ServerGroupPolicy string

// Nova's policies: the hard ones refuse hosts, the soft ones prefer some.
const (
	PolicyAffinity         ServerGroupPolicy = "affinity"
	PolicyAntiAffinity     ServerGroupPolicy = "anti-affinity"
	PolicySoftAffinity     ServerGroupPolicy = "soft-affinity"
	PolicySoftAntiAffinity ServerGroupPolicy = "soft-anti-affinity"
)

// ServerGroup is a group of instances with a policy for their placement. Its members are the instances that name it and are not deleted.
type ServerGroup struct {
	Meta
	ID         ServerGroupID     `codec:"id"`
	Num        int64             `codec:"num"` // the order of their making
	ProjectID  ProjectID         `codec:"p"`
	UserID     UserID            `codec:"u"`
	Name       string            `codec:"name"`
	Policy     ServerGroupPolicy `codec:"pol"`
	MaxPerHost int64             `codec:"max,omitempty"` // of anti-affinity: how many members may share a host; 0 is 1, and that no rule was given
	CreatedAt  Time              `codec:"created"`
}

// PerHost is how many members of an anti-affinity group a host may have.
func (g *ServerGroup) PerHost() int64 { return max(1, g.MaxPerHost) }

// ServerGroupCreateRequest makes a group within the quota of its project and of its user.
type ServerGroupCreateRequest struct {
	Group ServerGroup `codec:"g"`
}

// ServerGroupDeleteRequest removes a group; an unknown one is KindNotFound. Its members stay as they are.
type ServerGroupDeleteRequest struct {
	ID ServerGroupID `codec:"id"`
}
