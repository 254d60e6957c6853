package driver

import (
	"time"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func specToProto(in *InstanceSpec) *driverpb.InstanceSpec {
	if in == nil {
		return nil
	}
	return &driverpb.InstanceSpec{
		Ref:             refToProto(&in.InstanceRef),
		Name:            in.Name,
		Hostname:        in.Hostname,
		ProjectId:       in.ProjectID,
		UserId:          in.UserID,
		Vcpus:           int64(in.VCPUs),
		MemoryMib:       in.MemoryMiB,
		RootGib:         in.RootGiB,
		EphemeralGib:    in.EphemeralGiB,
		SwapMib:         in.SwapMiB,
		ExtraSpecs:      in.ExtraSpecs,
		Image:           imageToProto(in.Image),
		PowerOn:         in.PowerOn,
		KeyName:         in.KeyName,
		PublicKeys:      in.PublicKeys,
		UserData:        in.UserData,
		Metadata:        in.Metadata,
		Interfaces:      valuesToProto(in.Interfaces, ifaceToProto),
		Volumes:         valuesToProto(in.Volumes, volumeToProto),
		ConfigDrivePath: in.ConfigDrivePath,
		Files:           valuesToProto(in.Files, fileToProto),
	}
}

func specFromProto(in *driverpb.InstanceSpec) *InstanceSpec {
	if in == nil {
		return nil
	}
	return &InstanceSpec{
		InstanceRef:     refFromProto(in.Ref),
		Name:            in.Name,
		Hostname:        in.Hostname,
		ProjectID:       in.ProjectId,
		UserID:          in.UserId,
		VCPUs:           int(in.Vcpus),
		MemoryMiB:       in.MemoryMib,
		RootGiB:         in.RootGib,
		EphemeralGiB:    in.EphemeralGib,
		SwapMiB:         in.SwapMib,
		ExtraSpecs:      in.ExtraSpecs,
		Image:           imageFromProto(in.Image),
		PowerOn:         in.PowerOn,
		KeyName:         in.KeyName,
		PublicKeys:      in.PublicKeys,
		UserData:        in.UserData,
		Metadata:        in.Metadata,
		Interfaces:      valuesFromProto(in.Interfaces, ifaceFromProto),
		Volumes:         valuesFromProto(in.Volumes, volumeFromProto),
		ConfigDrivePath: in.ConfigDrivePath,
		Files:           valuesFromProto(in.Files, fileFromProto),
	}
}

func fileToProto(in *File) *driverpb.File {
	if in == nil {
		return nil
	}
	return &driverpb.File{
		Path:     in.Path,
		Contents: in.Contents,
	}
}

func fileFromProto(in *driverpb.File) *File {
	if in == nil {
		return nil
	}
	return &File{
		Path:     in.Path,
		Contents: in.Contents,
	}
}

func imageToProto(in *Image) *driverpb.Image {
	if in == nil {
		return nil
	}
	return &driverpb.Image{
		Id:          in.ID,
		Path:        in.Path,
		Format:      in.Format,
		Sha512:      in.SHA512,
		VirtualSize: in.VirtualSize,
		Properties:  in.Properties,
	}
}

func imageFromProto(in *driverpb.Image) *Image {
	if in == nil {
		return nil
	}
	return &Image{
		ID:          in.Id,
		Path:        in.Path,
		Format:      in.Format,
		SHA512:      in.Sha512,
		VirtualSize: in.VirtualSize,
		Properties:  in.Properties,
	}
}

func ifaceToProto(in *Interface) *driverpb.Interface {
	if in == nil {
		return nil
	}
	return &driverpb.Interface{
		Id:     in.ID,
		Mac:    in.MAC,
		Tap:    in.Tap,
		Bridge: in.Bridge,
		Model:  in.Model,
		Mtu:    int64(in.MTU),
	}
}

func ifaceFromProto(in *driverpb.Interface) *Interface {
	if in == nil {
		return nil
	}
	return &Interface{
		ID:     in.Id,
		MAC:    in.Mac,
		Tap:    in.Tap,
		Bridge: in.Bridge,
		Model:  in.Model,
		MTU:    int(in.Mtu),
	}
}

func volumeToProto(in *Volume) *driverpb.Volume {
	if in == nil {
		return nil
	}
	return &driverpb.Volume{
		Id:         in.ID,
		Device:     in.Device,
		Bus:        in.Bus,
		Protocol:   in.Protocol,
		Connection: in.Connection,
		ReadOnly:   in.ReadOnly,
		BootIndex:  int64(in.BootIndex),
	}
}

func volumeFromProto(in *driverpb.Volume) *Volume {
	if in == nil {
		return nil
	}
	return &Volume{
		ID:         in.Id,
		Device:     in.Device,
		Bus:        in.Bus,
		Protocol:   in.Protocol,
		Connection: in.Connection,
		ReadOnly:   in.ReadOnly,
		BootIndex:  int(in.BootIndex),
	}
}

func statusToProto(in *InstanceStatus) *driverpb.InstanceStatus {
	if in == nil {
		return nil
	}
	return &driverpb.InstanceStatus{
		InstanceId:  in.InstanceID,
		Power:       int32(in.Power),
		Generation:  in.Generation,
		OperationId: in.OperationID,
		StartedAt:   timeToProto(in.StartedAt),
		Reason:      in.Reason,
		Vcpus:       int64(in.VCPUs),
		MemoryMib:   in.MemoryMiB,
	}
}

func statusFromProto(in *driverpb.InstanceStatus) *InstanceStatus {
	if in == nil {
		return nil
	}
	return &InstanceStatus{
		InstanceID:  in.InstanceId,
		Power:       PowerState(in.Power),
		Generation:  in.Generation,
		OperationID: in.OperationId,
		StartedAt:   timeFromProto(in.StartedAt),
		Reason:      in.Reason,
		VCPUs:       int(in.Vcpus),
		MemoryMiB:   in.MemoryMib,
	}
}

func destroyToProto(in *DestroyRequest) *driverpb.DestroyRequest {
	if in == nil {
		return nil
	}
	return &driverpb.DestroyRequest{
		Ref:          refToProto(&in.InstanceRef),
		DestroyDisks: in.DestroyDisks,
	}
}

func destroyFromProto(in *driverpb.DestroyRequest) *DestroyRequest {
	if in == nil {
		return nil
	}
	return &DestroyRequest{
		InstanceRef:  refFromProto(in.Ref),
		DestroyDisks: in.DestroyDisks,
	}
}

func stopToProto(in *StopRequest) *driverpb.StopRequest {
	if in == nil {
		return nil
	}
	return &driverpb.StopRequest{
		Ref:     refToProto(&in.InstanceRef),
		Timeout: int64(in.Timeout),
	}
}

func stopFromProto(in *driverpb.StopRequest) *StopRequest {
	if in == nil {
		return nil
	}
	return &StopRequest{
		InstanceRef: refFromProto(in.Ref),
		Timeout:     time.Duration(in.Timeout),
	}
}

func rebootToProto(in *RebootRequest) *driverpb.RebootRequest {
	if in == nil {
		return nil
	}
	return &driverpb.RebootRequest{
		Ref:     refToProto(&in.InstanceRef),
		Type:    string(in.Type),
		Timeout: int64(in.Timeout),
	}
}

func rebootFromProto(in *driverpb.RebootRequest) *RebootRequest {
	if in == nil {
		return nil
	}
	return &RebootRequest{
		InstanceRef: refFromProto(in.Ref),
		Type:        RebootType(in.Type),
		Timeout:     time.Duration(in.Timeout),
	}
}

func consoleOutputToProto(in *ConsoleOutputRequest) *driverpb.ConsoleOutputRequest {
	if in == nil {
		return nil
	}
	return &driverpb.ConsoleOutputRequest{
		InstanceId: in.InstanceID,
		Lines:      int64(in.Lines),
	}
}

func consoleOutputFromProto(in *driverpb.ConsoleOutputRequest) *ConsoleOutputRequest {
	if in == nil {
		return nil
	}
	return &ConsoleOutputRequest{
		InstanceID: in.InstanceId,
		Lines:      int(in.Lines),
	}
}
