package driver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

// hostKey is the metadata key that names the simulated host of a call; absent is the host "".
const hostKey = "kilonova-host"

var (
	_ Driver = (*Client)(nil)

	empty = &driverpb.Empty{}
)

// Client is a Driver at the other end of a gRPC connection. All its errors are *Error or the caller's context error; a
// connection that broke is a retryable ErrUnavailable. It is safe for concurrent use and needs no closing: whoever dialled
// closes the connection, and that ends its streams.
type Client struct {
	pb     driverpb.DriverClient
	plugin driverpb.PluginClient
	host   string
}

// NewClient makes a Client whose calls go to the Driver of one host ("" is the only one of most drivers).
func NewClient(conn grpc.ClientConnInterface, host string) *Client {
	return &Client{pb: driverpb.NewDriverClient(conn), plugin: driverpb.NewPluginClient(conn), host: host}
}

func (c *Client) outgoing(ctx context.Context) context.Context {
	if c.host == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, hostKey, c.host)
}

// Describe asks the plugin process who it is. It works before Configure.
func (c *Client) Describe(ctx context.Context) (*Description, error) {
	out, err := c.plugin.Describe(ctx, empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return &Description{Name: out.Name, PID: int(out.Pid), StartedAt: timeFromProto(out.StartedAt)}, nil
}

// Configure implements Driver.
func (c *Client) Configure(ctx context.Context, config []byte) error {
	_, err := c.pb.Configure(c.outgoing(ctx), &driverpb.ConfigureRequest{Config: config})
	return fromWire(ctx, err)
}

// Capabilities implements Driver.
func (c *Client) Capabilities(ctx context.Context) (*Capabilities, error) {
	out, err := c.pb.Capabilities(c.outgoing(ctx), empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return capabilitiesFromProto(out), nil
}

// ConsoleOutput implements Driver.
func (c *Client) ConsoleOutput(ctx context.Context, req *ConsoleOutputRequest) ([]byte, error) {
	out, err := c.pb.ConsoleOutput(c.outgoing(ctx), consoleOutputToProto(req))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return out.Output, nil
}

// ConsoleEndpoint implements Driver.
func (c *Client) ConsoleEndpoint(ctx context.Context, req *ConsoleEndpointRequest) (*ConsoleEndpoint, error) {
	out, err := c.pb.ConsoleEndpoint(c.outgoing(ctx), consoleEndpointRequestToProto(req))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return consoleEndpointFromProto(out), nil
}

// Diagnostics implements Driver.
func (c *Client) Diagnostics(ctx context.Context, ref *InstanceRef) (*Diagnostics, error) {
	out, err := c.pb.Diagnostics(c.outgoing(ctx), refToProto(ref))
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return diagnosticsFromProto(out), nil
}

// VolumeUsage implements Driver.
func (c *Client) VolumeUsage(ctx context.Context) ([]*VolumeUsage, error) {
	out, err := c.pb.VolumeUsage(c.outgoing(ctx), empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return pointersFromProto(out.Volumes, volumeUsageFromProto), nil
}

// HostStats implements Driver.
func (c *Client) HostStats(ctx context.Context) (*HostStats, error) {
	out, err := c.pb.HostStats(c.outgoing(ctx), empty)
	if err != nil {
		return nil, fromWire(ctx, err)
	}
	return hostStatsFromProto(out), nil
}

// HostPower implements Driver.
func (c *Client) HostPower(ctx context.Context, action HostPowerAction) error {
	_, err := c.pb.HostPower(c.outgoing(ctx), &driverpb.HostPowerRequest{Action: string(action)})
	return fromWire(ctx, err)
}

// HostMaintenance implements Driver.
func (c *Client) HostMaintenance(ctx context.Context, on bool) error {
	_, err := c.pb.HostMaintenance(c.outgoing(ctx), &driverpb.HostMaintenanceRequest{On: on})
	return fromWire(ctx, err)
}
