package structs

// InstancePasswordRequest keeps the password that a guest reported, encrypted with its keypair, or forgets it when Password is "".
type InstancePasswordRequest struct {
	ID       InstanceID `codec:"id"`
	Password string     `codec:"pw,omitempty"`
	Now      Time       `codec:"now"`
}
