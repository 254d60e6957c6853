package driver

import (
	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func diagnosticsToProto(in *Diagnostics) *driverpb.DiagnosticsResponse {
	if in == nil {
		return nil
	}
	return &driverpb.DiagnosticsResponse{
		State:         in.State,
		UptimeSeconds: in.UptimeSeconds,
		Cpus:          valuesToProto(in.CPUs, cpuTimeToProto),
		MemoryMaxMib:  in.MemoryMaxMiB,
		MemoryUsedMib: in.MemoryUsedMiB,
		Disks:         valuesToProto(in.Disks, diskStatsToProto),
		Nics:          valuesToProto(in.NICs, nicStatsToProto),
	}
}

func diagnosticsFromProto(in *driverpb.DiagnosticsResponse) *Diagnostics {
	if in == nil {
		return nil
	}
	return &Diagnostics{
		State:         in.State,
		UptimeSeconds: in.UptimeSeconds,
		CPUs:          valuesFromProto(in.Cpus, cpuTimeFromProto),
		MemoryMaxMiB:  in.MemoryMaxMib,
		MemoryUsedMiB: in.MemoryUsedMib,
		Disks:         valuesFromProto(in.Disks, diskStatsFromProto),
		NICs:          valuesFromProto(in.Nics, nicStatsFromProto),
	}
}

func cpuTimeToProto(in *CPUTime) *driverpb.CPUTime {
	if in == nil {
		return nil
	}
	return &driverpb.CPUTime{
		Id:          int64(in.ID),
		Nanoseconds: in.Nanoseconds,
		Percent:     in.Percent,
	}
}

func cpuTimeFromProto(in *driverpb.CPUTime) *CPUTime {
	if in == nil {
		return nil
	}
	return &CPUTime{
		ID:          int(in.Id),
		Nanoseconds: in.Nanoseconds,
		Percent:     in.Percent,
	}
}

func diskStatsToProto(in *DiskStats) *driverpb.DiskStats {
	if in == nil {
		return nil
	}
	return &driverpb.DiskStats{
		Device:        in.Device,
		ReadBytes:     in.ReadBytes,
		ReadRequests:  in.ReadRequests,
		WriteBytes:    in.WriteBytes,
		WriteRequests: in.WriteRequests,
		ErrorsCount:   in.ErrorsCount,
	}
}

func diskStatsFromProto(in *driverpb.DiskStats) *DiskStats {
	if in == nil {
		return nil
	}
	return &DiskStats{
		Device:        in.Device,
		ReadBytes:     in.ReadBytes,
		ReadRequests:  in.ReadRequests,
		WriteBytes:    in.WriteBytes,
		WriteRequests: in.WriteRequests,
		ErrorsCount:   in.ErrorsCount,
	}
}

func nicStatsToProto(in *NICStats) *driverpb.NICStats {
	if in == nil {
		return nil
	}
	return &driverpb.NICStats{
		Mac:       in.MAC,
		RxBytes:   in.RxBytes,
		RxPackets: in.RxPackets,
		RxErrors:  in.RxErrors,
		RxDrops:   in.RxDrops,
		TxBytes:   in.TxBytes,
		TxPackets: in.TxPackets,
		TxErrors:  in.TxErrors,
		TxDrops:   in.TxDrops,
		RxRate:    in.RxRate,
		TxRate:    in.TxRate,
	}
}

func nicStatsFromProto(in *driverpb.NICStats) *NICStats {
	if in == nil {
		return nil
	}
	return &NICStats{
		MAC:       in.Mac,
		RxBytes:   in.RxBytes,
		RxPackets: in.RxPackets,
		RxErrors:  in.RxErrors,
		RxDrops:   in.RxDrops,
		TxBytes:   in.TxBytes,
		TxPackets: in.TxPackets,
		TxErrors:  in.TxErrors,
		TxDrops:   in.TxDrops,
		RxRate:    in.RxRate,
		TxRate:    in.TxRate,
	}
}

func volumeUsageToProto(in *VolumeUsage) *driverpb.VolumeUsageEntry {
	if in == nil {
		return nil
	}
	return &driverpb.VolumeUsageEntry{
		InstanceId:    in.InstanceID,
		VolumeId:      in.VolumeID,
		ReadBytes:     in.ReadBytes,
		ReadRequests:  in.ReadRequests,
		WriteBytes:    in.WriteBytes,
		WriteRequests: in.WriteRequests,
	}
}

func volumeUsageFromProto(in *driverpb.VolumeUsageEntry) *VolumeUsage {
	if in == nil {
		return nil
	}
	return &VolumeUsage{
		InstanceID:    in.InstanceId,
		VolumeID:      in.VolumeId,
		ReadBytes:     in.ReadBytes,
		ReadRequests:  in.ReadRequests,
		WriteBytes:    in.WriteBytes,
		WriteRequests: in.WriteRequests,
	}
}
