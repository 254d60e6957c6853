package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// StatusError is an answer that no kind of structs.Error stands for: 405, 410, 416. Handlers that can say it with a kind do that instead.
type StatusError struct {
	Status  int
	Message string
	Header  http.Header // added to the answer
}

func (e *StatusError) Error() string { return e.Message }

// Statusf makes a StatusError.
func Statusf(status int, format string, args ...any) *StatusError {
	return &StatusError{Status: status, Message: fmt.Sprintf(format, args...)}
}

// Gone is what Nova answers for an API that it has removed.
func Gone() error {
	return Statusf(http.StatusGone, "This resource is no longer available. No forwarding address is given.")
}

// BadRequest is a 400 with the message.
func BadRequest(format string, args ...any) error {
	return structs.Errorf(structs.KindInvalid, format, args...)
}

// NotFound is a 404 with the message.
func NotFound(format string, args ...any) error {
	return structs.Errorf(structs.KindNotFound, format, args...)
}

// Conflict is a 409 with the message.
func Conflict(format string, args ...any) error {
	return structs.Errorf(structs.KindConflict, format, args...)
}

// Forbidden is a 403 with the message.
func Forbidden(format string, args ...any) error {
	return structs.Errorf(structs.KindForbidden, format, args...)
}

// errOutOfRange is what a route answers outside its microversions.
var errOutOfRange = NotFound("The resource could not be found.")

// retryAfter is how long a client is asked to wait before it repeats what cannot be answered now.
const retryAfter = 1 * time.Second

// status maps an error to its HTTP status: the only place where kinds become statuses.
func (s FaultStyle) status(err error) int {
	var se *StatusError
	if errors.As(err, &se) {
		return se.Status
	}
	switch structs.KindOf(err) {
	case structs.KindNotFound:
		return http.StatusNotFound
	case structs.KindConflict:
		return http.StatusConflict
	case structs.KindInvalid:
		return http.StatusBadRequest
	case structs.KindQuota, structs.KindForbidden:
		return http.StatusForbidden
	case structs.KindNoCapacity: // Nova answers NoValidHost with 400, Placement a lack of inventory with 409
		if s == NovaFaults {
			return http.StatusBadRequest
		}
		return http.StatusConflict
	case structs.KindUnavailable, structs.KindNotLeader, structs.KindTimeout:
		return http.StatusServiceUnavailable
	case structs.KindUnauthorized:
		return http.StatusUnauthorized
	case structs.KindNotSupported:
		return http.StatusNotImplemented
	case structs.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case structs.KindInternal:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusInternalServerError
}

// message is what the client is told of an error: its own text when it has a kind, nothing of ours otherwise.
func message(err error, status int) string {
	if status == http.StatusInternalServerError {
		return "Unexpected API Error. Please contact the administrator"
	}
	var se *StatusError
	if errors.As(err, &se) {
		return se.Message
	}
	var e *structs.Error
	if errors.As(err, &e) && e.Kind != structs.KindInternal {
		return e.Message
	}
	return "The request could not be answered in time; it may or may not have been done."
}
