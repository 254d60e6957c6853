// Package rpc is the cluster's one port. Its first byte tells Raft from RPC; an RPC connection is a yamux session with one
// stream per call. Everything is inside mutual TLS when that is configured.
//
// A call is a stream, not a net/rpc message, for three reasons: closing the stream cancels the call on the other side, an
// error carries its kind, and a call may go on as a stream of values in both directions.
package rpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// First bytes of a connection.
const (
	byteRaft byte = 0x01
	byteRPC  byte = 0x02
)

// maxFrame bounds what one frame may make the reader allocate.
const maxFrame = 64 << 20

// callHeader begins a call.
type callHeader struct {
	Method    string `codec:"m"`
	TimeoutMS int64  `codec:"t"` // 0: none
}

// replyHeader begins the answer of a unary call, and ends a stream.
type replyHeader struct {
	Kind    structs.Kind `codec:"k"`
	Message string       `codec:"e"`
	Failed  bool         `codec:"f"`
}

func replyOf(err error) replyHeader {
	if err == nil {
		return replyHeader{}
	}
	return replyHeader{structs.KindOf(err), err.Error(), true}
}

func (h replyHeader) err() error {
	if !h.Failed {
		return nil
	}
	return &structs.Error{Kind: h.Kind, Message: h.Message}
}

func writeFrame(w *bufio.Writer, v any) error {
	b, err := structs.Encode(v)
	if err != nil {
		return err
	}
	var n [binary.MaxVarintLen64]byte
	if _, err := w.Write(n[:binary.PutUvarint(n[:], uint64(len(b)))]); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func readFrame(r *bufio.Reader, v any) error {
	b, err := readBytes(r)
	if err != nil {
		return err
	}
	return structs.Decode(b, v)
}

func readBytes(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > maxFrame {
		return nil, fmt.Errorf("rpc: a frame of %d bytes is over the limit of %d", n, maxFrame)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}
