package structs

import (
	"errors"
	"fmt"
)

// Kind classes an error, from where it arises to the HTTP answer. It crosses RPC as its number: append only.
type Kind uint8

// The kinds. server/httpapi maps each to one HTTP status.
const (
	KindInternal     Kind = iota // a fault of ours
	KindNotFound                 // no such thing, or not visible to the caller
	KindConflict                 // the thing is in a state that forbids this now
	KindInvalid                  // the request is wrong and will stay so
	KindQuota                    // the project's or user's quota is used up
	KindNoCapacity               // no host can take it
	KindUnavailable              // cannot be answered now; a retry may help
	KindForbidden                // seen, but not allowed
	KindUnauthorized             // not authenticated
	KindTimeout                  // took longer than its deadline; may or may not have happened
	KindNotSupported             // no driver that is here can do it
	KindTooLarge                 // more bytes than accepted
	KindNotLeader                // inside the cluster only: ask the leader
)

var kindNames = [...]string{"internal", "not found", "conflict", "invalid", "quota", "no capacity", "unavailable",
	"forbidden", "unauthorized", "timeout", "not supported", "too large", "not leader"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is an error with a kind. Its message is for the person who caused it: what was wrong, and what would be right.
type Error struct {
	Kind    Kind   `codec:"k"`
	Message string `codec:"m"`
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives errors.Is and errors.As the cause. A cause does not cross RPC.
func (e *Error) Unwrap() error { return e.cause }

// Is matches another *Error of the same kind with an empty message, so that errors.Is(err, &Error{Kind: k}) asks for a kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Kind == e.Kind
}

// Errorf makes an Error; %w keeps the cause.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), cause: errors.Unwrap(err)}
}

// KindOf returns the kind of err, KindInternal when it carries none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// IsKind reports whether err carries kind k.
func IsKind(err error, k Kind) bool { return err != nil && KindOf(err) == k }
