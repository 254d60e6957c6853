package structs

// Who locked an instance: the words of Nova's locked_by.
const (
	LockedByOwner = "owner" // somebody of the instance's project
	LockedByAdmin = "admin"
)

// InstanceLockRequest locks or unlocks an instance. Action is the record of it: id, instance, who and the request's id.
type InstanceLockRequest struct {
	ID     InstanceID `codec:"id"`
	Lock   bool       `codec:"l"`
	By     string     `codec:"by"`
	Reason *string    `codec:"r,omitempty"`
	Action Operation  `codec:"a"`
	Now    Time       `codec:"now"`
}

// InstanceResetRequest sets an instance's vm_state to active or error and forgets what was being done to it.
type InstanceResetRequest struct {
	ID     InstanceID `codec:"id"`
	VM     VMState    `codec:"vm"`
	Action Operation  `codec:"a"`
	Now    Time       `codec:"now"`
}
