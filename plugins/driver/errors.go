package driver

import (
	"context"
	"errors"
	"fmt"
)

// The sentinels of a driver's errors, for errors.Is. A driver answers Errorf(kind, ...) or wraps one of these; the kind
// survives the wire either way.
var (
	// ErrNotFound: the guest, volume, interface or other thing that the call names is not on this host.
	ErrNotFound = errors.New("not found")
	// ErrNotSupported: this driver, or this host's hypervisor, cannot do it. Asking again never helps.
	ErrNotSupported = errors.New("not supported")
	// ErrInvalid: the request or the configuration is wrong; the message names what and says what would be right.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: the guest is in the wrong state for the call, or the call's generation is stale.
	ErrConflict = errors.New("conflict")
	// ErrExhausted: the host has no room (memory, disk, ports, ...).
	ErrExhausted = errors.New("exhausted")
	// ErrUnavailable: the hypervisor or the driver cannot be reached. The effect is unknown; repeating the call is safe.
	ErrUnavailable = errors.New("unavailable")
	// ErrTimeout: the hypervisor did not finish in the time that the driver gives it. The caller's own deadline is
	// context.DeadlineExceeded instead.
	ErrTimeout = errors.New("timeout")
	// ErrInternal: anything else, and every error that a driver answers without a kind.
	ErrInternal = errors.New("internal error")
)

// Kind classes an Error. The values are on the wire.
type Kind string

const (
	KindNotFound     Kind = "not_found"
	KindNotSupported Kind = "not_supported"
	KindInvalid      Kind = "invalid"
	KindConflict     Kind = "conflict"
	KindExhausted    Kind = "exhausted"
	KindUnavailable  Kind = "unavailable"
	KindTimeout      Kind = "timeout"
	KindInternal     Kind = "internal"
)

var sentinels = map[Kind]error{
	KindNotFound:     ErrNotFound,
	KindNotSupported: ErrNotSupported,
	KindInvalid:      ErrInvalid,
	KindConflict:     ErrConflict,
	KindExhausted:    ErrExhausted,
	KindUnavailable:  ErrUnavailable,
	KindTimeout:      ErrTimeout,
	KindInternal:     ErrInternal,
}

// Valid says whether k is one of the kinds above.
func (k Kind) Valid() bool { return sentinels[k] != nil }

// Error is what a driver's call answers when it fails. errors.Is against the sentinel of its Kind holds, on both sides
// of the wire.
type Error struct {
	Kind    Kind
	Message string
	// Retryable says that the same call may succeed later without anybody changing anything.
	Retryable bool
}

// Error returns the message, or the kind's own words when there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Unwrap().Error()
	}
	return e.Message
}

// Unwrap returns the sentinel of the kind; an unknown kind, from a newer peer, is ErrInternal.
func (e *Error) Unwrap() error {
	if s := sentinels[e.Kind]; s != nil {
		return s
	}
	return ErrInternal
}

// Errorf makes an Error. Those of KindUnavailable, KindTimeout and KindInternal are retryable, because nothing is known that would make the same call fail
// again; others are not. Set Retryable to say otherwise.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Retryable: retryable(kind)}
}

func retryable(k Kind) bool { return k == KindUnavailable || k == KindTimeout || k == KindInternal }

// KindOf classes any error: that of the first *Error in its tree, else that of the sentinel that it wraps, else
// KindInternal. It is "" for nil and for the caller's own context ending, which is not the driver's failure.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		if e.Kind.Valid() {
			return e.Kind
		}
		return KindInternal
	}
	for _, k := range kinds {
		if errors.Is(err, sentinels[k]) {
			return k
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ""
	}
	return KindInternal
}

// kinds is in the order in which KindOf tries the sentinels, so that an error that wraps two has one answer.
var kinds = []Kind{
	KindNotFound, KindNotSupported, KindInvalid, KindConflict, KindExhausted, KindUnavailable, KindTimeout, KindInternal,
}

// Retryable says whether the same call may succeed later: an *Error says so itself, of other errors it is their kind's default.
func Retryable(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Retryable
	}
	return retryable(KindOf(err))
}
