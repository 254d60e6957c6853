package structs

// InstancePinRequest pins an instance to an availability zone, or unpins it when Zone is "". It can only be pinned to the zone that it is in, and a
// pin is not changed but taken off first: anything else is KindConflict.
type InstancePinRequest struct {
	ID   InstanceID `codec:"id"`
	Zone string     `codec:"z"`
	Now  Time       `codec:"now"`
}
