package driver

import (
	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func passwordToProto(in *PasswordRequest) *driverpb.PasswordRequest {
	if in == nil {
		return nil
	}
	return &driverpb.PasswordRequest{
		Ref:      refToProto(&in.InstanceRef),
		User:     in.User,
		Password: in.Password,
	}
}

func passwordFromProto(in *driverpb.PasswordRequest) *PasswordRequest {
	if in == nil {
		return nil
	}
	return &PasswordRequest{
		InstanceRef: refFromProto(in.Ref),
		User:        in.User,
		Password:    in.Password,
	}
}

func volumeRequestToProto(in *VolumeRequest) *driverpb.VolumeRequest {
	if in == nil {
		return nil
	}
	return &driverpb.VolumeRequest{
		Ref:    refToProto(&in.InstanceRef),
		Volume: volumeToProto(&in.Volume),
	}
}

func volumeRequestFromProto(in *driverpb.VolumeRequest) *VolumeRequest {
	if in == nil {
		return nil
	}
	return &VolumeRequest{
		InstanceRef: refFromProto(in.Ref),
		Volume:      value(volumeFromProto(in.Volume)),
	}
}

func swapVolumeRequestToProto(in *SwapVolumeRequest) *driverpb.SwapVolumeRequest {
	if in == nil {
		return nil
	}
	return &driverpb.SwapVolumeRequest{
		Ref: refToProto(&in.InstanceRef),
		Old: volumeToProto(&in.Old),
		New: volumeToProto(&in.New),
	}
}

func swapVolumeRequestFromProto(in *driverpb.SwapVolumeRequest) *SwapVolumeRequest {
	if in == nil {
		return nil
	}
	return &SwapVolumeRequest{
		InstanceRef: refFromProto(in.Ref),
		Old:         value(volumeFromProto(in.Old)),
		New:         value(volumeFromProto(in.New)),
	}
}

func extendVolumeRequestToProto(in *ExtendVolumeRequest) *driverpb.ExtendVolumeRequest {
	if in == nil {
		return nil
	}
	return &driverpb.ExtendVolumeRequest{
		Ref:       refToProto(&in.InstanceRef),
		VolumeId:  in.VolumeID,
		SizeBytes: in.SizeBytes,
	}
}

func extendVolumeRequestFromProto(in *driverpb.ExtendVolumeRequest) *ExtendVolumeRequest {
	if in == nil {
		return nil
	}
	return &ExtendVolumeRequest{
		InstanceRef: refFromProto(in.Ref),
		VolumeID:    in.VolumeId,
		SizeBytes:   in.SizeBytes,
	}
}

func snapshotRequestToProto(in *SnapshotRequest) *driverpb.SnapshotRequest {
	if in == nil {
		return nil
	}
	return &driverpb.SnapshotRequest{
		Ref:     refToProto(&in.InstanceRef),
		Path:    in.Path,
		Format:  in.Format,
		Quiesce: in.Quiesce,
	}
}

func snapshotRequestFromProto(in *driverpb.SnapshotRequest) *SnapshotRequest {
	if in == nil {
		return nil
	}
	return &SnapshotRequest{
		InstanceRef: refFromProto(in.Ref),
		Path:        in.Path,
		Format:      in.Format,
		Quiesce:     in.Quiesce,
	}
}

func volumeSnapshotRequestToProto(in *VolumeSnapshotRequest) *driverpb.VolumeSnapshotRequest {
	if in == nil {
		return nil
	}
	return &driverpb.VolumeSnapshotRequest{
		Ref:        refToProto(&in.InstanceRef),
		VolumeId:   in.VolumeID,
		SnapshotId: in.SnapshotID,
		NewFile:    in.NewFile,
		Format:     in.Format,
	}
}

func volumeSnapshotRequestFromProto(in *driverpb.VolumeSnapshotRequest) *VolumeSnapshotRequest {
	if in == nil {
		return nil
	}
	return &VolumeSnapshotRequest{
		InstanceRef: refFromProto(in.Ref),
		VolumeID:    in.VolumeId,
		SnapshotID:  in.SnapshotId,
		NewFile:     in.NewFile,
		Format:      in.Format,
	}
}

func shareRequestToProto(in *ShareRequest) *driverpb.ShareRequest {
	if in == nil {
		return nil
	}
	return &driverpb.ShareRequest{
		Ref:      refToProto(&in.InstanceRef),
		ShareId:  in.ShareID,
		Export:   in.Export,
		Protocol: in.Protocol,
		Tag:      in.Tag,
	}
}

func shareRequestFromProto(in *driverpb.ShareRequest) *ShareRequest {
	if in == nil {
		return nil
	}
	return &ShareRequest{
		InstanceRef: refFromProto(in.Ref),
		ShareID:     in.ShareId,
		Export:      in.Export,
		Protocol:    in.Protocol,
		Tag:         in.Tag,
	}
}

func interfaceRequestToProto(in *InterfaceRequest) *driverpb.InterfaceRequest {
	if in == nil {
		return nil
	}
	return &driverpb.InterfaceRequest{
		Ref:       refToProto(&in.InstanceRef),
		Interface: ifaceToProto(&in.Interface),
	}
}

func interfaceRequestFromProto(in *driverpb.InterfaceRequest) *InterfaceRequest {
	if in == nil {
		return nil
	}
	return &InterfaceRequest{
		InstanceRef: refFromProto(in.Ref),
		Interface:   value(ifaceFromProto(in.Interface)),
	}
}

func migrateRequestToProto(in *MigrateRequest) *driverpb.MigrateRequest {
	if in == nil {
		return nil
	}
	return &driverpb.MigrateRequest{
		Ref:            refToProto(&in.InstanceRef),
		Spec:           specToProto(in.Spec),
		Destination:    in.Destination,
		BlockMigration: in.BlockMigration,
		DiskDir:        in.DiskDir,
		CheckData:      in.CheckData,
	}
}

func migrateRequestFromProto(in *driverpb.MigrateRequest) *MigrateRequest {
	if in == nil {
		return nil
	}
	return &MigrateRequest{
		InstanceRef:    refFromProto(in.Ref),
		Spec:           specFromProto(in.Spec),
		Destination:    in.Destination,
		BlockMigration: in.BlockMigration,
		DiskDir:        in.DiskDir,
		CheckData:      in.CheckData,
	}
}

func migrateCheckToProto(in *MigrateCheck) *driverpb.MigrateCheck {
	if in == nil {
		return nil
	}
	return &driverpb.MigrateCheck{
		Ok:     in.OK,
		Reason: in.Reason,
		Data:   in.Data,
	}
}

func migrateCheckFromProto(in *driverpb.MigrateCheck) *MigrateCheck {
	if in == nil {
		return nil
	}
	return &MigrateCheck{
		OK:     in.Ok,
		Reason: in.Reason,
		Data:   in.Data,
	}
}

func migrateProgressToProto(in *MigrateProgress) *driverpb.MigrateProgress {
	if in == nil {
		return nil
	}
	return &driverpb.MigrateProgress{
		Done:            in.Done,
		Err:             in.Err,
		MemoryTotal:     in.MemoryTotal,
		MemoryRemaining: in.MemoryRemaining,
		DiskTotal:       in.DiskTotal,
		DiskRemaining:   in.DiskRemaining,
	}
}

func migrateProgressFromProto(in *driverpb.MigrateProgress) *MigrateProgress {
	if in == nil {
		return nil
	}
	return &MigrateProgress{
		Done:            in.Done,
		Err:             in.Err,
		MemoryTotal:     in.MemoryTotal,
		MemoryRemaining: in.MemoryRemaining,
		DiskTotal:       in.DiskTotal,
		DiskRemaining:   in.DiskRemaining,
	}
}

func diskFileToProto(in *DiskFile) *driverpb.DiskFile {
	if in == nil {
		return nil
	}
	return &driverpb.DiskFile{
		Path:   in.Path,
		Format: in.Format,
		Size:   in.Size,
	}
}

func diskFileFromProto(in *driverpb.DiskFile) *DiskFile {
	if in == nil {
		return nil
	}
	return &DiskFile{
		Path:   in.Path,
		Format: in.Format,
		Size:   in.Size,
	}
}

func consoleEndpointRequestToProto(in *ConsoleEndpointRequest) *driverpb.ConsoleEndpointRequest {
	if in == nil {
		return nil
	}
	return &driverpb.ConsoleEndpointRequest{
		InstanceId: in.InstanceID,
		Kind:       string(in.Kind),
	}
}

func consoleEndpointRequestFromProto(in *driverpb.ConsoleEndpointRequest) *ConsoleEndpointRequest {
	if in == nil {
		return nil
	}
	return &ConsoleEndpointRequest{
		InstanceID: in.InstanceId,
		Kind:       ConsoleKind(in.Kind),
	}
}

func consoleEndpointToProto(in *ConsoleEndpoint) *driverpb.ConsoleEndpointResponse {
	if in == nil {
		return nil
	}
	return &driverpb.ConsoleEndpointResponse{
		Host:     in.Host,
		Port:     int64(in.Port),
		TlsPort:  int64(in.TLSPort),
		Socket:   in.Socket,
		Password: in.Password,
	}
}

func consoleEndpointFromProto(in *driverpb.ConsoleEndpointResponse) *ConsoleEndpoint {
	if in == nil {
		return nil
	}
	return &ConsoleEndpoint{
		Host:     in.Host,
		Port:     int(in.Port),
		TLSPort:  int(in.TlsPort),
		Socket:   in.Socket,
		Password: in.Password,
	}
}
