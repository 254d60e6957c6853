package structs

// Ids are types, so that the compiler refuses one where another is meant. Their values are UUIDs in canonical form
// unless the comment says otherwise.
type (
	// InstanceID names an instance; the compute API shows it as a server's id.
	InstanceID string
	// OperationID names one requested change to an instance.
	OperationID string
	// EvaluationID names a request to place.
	EvaluationID string
	// HostID names a compute host; the compute API shows it as hypervisor and compute service, placement as a root provider.
	HostID string
	// AggregateID numbers a host aggregate, from 1 up; a number is never given twice.
	AggregateID int64
	// FlavorID is the API's flavor id: any text of Nova's flavorid form, often a UUID or a small number.
	FlavorID string
	// ImageID names an image.
	ImageID string
	// ProjectID, UserID, DomainID and RoleID are 32 hexadecimal digits, as Keystone makes them; the domain "default" keeps its name.
	ProjectID string
	// UserID names a user.
	UserID string
	// DomainID names a domain.
	DomainID string
	// RoleID names a role.
	RoleID string
	// ServerID names a server (a Raft peer).
	ServerID string
)
