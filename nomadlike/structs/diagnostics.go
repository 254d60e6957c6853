package structs

// DiagnosticsRequest has a host's client measure a guest. KindNotSupported when its driver cannot, KindConflict when the guest does not run.
type DiagnosticsRequest struct {
	HostID     HostID     `codec:"h"`
	InstanceID InstanceID `codec:"i"`
}

// Diagnostics is what a driver measured of a guest.
type Diagnostics struct {
	State         string            `codec:"s"` // running, paused, shutdown, crashed, suspended, pending
	UptimeSeconds int64             `codec:"u"`
	CPUs          []CPUDiagnostics  `codec:"c"`
	MemoryMaxMiB  int64             `codec:"mm"`
	MemoryUsedMiB int64             `codec:"mu"`
	Disks         []DiskDiagnostics `codec:"d"`
	NICs          []NICDiagnostics  `codec:"n"`
}

// CPUDiagnostics is one virtual processor's use. Percent is 0 where the driver does not know it.
type CPUDiagnostics struct {
	ID          int     `codec:"i"`
	Nanoseconds int64   `codec:"t"`
	Percent     float64 `codec:"p"`
}

// DiskDiagnostics counts one disk's traffic.
type DiskDiagnostics struct {
	Device        string `codec:"dev"`
	ReadBytes     int64  `codec:"rb"`
	ReadRequests  int64  `codec:"rr"`
	WriteBytes    int64  `codec:"wb"`
	WriteRequests int64  `codec:"wr"`
	ErrorsCount   int64  `codec:"e"`
}

// NICDiagnostics counts one interface's traffic. The rates are 0 where the driver does not know them.
type NICDiagnostics struct {
	MAC       string `codec:"mac"`
	RxBytes   int64  `codec:"rb"`
	RxPackets int64  `codec:"rp"`
	RxErrors  int64  `codec:"re"`
	RxDrops   int64  `codec:"rd"`
	RxRate    int64  `codec:"rr"`
	TxBytes   int64  `codec:"tb"`
	TxPackets int64  `codec:"tp"`
	TxErrors  int64  `codec:"te"`
	TxDrops   int64  `codec:"td"`
	TxRate    int64  `codec:"tr"`
}
