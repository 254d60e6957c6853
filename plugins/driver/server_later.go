package driver

import (
	"context"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func (s *hosts) AttachVolume(ctx context.Context, in *driverpb.VolumeRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.AttachVolume(ctx, volumeRequestFromProto(in)) })
}

func (s *hosts) DetachVolume(ctx context.Context, in *driverpb.VolumeRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.DetachVolume(ctx, volumeRequestFromProto(in)) })
}

func (s *hosts) SwapVolume(ctx context.Context, in *driverpb.SwapVolumeRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.SwapVolume(ctx, swapVolumeRequestFromProto(in)) })
}

func (s *hosts) ExtendVolume(ctx context.Context, in *driverpb.ExtendVolumeRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.ExtendVolume(ctx, extendVolumeRequestFromProto(in)) })
}

func (s *hosts) Snapshot(ctx context.Context, in *driverpb.SnapshotRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Snapshot(ctx, snapshotRequestFromProto(in)) })
}

func (s *hosts) VolumeSnapshotCreate(ctx context.Context, in *driverpb.VolumeSnapshotRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.VolumeSnapshotCreate(ctx, volumeSnapshotRequestFromProto(in)) })
}

func (s *hosts) VolumeSnapshotDelete(ctx context.Context, in *driverpb.VolumeSnapshotRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.VolumeSnapshotDelete(ctx, volumeSnapshotRequestFromProto(in)) })
}

func (s *hosts) VolumeConnector(ctx context.Context, _ *driverpb.Empty) (*driverpb.VolumeConnectorResponse, error) {
	return ask(ctx, s, noGuest, func(d Driver) (*driverpb.VolumeConnectorResponse, error) {
		out, err := d.VolumeConnector(ctx)
		return volumeConnectorToProto(out), err
	})
}

func (s *hosts) MountShare(ctx context.Context, in *driverpb.ShareRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.MountShare(ctx, shareRequestFromProto(in)) })
}

func (s *hosts) UnmountShare(ctx context.Context, in *driverpb.ShareRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.UnmountShare(ctx, shareRequestFromProto(in)) })
}

func (s *hosts) AttachInterface(ctx context.Context, in *driverpb.InterfaceRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.AttachInterface(ctx, interfaceRequestFromProto(in)) })
}

func (s *hosts) DetachInterface(ctx context.Context, in *driverpb.InterfaceRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.DetachInterface(ctx, interfaceRequestFromProto(in)) })
}

func (s *hosts) CheckMigrateDestination(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.MigrateCheck, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.MigrateCheck, error) {
		out, err := d.CheckMigrateDestination(ctx, migrateRequestFromProto(in))
		return migrateCheckToProto(out), err
	})
}

func (s *hosts) CheckMigrateSource(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.MigrateCheck, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.MigrateCheck, error) {
		out, err := d.CheckMigrateSource(ctx, migrateRequestFromProto(in))
		return migrateCheckToProto(out), err
	})
}

func (s *hosts) PrepareMigration(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.PrepareMigration(ctx, migrateRequestFromProto(in)) })
}

func (s *hosts) ForceCompleteMigration(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.ForceCompleteMigration(ctx, &ref) })
}

func (s *hosts) AbortMigration(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.AbortMigration(ctx, &ref) })
}

func (s *hosts) FinishMigration(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.FinishMigration(ctx, migrateRequestFromProto(in)) })
}

func (s *hosts) RollbackMigration(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.RollbackMigration(ctx, migrateRequestFromProto(in)) })
}

func (s *hosts) ExportDisks(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.DiskFiles, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.DiskFiles, error) {
		out, err := d.ExportDisks(ctx, migrateRequestFromProto(in))
		return &driverpb.DiskFiles{Files: pointersToProto(out, diskFileToProto)}, err
	})
}

func (s *hosts) ImportDisks(ctx context.Context, in *driverpb.MigrateRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.ImportDisks(ctx, migrateRequestFromProto(in)) })
}
