package structs

import (
	"io"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// handle encodes everything that is replicated or sent over RPC. Canonical: map keys are sorted, so that equal values
// have equal bytes on every server.
var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.Canonical = true
	h.RawToString = true
	h.WriteExt = true
	return h
}()

var encoders = sync.Pool{New: func() any { return codec.NewEncoderBytes(&[]byte{}, handle) }}
var decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}

// Encode appends v's encoding to a new slice.
func Encode(v any) ([]byte, error) {
	out := make([]byte, 0, 256)
	e := encoders.Get().(*codec.Encoder)
	e.ResetBytes(&out)
	err := e.Encode(v)
	e.ResetBytes(&[]byte{})
	encoders.Put(e)
	return out, err
}

// Decode reads one value from data into v. Fields that data has and v has not are skipped: newer servers may say more.
func Decode(data []byte, v any) error {
	d := decoders.Get().(*codec.Decoder)
	d.ResetBytes(data)
	err := d.Decode(v)
	d.ResetBytes(nil)
	decoders.Put(d)
	return err
}

// NewEncoder returns an encoder of a stream of values.
func NewEncoder(w io.Writer) *codec.Encoder { return codec.NewEncoder(w, handle) }

// NewDecoder returns a decoder of a stream of values.
func NewDecoder(r io.Reader) *codec.Decoder { return codec.NewDecoder(r, handle) }
