package driver

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

var kindToCode = map[Kind]codes.Code{
	KindNotFound:     codes.NotFound,
	KindNotSupported: codes.Unimplemented,
	KindInvalid:      codes.InvalidArgument,
	KindConflict:     codes.FailedPrecondition,
	KindExhausted:    codes.ResourceExhausted,
	KindUnavailable:  codes.Unavailable,
	KindTimeout:      codes.Aborted,
	KindInternal:     codes.Internal,
}

// codeToKind is for an error without our detail: gRPC's own, or from a driver that was not written in Go.
var codeToKind = map[codes.Code]Kind{
	codes.NotFound:           KindNotFound,
	codes.Unimplemented:      KindNotSupported,
	codes.InvalidArgument:    KindInvalid,
	codes.OutOfRange:         KindInvalid,
	codes.FailedPrecondition: KindConflict,
	codes.AlreadyExists:      KindConflict,
	codes.ResourceExhausted:  KindExhausted,
	codes.Unavailable:        KindUnavailable,
	codes.Aborted:            KindTimeout,
}

// toWire turns a driver's error into a gRPC status. ctx is the call's: only when it has itself ended does a context error
// mean the caller's; otherwise some inner deadline of the driver's ran out, and that is a timeout of the hypervisor.
func toWire(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	kind := KindOf(err)
	if kind == "" {
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		kind = KindTimeout
	}
	message := strings.ToValidUTF8(err.Error(), "\uFFFD") // a hypervisor may say anything; protobuf refuses bad UTF-8
	st := status.New(kindToCode[kind], message)
	detailed, derr := st.WithDetails(&driverpb.Error{Kind: string(kind), Message: message, Retryable: Retryable(err)})
	if derr != nil {
		return st.Err()
	}
	return detailed.Err()
}

// fromWire is the other way. Every error is an *Error, or the context error of the caller.
func fromWire(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return Errorf(KindUnavailable, "driver connection: %v", err)
	}
	for _, d := range st.Details() {
		if e, ok := d.(*driverpb.Error); ok {
			return &Error{Kind: Kind(e.GetKind()), Message: e.GetMessage(), Retryable: e.GetRetryable()}
		}
	}
	switch st.Code() {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Not the caller: this side closed the connection, or the plugin is stopping.
		return Errorf(KindUnavailable, "driver connection closed: %s", st.Message())
	}
	kind, ok := codeToKind[st.Code()]
	if !ok {
		kind = KindInternal
	}
	return Errorf(kind, "%s", st.Message())
}
