package httpapi

import (
	"net/http"
	"strconv"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// FaultStyle is how a service words a failure. The zero value is none: a service has to choose.
type FaultStyle uint8

// The styles.
const (
	NovaFaults      FaultStyle = iota + 1 // {"badRequest": {"code": 400, "message": ...}}
	KeystoneFaults                        // {"error": {"code": 400, "title": "Bad Request", "message": ...}}
	GlanceFaults                          // HTML, JSON or text, as the client accepts
	PlacementFaults                       // {"errors": [{"status": 400, "title": ..., "detail": ..., "request_id": ..., "code": ...}]}
	NativeFaults                          // {"error": {"kind": "invalid", "message": ...}}
)

// novaFaultNames are Nova's keys by status; every other status is computeFault (api-guide, Faults).
var novaFaultNames = map[int]string{400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound",
	405: "badMethod", 409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable"}

type novaFault struct {
	Code       int    `json:"code"`
	Message    string `json:"message"`
	RetryAfter string `json:"retryAfter,omitempty"`
}

type titledFault struct {
	Code    int    `json:"code"`
	Title   string `json:"title"`
	Message string `json:"message"`
}

type placementFault struct {
	Status     int    `json:"status"`
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	RequestID  string `json:"request_id"`
	Code       string `json:"code,omitempty"`
	MaxVersion string `json:"max_version,omitempty"`
	MinVersion string `json:"min_version,omitempty"`
}

type nativeFault struct {
	Kind      string `json:"kind"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// fault is one failure on its way to the client.
type fault struct {
	status  int
	message string
	kind    structs.Kind
	version *Versioning  // set when the fault is about the version itself
	micro   Microversion // that the request is answered at; 0 when that is not settled
	accept  string       // the request's Accept header
}

// body returns the value that is encoded for a fault, unless glanceFault makes it.
func (s FaultStyle) body(f fault, requestID string) any {
	title := http.StatusText(f.status)
	switch s {
	case KeystoneFaults:
		return map[string]titledFault{"error": {f.status, title, f.message}}
	case PlacementFaults:
		p := placementFault{Status: f.status, Title: title, Detail: f.message, RequestID: requestID, Code: placementCode(f)}
		if f.version != nil {
			p.MinVersion, p.MaxVersion = f.version.text(f.version.Min), f.version.text(f.version.Max)
		}
		return map[string][]placementFault{"errors": {p}}
	case NativeFaults:
		return map[string]nativeFault{"error": {f.kind.String(), f.message, requestID}}
	}
	name := novaFaultNames[f.status]
	if name == "" {
		name = "computeFault"
	}
	v := novaFault{Code: f.status, Message: f.message}
	if f.status == http.StatusRequestEntityTooLarge || f.status == http.StatusTooManyRequests {
		v.RetryAfter = "0"
	}
	return map[string]novaFault{name: v}
}

// placementCode is Placement's error code, there since 1.23; what has no code of its own is undefined_code, as Placement has it.
func placementCode(f fault) string {
	switch {
	case f.micro < 23:
		return ""
	case f.kind == structs.KindConflict:
		return "placement.concurrent_update"
	}
	return "placement.undefined_code"
}

// kindOfStatus is the reverse of FaultStyle.status, for faults that arise in the wrapper.
func kindOfStatus(status int) structs.Kind {
	switch status {
	case http.StatusNotFound:
		return structs.KindNotFound
	case http.StatusConflict:
		return structs.KindConflict
	case http.StatusUnauthorized:
		return structs.KindUnauthorized
	case http.StatusForbidden:
		return structs.KindForbidden
	case http.StatusRequestEntityTooLarge:
		return structs.KindTooLarge
	case http.StatusServiceUnavailable:
		return structs.KindUnavailable
	case http.StatusNotImplemented:
		return structs.KindNotSupported
	}
	if status >= 500 {
		return structs.KindInternal
	}
	return structs.KindInvalid
}

// writeFault answers with a fault in the style. Nothing may have been written before.
func (s FaultStyle) writeFault(w http.ResponseWriter, f fault, requestID string) error {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Del("Location")
	switch f.status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		if s == NovaFaults {
			h.Set("Retry-After", "0")
		}
	}
	if s == GlanceFaults {
		contentType, body := glanceFault(f)
		h.Set("Content-Type", contentType)
		return writeBody(w, f.status, body)
	}
	return encodeJSON(w, f.status, s.body(f, requestID))
}
