package driver

import (
	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func capabilitiesToProto(in *Capabilities) *driverpb.CapabilitiesResponse {
	if in == nil {
		return nil
	}
	return &driverpb.CapabilitiesResponse{
		Name:         in.Name,
		Version:      in.Version,
		ImageFormats: in.ImageFormats,
		Methods:      in.Methods,
		Traits:       in.Traits,
	}
}

func capabilitiesFromProto(in *driverpb.CapabilitiesResponse) *Capabilities {
	if in == nil {
		return nil
	}
	return &Capabilities{
		Name:         in.Name,
		Version:      in.Version,
		ImageFormats: in.ImageFormats,
		Methods:      in.Methods,
		Traits:       in.Traits,
	}
}

func fingerprintToProto(in *Fingerprint) *driverpb.FingerprintResponse {
	if in == nil {
		return nil
	}
	return &driverpb.FingerprintResponse{
		Healthy:            in.Healthy,
		HealthDescription:  in.HealthDescription,
		HypervisorType:     in.HypervisorType,
		HypervisorVersion:  in.HypervisorVersion,
		HypervisorHostname: in.HypervisorHostname,
		Inventory:          inventoryToProto(&in.Inventory),
		Traits:             in.Traits,
		Architectures:      in.Architectures,
		Cpu:                cpuInfoToProto(&in.CPU),
		Attributes:         in.Attributes,
	}
}

func fingerprintFromProto(in *driverpb.FingerprintResponse) *Fingerprint {
	if in == nil {
		return nil
	}
	return &Fingerprint{
		Healthy:            in.Healthy,
		HealthDescription:  in.HealthDescription,
		HypervisorType:     in.HypervisorType,
		HypervisorVersion:  in.HypervisorVersion,
		HypervisorHostname: in.HypervisorHostname,
		Inventory:          value(inventoryFromProto(in.Inventory)),
		Traits:             in.Traits,
		Architectures:      in.Architectures,
		CPU:                value(cpuInfoFromProto(in.Cpu)),
		Attributes:         in.Attributes,
	}
}

func inventoryToProto(in *Inventory) *driverpb.Inventory {
	if in == nil {
		return nil
	}
	return &driverpb.Inventory{
		Vcpus:     int64(in.VCPUs),
		MemoryMib: in.MemoryMiB,
		DiskGib:   in.DiskGiB,
	}
}

func inventoryFromProto(in *driverpb.Inventory) *Inventory {
	if in == nil {
		return nil
	}
	return &Inventory{
		VCPUs:     int(in.Vcpus),
		MemoryMiB: in.MemoryMib,
		DiskGiB:   in.DiskGib,
	}
}

func cpuInfoToProto(in *CPUInfo) *driverpb.CPUInfo {
	if in == nil {
		return nil
	}
	return &driverpb.CPUInfo{
		Arch:     in.Arch,
		Model:    in.Model,
		Vendor:   in.Vendor,
		Sockets:  int64(in.Sockets),
		Cores:    int64(in.Cores),
		Threads:  int64(in.Threads),
		Features: in.Features,
	}
}

func cpuInfoFromProto(in *driverpb.CPUInfo) *CPUInfo {
	if in == nil {
		return nil
	}
	return &CPUInfo{
		Arch:     in.Arch,
		Model:    in.Model,
		Vendor:   in.Vendor,
		Sockets:  int(in.Sockets),
		Cores:    int(in.Cores),
		Threads:  int(in.Threads),
		Features: in.Features,
	}
}

func eventToProto(in *Event) *driverpb.Event {
	if in == nil {
		return nil
	}
	return &driverpb.Event{
		InstanceId: in.InstanceID,
		Type:       string(in.Type),
		Time:       timeToProto(in.Time),
		Detail:     in.Detail,
	}
}

func eventFromProto(in *driverpb.Event) *Event {
	if in == nil {
		return nil
	}
	return &Event{
		InstanceID: in.InstanceId,
		Type:       EventType(in.Type),
		Time:       timeFromProto(in.Time),
		Detail:     in.Detail,
	}
}

func hostStatsToProto(in *HostStats) *driverpb.HostStatsResponse {
	if in == nil {
		return nil
	}
	return &driverpb.HostStatsResponse{
		KernelNanoseconds: in.KernelNanoseconds,
		IdleNanoseconds:   in.IdleNanoseconds,
		UserNanoseconds:   in.UserNanoseconds,
		IowaitNanoseconds: in.IOWaitNanoseconds,
		FrequencyMhz:      in.FrequencyMHz,
		UptimeSeconds:     in.UptimeSeconds,
	}
}

func hostStatsFromProto(in *driverpb.HostStatsResponse) *HostStats {
	if in == nil {
		return nil
	}
	return &HostStats{
		KernelNanoseconds: in.KernelNanoseconds,
		IdleNanoseconds:   in.IdleNanoseconds,
		UserNanoseconds:   in.UserNanoseconds,
		IOWaitNanoseconds: in.IowaitNanoseconds,
		FrequencyMHz:      in.FrequencyMhz,
		UptimeSeconds:     in.UptimeSeconds,
	}
}

func volumeConnectorToProto(in *VolumeConnector) *driverpb.VolumeConnectorResponse {
	if in == nil {
		return nil
	}
	return &driverpb.VolumeConnectorResponse{
		Ip:            in.IP,
		Host:          in.Host,
		InitiatorName: in.InitiatorName,
		Multipath:     in.Multipath,
		Attributes:    in.Attributes,
	}
}

func volumeConnectorFromProto(in *driverpb.VolumeConnectorResponse) *VolumeConnector {
	if in == nil {
		return nil
	}
	return &VolumeConnector{
		IP:            in.Ip,
		Host:          in.Host,
		InitiatorName: in.InitiatorName,
		Multipath:     in.Multipath,
		Attributes:    in.Attributes,
	}
}
