package driver

import "context"

// AttachVolume implements Driver.
func (c *Client) AttachVolume(ctx context.Context, req *VolumeRequest) error {
	_, err := c.pb.AttachVolume(c.outgoing(ctx), volumeRequestToProto(req))
	return fromWire(ctx, err)
}

// DetachVolume implements Driver.
func (c *Client) DetachVolume(ctx context.Context, req *VolumeRequest) error {
	_, err := c.pb.DetachVolume(c.outgoing(ctx), volumeRequestToProto(req))
	return fromWire(ctx, err)
}

// SwapVolume implements Driver.
func (c *Client) SwapVolume(ctx context.Context, req *SwapVolumeRequest) error {
	_, err := c.pb.SwapVolume(c.outgoing(ctx), swapVolumeRequestToProto(req))
	return fromWire(ctx, err)
}

// ExtendVolume implements Driver.
func (c *Client) ExtendVolume(ctx context.Context, req *ExtendVolumeRequest) error {
	_, err := c.pb.ExtendVolume(c.outgoing(ctx), extendVolumeRequestToProto(req))
	return fromWire(ctx, err)
}

// Snapshot implements Driver.
func (c *Client) Snapshot(ctx context.Context, req *SnapshotRequest) error {
	_, err := c.pb.Snapshot(c.outgoing(ctx), snapshotRequestToProto(req))
	return fromWire(ctx, err)
}

// VolumeSnapshotCreate implements Driver.
func (c *Client) VolumeSnapshotCreate(ctx context.Context, req *VolumeSnapshotRequest) error {
	_, err := c.pb.VolumeSnapshotCreate(c.outgoing(ctx), volumeSnapshotRequestToProto(req))
	return fromWire(ctx, err)
}

// VolumeSnapshotDelete implements Driver.
func (c *Client) VolumeSnapshotDelete(ctx context.Context, req *VolumeSnapshotRequest) error {
	_, err := c.pb.VolumeSnapshotDelete(c.outgoing(ctx), volumeSnapshotRequestToProto(req))
	return fromWire(ctx, err)
}

// VolumeConnector implements Driver.
func (c *Client) VolumeConnector(ctx context.Context) (*VolumeConnector, error) {
	out, err := c.pb.VolumeConnector(c.outgoing(ctx), empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return volumeConnectorFromProto(out), nil
}

// MountShare implements Driver.
func (c *Client) MountShare(ctx context.Context, req *ShareRequest) error {
	_, err := c.pb.MountShare(c.outgoing(ctx), shareRequestToProto(req))
	return fromWire(ctx, err)
}

// UnmountShare implements Driver.
func (c *Client) UnmountShare(ctx context.Context, req *ShareRequest) error {
	_, err := c.pb.UnmountShare(c.outgoing(ctx), shareRequestToProto(req))
	return fromWire(ctx, err)
}

// AttachInterface implements Driver.
func (c *Client) AttachInterface(ctx context.Context, req *InterfaceRequest) error {
	_, err := c.pb.AttachInterface(c.outgoing(ctx), interfaceRequestToProto(req))
	return fromWire(ctx, err)
}

// DetachInterface implements Driver.
func (c *Client) DetachInterface(ctx context.Context, req *InterfaceRequest) error {
	_, err := c.pb.DetachInterface(c.outgoing(ctx), interfaceRequestToProto(req))
	return fromWire(ctx, err)
}

// CheckMigrateDestination implements Driver.
func (c *Client) CheckMigrateDestination(ctx context.Context, req *MigrateRequest) (*MigrateCheck, error) {
	out, err := c.pb.CheckMigrateDestination(c.outgoing(ctx), migrateRequestToProto(req))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return migrateCheckFromProto(out), nil
}

// CheckMigrateSource implements Driver.
func (c *Client) CheckMigrateSource(ctx context.Context, req *MigrateRequest) (*MigrateCheck, error) {
	out, err := c.pb.CheckMigrateSource(c.outgoing(ctx), migrateRequestToProto(req))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return migrateCheckFromProto(out), nil
}

// PrepareMigration implements Driver.
func (c *Client) PrepareMigration(ctx context.Context, req *MigrateRequest) error {
	_, err := c.pb.PrepareMigration(c.outgoing(ctx), migrateRequestToProto(req))
	return fromWire(ctx, err)
}

// ForceCompleteMigration implements Driver.
func (c *Client) ForceCompleteMigration(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.ForceCompleteMigration(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// AbortMigration implements Driver.
func (c *Client) AbortMigration(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.AbortMigration(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// FinishMigration implements Driver.
func (c *Client) FinishMigration(ctx context.Context, req *MigrateRequest) error {
	_, err := c.pb.FinishMigration(c.outgoing(ctx), migrateRequestToProto(req))
	return fromWire(ctx, err)
}

// RollbackMigration implements Driver.
func (c *Client) RollbackMigration(ctx context.Context, req *MigrateRequest) error {
	_, err := c.pb.RollbackMigration(c.outgoing(ctx), migrateRequestToProto(req))
	return fromWire(ctx, err)
}

// ExportDisks implements Driver.
func (c *Client) ExportDisks(ctx context.Context, req *MigrateRequest) ([]*DiskFile, error) {
	out, err := c.pb.ExportDisks(c.outgoing(ctx), migrateRequestToProto(req))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return pointersFromProto(out.Files, diskFileFromProto), nil
}

// ImportDisks implements Driver.
func (c *Client) ImportDisks(ctx context.Context, req *MigrateRequest) error {
	_, err := c.pb.ImportDisks(c.outgoing(ctx), migrateRequestToProto(req))
	return fromWire(ctx, err)
}
