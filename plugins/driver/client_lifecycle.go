package driver

import (
	"context"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

// Create implements Driver.
func (c *Client) Create(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	out, err := c.pb.Create(c.outgoing(ctx), specToProto(spec))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return statusFromProto(out), nil
}

// Destroy implements Driver.
func (c *Client) Destroy(ctx context.Context, req *DestroyRequest) error {
	_, err := c.pb.Destroy(c.outgoing(ctx), destroyToProto(req))
	return fromWire(ctx, err)
}

// List implements Driver.
func (c *Client) List(ctx context.Context) ([]*InstanceStatus, error) {
	out, err := c.pb.List(c.outgoing(ctx), empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return pointersFromProto(out.Instances, statusFromProto), nil
}

// Inspect implements Driver.
func (c *Client) Inspect(ctx context.Context, instanceID string) (*InstanceStatus, error) {
	out, err := c.pb.Inspect(c.outgoing(ctx), &driverpb.InstanceID{InstanceId: instanceID})
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return statusFromProto(out), nil
}

// Recover implements Driver.
func (c *Client) Recover(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	out, err := c.pb.Recover(c.outgoing(ctx), specToProto(spec))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return statusFromProto(out), nil
}

// Rebuild implements Driver.
func (c *Client) Rebuild(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	out, err := c.pb.Rebuild(c.outgoing(ctx), specToProto(spec))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return statusFromProto(out), nil
}

// Resize implements Driver.
func (c *Client) Resize(ctx context.Context, spec *InstanceSpec) error {
	_, err := c.pb.Resize(c.outgoing(ctx), specToProto(spec))
	return fromWire(ctx, err)
}

// Rescue implements Driver.
func (c *Client) Rescue(ctx context.Context, spec *InstanceSpec) error {
	_, err := c.pb.Rescue(c.outgoing(ctx), specToProto(spec))
	return fromWire(ctx, err)
}

// Unrescue implements Driver.
func (c *Client) Unrescue(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Unrescue(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Start implements Driver.
func (c *Client) Start(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Start(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Stop implements Driver.
func (c *Client) Stop(ctx context.Context, req *StopRequest) error {
	_, err := c.pb.Stop(c.outgoing(ctx), stopToProto(req))
	return fromWire(ctx, err)
}

// Reboot implements Driver.
func (c *Client) Reboot(ctx context.Context, req *RebootRequest) error {
	_, err := c.pb.Reboot(c.outgoing(ctx), rebootToProto(req))
	return fromWire(ctx, err)
}

// Pause implements Driver.
func (c *Client) Pause(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Pause(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Unpause implements Driver.
func (c *Client) Unpause(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Unpause(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Suspend implements Driver.
func (c *Client) Suspend(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Suspend(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Resume implements Driver.
func (c *Client) Resume(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Resume(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// TriggerCrashDump implements Driver.
func (c *Client) TriggerCrashDump(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.TriggerCrashDump(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// SetAdminPassword implements Driver.
func (c *Client) SetAdminPassword(ctx context.Context, req *PasswordRequest) error {
	_, err := c.pb.SetAdminPassword(c.outgoing(ctx), passwordToProto(req))
	return fromWire(ctx, err)
}

// Quiesce implements Driver.
func (c *Client) Quiesce(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Quiesce(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}

// Unquiesce implements Driver.
func (c *Client) Unquiesce(ctx context.Context, ref *InstanceRef) error {
	_, err := c.pb.Unquiesce(c.outgoing(ctx), refToProto(ref))
	return fromWire(ctx, err)
}
