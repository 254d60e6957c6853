package structs

// HostMetrics are a host's processors as its client measured them last: what Nova's CPU monitor tells.
type HostMetrics struct {
	At     Time   `codec:"t"`
	Source string `codec:"s"` // what measured them
	// Time since the host's start, in nanoseconds, of all processors together.
	UserTime   int64 `codec:"ut"`
	KernelTime int64 `codec:"kt"`
	IdleTime   int64 `codec:"it"`
	IowaitTime int64 `codec:"wt"`
	// Shares of the time since the measurement before, in percent. CPUPercent is all that is neither idle nor waits.
	UserPercent   int64 `codec:"up"`
	KernelPercent int64 `codec:"kp"`
	IdlePercent   int64 `codec:"ip"`
	IowaitPercent int64 `codec:"wp"`
	CPUPercent    int64 `codec:"cp"`
	Frequency     int64 `codec:"f"` // MHz; 0: not known
}

// HostMetric is one of them by Nova's name.
type HostMetric struct {
	Name  string
	Value int64
}

// List returns all of them, in the order in which Nova tells them.
func (m *HostMetrics) List() []HostMetric {
	return []HostMetric{{"cpu.iowait.percent", m.IowaitPercent}, {"cpu.frequency", m.Frequency}, {"cpu.idle.percent", m.IdlePercent}, {"cpu.iowait.time", m.IowaitTime},
		{"cpu.kernel.percent", m.KernelPercent}, {"cpu.kernel.time", m.KernelTime}, {"cpu.percent", m.CPUPercent}, {"cpu.user.percent", m.UserPercent},
		{"cpu.user.time", m.UserTime}, {"cpu.idle.time", m.IdleTime}}
}

// HostMetricsRequest keeps what clients measured on the records of their hosts. An element of another epoch, or that is kept already, is skipped.
type HostMetricsRequest struct {
	Hosts []HostMeasured `codec:"h"`
}

// HostMeasured is one host's.
type HostMeasured struct {
	HostID  HostID       `codec:"h"`
	Epoch   uint64       `codec:"e"`
	Metrics *HostMetrics `codec:"m"`
}
