package driver

import (
	"time"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

// The convert files hold one pair of functions for each message. A field that is added to a struct has to be added to
// both of its functions; TestEveryMethodEveryField fails until it is.

func refToProto(in *InstanceRef) *driverpb.InstanceRef {
	if in == nil {
		return nil
	}
	return &driverpb.InstanceRef{InstanceId: in.InstanceID, OperationId: in.OperationID, Generation: in.Generation}
}

func refFromProto(in *driverpb.InstanceRef) InstanceRef {
	return InstanceRef{InstanceID: in.GetInstanceId(), OperationID: in.GetOperationId(), Generation: in.GetGeneration()}
}

func timeToProto(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// timeFromProto answers UTC, so that equal moments are equal values.
func timeFromProto(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// value is *p, or the zero value: a peer may leave out a message that is all zero.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func valuesToProto[T, P any](in []T, conv func(*T) *P) []*P {
	if len(in) == 0 {
		return nil
	}
	out := make([]*P, len(in))
	for i := range in {
		out[i] = conv(&in[i])
	}
	return out
}

func valuesFromProto[P, T any](in []*P, conv func(*P) *T) []T {
	if len(in) == 0 {
		return nil
	}
	out := make([]T, len(in))
	for i, p := range in {
		out[i] = value(conv(p))
	}
	return out
}

func pointersToProto[T, P any](in []*T, conv func(*T) *P) []*P {
	if len(in) == 0 {
		return nil
	}
	out := make([]*P, 0, len(in))
	for _, v := range in {
		if v != nil {
			out = append(out, conv(v))
		}
	}
	return out
}

func pointersFromProto[P, T any](in []*P, conv func(*P) *T) []*T {
	if len(in) == 0 {
		return nil
	}
	out := make([]*T, len(in))
	for i, p := range in {
		out[i] = conv(p)
	}
	return out
}
