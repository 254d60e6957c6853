package fake

import (
	"context"
	"slices"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func (g *guest) volume(id string) int {
	return slices.IndexFunc(g.Volumes, func(v driver.Volume) bool { return v.ID == id })
}

func (g *guest) nic(id string) int {
	return slices.IndexFunc(g.Interfaces, func(i driver.Interface) bool { return i.ID == id })
}

// AttachVolume implements driver.Driver.
func (d *Driver) AttachVolume(ctx context.Context, req *driver.VolumeRequest) error {
	return d.change(ctx, "attach_volume", &req.InstanceRef, func(g *guest) error {
		if g.volume(req.Volume.ID) < 0 {
			g.Volumes = append(g.Volumes, req.Volume)
		}
		return nil
	})
}

// DetachVolume implements driver.Driver. A volume that is not attached is success.
func (d *Driver) DetachVolume(ctx context.Context, req *driver.VolumeRequest) error {
	return d.change(ctx, "detach_volume", &req.InstanceRef, func(g *guest) error {
		g.Volumes = slices.DeleteFunc(g.Volumes, func(v driver.Volume) bool { return v.ID == req.Volume.ID })
		return nil
	})
}

// SwapVolume implements driver.Driver.
func (d *Driver) SwapVolume(ctx context.Context, req *driver.SwapVolumeRequest) error {
	return d.change(ctx, "swap_volume", &req.InstanceRef, func(g *guest) error {
		if g.volume(req.New.ID) >= 0 {
			return nil
		}
		i := g.volume(req.Old.ID)
		if i < 0 {
			return driver.Errorf(driver.KindNotFound, "volume %s is not attached to instance %s", req.Old.ID, g.ID)
		}
		g.Volumes[i] = req.New
		return nil
	})
}

// ExtendVolume implements driver.Driver.
func (d *Driver) ExtendVolume(ctx context.Context, req *driver.ExtendVolumeRequest) error {
	return d.change(ctx, "extend_volume", &req.InstanceRef, func(g *guest) error {
		if g.volume(req.VolumeID) < 0 {
			return driver.Errorf(driver.KindNotFound, "volume %s is not attached to instance %s", req.VolumeID, g.ID)
		}
		return nil
	})
}

// VolumeSnapshotCreate implements driver.Driver.
func (d *Driver) VolumeSnapshotCreate(ctx context.Context, req *driver.VolumeSnapshotRequest) error {
	return d.change(ctx, "volume_snapshot_create", &req.InstanceRef, func(g *guest) error {
		if g.volume(req.VolumeID) < 0 {
			return driver.Errorf(driver.KindNotFound, "volume %s is not attached to instance %s", req.VolumeID, g.ID)
		}
		if key := req.VolumeID + "/" + req.SnapshotID; !slices.Contains(g.Snapshots, key) {
			g.Snapshots = append(g.Snapshots, key)
		}
		return nil
	})
}

// VolumeSnapshotDelete implements driver.Driver. A snapshot that is not there is success.
func (d *Driver) VolumeSnapshotDelete(ctx context.Context, req *driver.VolumeSnapshotRequest) error {
	return d.change(ctx, "volume_snapshot_delete", &req.InstanceRef, func(g *guest) error {
		key := req.VolumeID + "/" + req.SnapshotID
		g.Snapshots = slices.DeleteFunc(g.Snapshots, func(s string) bool { return s == key })
		return nil
	})
}

// VolumeConnector implements driver.Driver.
func (d *Driver) VolumeConnector(ctx context.Context) (c *driver.VolumeConnector, err error) {
	err = d.do(ctx, "volume_connector", "", func() error {
		host := d.config.HypervisorHostname
		c = &driver.VolumeConnector{IP: "127.0.0.1", Host: host, InitiatorName: "iqn.2026-01.fake:" + host}
		return nil
	})
	return c, err
}

// MountShare implements driver.Driver.
func (d *Driver) MountShare(ctx context.Context, req *driver.ShareRequest) error {
	return d.change(ctx, "mount_share", &req.InstanceRef, func(g *guest) error {
		if !slices.Contains(g.Shares, req.ShareID) {
			g.Shares = append(g.Shares, req.ShareID)
		}
		return nil
	})
}

// UnmountShare implements driver.Driver. A share that is not mounted is success.
func (d *Driver) UnmountShare(ctx context.Context, req *driver.ShareRequest) error {
	return d.change(ctx, "unmount_share", &req.InstanceRef, func(g *guest) error {
		g.Shares = slices.DeleteFunc(g.Shares, func(s string) bool { return s == req.ShareID })
		return nil
	})
}

// AttachInterface implements driver.Driver.
func (d *Driver) AttachInterface(ctx context.Context, req *driver.InterfaceRequest) error {
	return d.change(ctx, "attach_interface", &req.InstanceRef, func(g *guest) error {
		if g.nic(req.Interface.ID) < 0 {
			g.Interfaces = append(g.Interfaces, req.Interface)
		}
		return nil
	})
}

// DetachInterface implements driver.Driver. An interface that is not there is success.
func (d *Driver) DetachInterface(ctx context.Context, req *driver.InterfaceRequest) error {
	return d.change(ctx, "detach_interface", &req.InstanceRef, func(g *guest) error {
		g.Interfaces = slices.DeleteFunc(g.Interfaces, func(i driver.Interface) bool { return i.ID == req.Interface.ID })
		return nil
	})
}
