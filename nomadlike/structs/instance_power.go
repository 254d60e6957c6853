package structs

// InstancePowerRequest records that an instance was switched on or off by others than the cluster: by whoever keeps its machine's power. It changes
// nothing of an instance that is not off or on as the record has it, or that an operation runs on. Action is the record of it.
type InstancePowerRequest struct {
	ID     InstanceID `codec:"id"`
	On     bool       `codec:"on"`
	Action Operation  `codec:"a"`
	Now    Time       `codec:"now"`
}
