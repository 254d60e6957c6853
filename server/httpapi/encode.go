package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// Reply is what a handler returns when the status depends on the request; otherwise the row's Status holds.
type Reply struct {
	Status int
	Body   any
}

// buffers holds encoding buffers. One that grew past keepBuffer is dropped rather than kept.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const keepBuffer = 1 << 20

var jsonType = []string{"application/json"}

// encodeJSON writes v with its length. The whole answer is encoded before the first byte is sent, so that a value that
// cannot be encoded becomes a clean 500 of the caller's; only then is the error of the client's connection.
func encodeJSON(w http.ResponseWriter, status int, v any) error {
	if raw, ok := v.(json.RawMessage); ok {
		return writeBody(w, status, raw)
	}
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		buffers.Put(buf)
		return &encodeError{err}
	}
	err := writeBody(w, status, bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}))
	if buf.Cap() <= keepBuffer {
		buffers.Put(buf)
	}
	return err
}

func writeBody(w http.ResponseWriter, status int, b []byte) error {
	h := w.Header()
	if _, set := h["Content-Type"]; !set {
		h["Content-Type"] = jsonType
	}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}

// writeEmpty answers without a body; the type stays, as Nova has it.
func writeEmpty(w http.ResponseWriter, status int) {
	h := w.Header()
	if _, set := h["Content-Type"]; !set {
		h["Content-Type"] = jsonType
	}
	if status != http.StatusNoContent {
		h["Content-Length"] = []string{"0"}
	}
	w.WriteHeader(status)
}

// encodeError is a value of ours that JSON cannot hold; nothing was written.
type encodeError struct{ err error }

func (e *encodeError) Error() string { return "encode answer: " + e.err.Error() }
func (e *encodeError) Unwrap() error { return e.err }
