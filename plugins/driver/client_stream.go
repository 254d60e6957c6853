package driver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

// streamKey is the header that a server sends as soon as the driver has accepted a stream, so that the client's call
// returns the driver's refusal as its own error rather than as a channel that closes.
const streamKey = "kilonova-stream"

// Fingerprint implements Driver. The channel also closes when the connection breaks.
func (c *Client) Fingerprint(ctx context.Context) (<-chan *Fingerprint, error) {
	stream, err := c.pb.Fingerprint(c.outgoing(ctx), empty)
	return receive(ctx, stream, err, fingerprintFromProto)
}

// Events implements Driver. The channel also closes when the connection breaks.
func (c *Client) Events(ctx context.Context) (<-chan *Event, error) {
	stream, err := c.pb.Events(c.outgoing(ctx), empty)
	return receive(ctx, stream, err, eventFromProto)
}

// LiveMigrate implements Driver. A channel that closes without a value that is Done means that the connection broke: the
// migration may go on, and Inspect on either side tells.
func (c *Client) LiveMigrate(ctx context.Context, req *MigrateRequest) (<-chan *MigrateProgress, error) {
	stream, err := c.pb.LiveMigrate(c.outgoing(ctx), migrateRequestToProto(req))
	return receive(ctx, stream, err, migrateProgressFromProto)
}

// receive waits for the server to accept the stream and then pumps it into a channel. The pump ends, and closes the
// channel, with ctx or with the stream; ctx's end also unblocks a pump whose reader has gone.
func receive[P, T any](ctx context.Context, stream grpc.ServerStreamingClient[P], err error, conv func(*P) *T) (<-chan *T, error) {
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	header, err := stream.Header()
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	if len(header.Get(streamKey)) == 0 {
		// Refused: the status is the answer to the first receive. A server that accepts without the header (written
		// in another language) sends its first value here, which goes to the reader like the rest.
		first, err := stream.Recv()
		if err != nil {
			return nil, fromWire(ctx, err)
		}
		return pump(ctx, stream, conv, conv(first)), nil
	}
	return pump(ctx, stream, conv, nil), nil
}

func pump[P, T any](ctx context.Context, stream grpc.ServerStreamingClient[P], conv func(*P) *T, first *T) <-chan *T {
	ch := make(chan *T)
	go func() {
		defer close(ch)
		next := first
		for {
			if next != nil {
				select {
				case ch <- next:
				case <-ctx.Done():
					return
				}
			}
			in, err := stream.Recv()
			if err != nil {
				return
			}
			next = conv(in)
		}
	}()
	return ch
}

// accept tells the client that its stream is on.
func accept(stream grpc.ServerStream) error {
	return stream.SendHeader(metadata.Pairs(streamKey, "1"))
}

// send pumps a driver's channel into a stream until either ends.
func send[T, P any](ch <-chan *T, stream grpc.ServerStreamingServer[P], conv func(*T) *P) error {
	ctx := stream.Context()
	for {
		select {
		case v, ok := <-ch:
			if !ok {
				return toWire(ctx, ctx.Err())
			}
			if v == nil {
				continue
			}
			if err := stream.Send(conv(v)); err != nil {
				return err
			}
		case <-ctx.Done():
			return toWire(ctx, ctx.Err())
		}
	}
}

func (s *hosts) Fingerprint(_ *driverpb.Empty, stream driverpb.Driver_FingerprintServer) error {
	return serveStream(s, noGuest, stream, fingerprintToProto, func(d Driver, ctx context.Context) (<-chan *Fingerprint, error) {
		return d.Fingerprint(ctx)
	})
}

func (s *hosts) Events(_ *driverpb.Empty, stream driverpb.Driver_EventsServer) error {
	return serveStream(s, noGuest, stream, eventToProto, func(d Driver, ctx context.Context) (<-chan *Event, error) {
		return d.Events(ctx)
	})
}

func (s *hosts) LiveMigrate(in *driverpb.MigrateRequest, stream driverpb.Driver_LiveMigrateServer) error {
	return serveStream(s, guest(in.Ref), stream, migrateProgressToProto, func(d Driver, ctx context.Context) (<-chan *MigrateProgress, error) {
		return d.LiveMigrate(ctx, migrateRequestFromProto(in))
	})
}

func serveStream[T, P any](
	s *hosts, who subject, stream grpc.ServerStreamingServer[P], conv func(*T) *P,
	open func(Driver, context.Context) (<-chan *T, error),
) (err error) {
	ctx := stream.Context()
	defer s.recovered(ctx, &err)
	d, err := s.forCall(ctx, who)
	if err != nil {
		return err
	}
	ch, err := open(d, ctx)
	if err != nil {
		return toWire(ctx, err)
	}
	if err := accept(stream); err != nil {
		return err
	}
	return send(ch, stream, conv)
}
