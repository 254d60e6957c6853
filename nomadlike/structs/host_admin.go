package structs

// HostAdminRequest changes what an operator says of a host: whether it takes new instances, and whether it counts as down whatever its client says.
// nil leaves a setting as it is; enabling clears the reason. An unknown host is KindNotFound. The answer is the stored *Host.
type HostAdminRequest struct {
	HostID         HostID `codec:"h"`
	Disabled       *bool  `codec:"d"`
	DisabledReason string `codec:"r"`
	ForcedDown     *bool  `codec:"f"`
	Now            Time   `codec:"now"`
}

// HostDeleteRequest removes the record of a host that is gone. An unknown host is KindNotFound. KindConflict are: instances, claims or
// operations on it; a host that is neither down nor forced down; and, without Force, deleted instances whose guest may be left on it. Force drops the duty to remove those guests.
type HostDeleteRequest struct {
	HostID HostID `codec:"h"`
	Force  bool   `codec:"f"`
}
