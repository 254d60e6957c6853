package driver

import (
	"context"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

func (s *hosts) Create(ctx context.Context, in *driverpb.InstanceSpec) (*driverpb.InstanceStatus, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.InstanceStatus, error) {
		out, err := d.Create(ctx, specFromProto(in))
		return statusToProto(out), err
	})
}

func (s *hosts) Destroy(ctx context.Context, in *driverpb.DestroyRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Destroy(ctx, destroyFromProto(in)) })
}

func (s *hosts) List(ctx context.Context, _ *driverpb.Empty) (*driverpb.InstanceList, error) {
	return ask(ctx, s, noGuest, func(d Driver) (*driverpb.InstanceList, error) {
		out, err := d.List(ctx)
		return &driverpb.InstanceList{Instances: pointersToProto(out, statusToProto)}, err
	})
}

func (s *hosts) Inspect(ctx context.Context, in *driverpb.InstanceID) (*driverpb.InstanceStatus, error) {
	return ask(ctx, s, guest(in), func(d Driver) (*driverpb.InstanceStatus, error) {
		out, err := d.Inspect(ctx, in.InstanceId)
		return statusToProto(out), err
	})
}

func (s *hosts) Recover(ctx context.Context, in *driverpb.InstanceSpec) (*driverpb.InstanceStatus, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.InstanceStatus, error) {
		out, err := d.Recover(ctx, specFromProto(in))
		return statusToProto(out), err
	})
}

func (s *hosts) Rebuild(ctx context.Context, in *driverpb.InstanceSpec) (*driverpb.InstanceStatus, error) {
	return ask(ctx, s, guest(in.Ref), func(d Driver) (*driverpb.InstanceStatus, error) {
		out, err := d.Rebuild(ctx, specFromProto(in))
		return statusToProto(out), err
	})
}

func (s *hosts) Resize(ctx context.Context, in *driverpb.InstanceSpec) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Resize(ctx, specFromProto(in)) })
}

func (s *hosts) Rescue(ctx context.Context, in *driverpb.InstanceSpec) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Rescue(ctx, specFromProto(in)) })
}

func (s *hosts) Unrescue(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Unrescue(ctx, &ref) })
}

func (s *hosts) Start(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Start(ctx, &ref) })
}

func (s *hosts) Stop(ctx context.Context, in *driverpb.StopRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Stop(ctx, stopFromProto(in)) })
}

func (s *hosts) Reboot(ctx context.Context, in *driverpb.RebootRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.Reboot(ctx, rebootFromProto(in)) })
}

func (s *hosts) Pause(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Pause(ctx, &ref) })
}

func (s *hosts) Unpause(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Unpause(ctx, &ref) })
}

func (s *hosts) Suspend(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Suspend(ctx, &ref) })
}

func (s *hosts) Resume(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Resume(ctx, &ref) })
}

func (s *hosts) TriggerCrashDump(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.TriggerCrashDump(ctx, &ref) })
}

func (s *hosts) SetAdminPassword(ctx context.Context, in *driverpb.PasswordRequest) (*driverpb.Empty, error) {
	return act(ctx, s, guest(in.Ref), func(d Driver) error { return d.SetAdminPassword(ctx, passwordFromProto(in)) })
}

func (s *hosts) Quiesce(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Quiesce(ctx, &ref) })
}

func (s *hosts) Unquiesce(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.Empty, error) {
	ref := refFromProto(in)
	return act(ctx, s, guest(in), func(d Driver) error { return d.Unquiesce(ctx, &ref) })
}
