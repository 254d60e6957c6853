package driver

import (
	"context"
	"crypto/subtle"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// ProtocolVersion is the newest version of the wire that this package speaks.
	ProtocolVersion = 1

	// pluginName is the one entry of our plugin sets.
	pluginName = "driver"

	tokenKey = "kilonova-token"

	// EnvToken hands a plugin the secret that every later connection has to show; "" asks for none.
	EnvToken = "KILONOVA_DRIVER_TOKEN"
	// EnvOrphanTimeout overrides ServeConfig.OrphanTimeout, as a Go duration.
	EnvOrphanTimeout = "KILONOVA_DRIVER_ORPHAN_TIMEOUT"
	// EnvLogLevel sets the level of the default logger: trace, debug, info, warn, error.
	EnvLogLevel = "KILONOVA_DRIVER_LOG_LEVEL"
)

// Handshake tells a driver plugin from any other program, on both sides. It is no security measure.
var Handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "KILONOVA_DRIVER_PLUGIN",
	MagicCookieValue: "0b3c9e4f5d7a4c1e9a62f8d1c7e05b96",
}

// PluginSets are the versions that an agent offers to a plugin; go-plugin picks the newest that both have.
func PluginSets() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{ProtocolVersion: {pluginName: &goPlugin{}}}
}

// goPlugin is the glue to go-plugin: with a service on the plugin's side, without on the agent's.
type goPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	service *Service
}

func (p *goPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	p.service.Register(s)
	return nil
}

func (p *goPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Connection{conn: conn, broker: broker}, nil
}

// Connection is an agent's connection to a plugin process.
type Connection struct {
	conn   *grpc.ClientConn
	broker *plugin.GRPCBroker
}

// Connect returns the connection of a started or re-attached go-plugin client.
func Connect(client *plugin.Client) (*Connection, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, Errorf(KindUnavailable, "connect to the driver plugin: %v", err)
	}
	raw, err := protocol.Dispense(pluginName)
	if err != nil {
		return nil, Errorf(KindUnavailable, "connect to the driver plugin: %v", err)
	}
	return raw.(*Connection), nil
}

// Client returns the Driver of one host of the plugin.
func (c *Connection) Client(host string) *Client { return NewClient(c.conn, host) }

// Detach closes the connection and leaves the plugin running. Calls under way answer a retryable ErrUnavailable, streams
// close.
func (c *Connection) Detach() {
	_ = c.broker.Close()
	_ = c.conn.Close()
}

// DialOptions are for the agent's connection. token is what the plugin was given in EnvToken.
func DialOptions(token string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithPerRPCCredentials(tokenCredentials(token)),
		// A call that breaks is repeated by the agent, which knows the operation; gRPC keeping a copy of every message
		// for a retry of its own costs more than the call.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		// Fixed windows switch off the bandwidth estimator, which has nothing to estimate on a local socket.
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(4 * window),
	}
}

const window = 1 << 20

// maxMessage bounds a request: an instance's user data and metadata are far below.
const maxMessage = 64 << 20

// serverOptions are for the plugin's side.
func serverOptions(token string) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(4 * window),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := checkToken(ctx, token); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := checkToken(ss.Context(), token); err != nil {
				return err
			}
			return next(srv, ss)
		}),
	}
}

func checkToken(ctx context.Context, want string) error {
	if want == "" {
		return nil
	}
	got := metadata.ValueFromIncomingContext(ctx, tokenKey)
	if len(got) == 1 && subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) == 1 {
		return nil
	}
	return status.Error(codes.Unauthenticated, "this plugin was started by another agent: wrong token")
}

// tokenCredentials shows the token on every call.
type tokenCredentials string

func (t tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if t == "" {
		return nil, nil
	}
	return map[string]string{tokenKey: string(t)}, nil
}

// RequireTransportSecurity is false: the socket lies in a directory that only the agent's user can enter.
func (t tokenCredentials) RequireTransportSecurity() bool { return false }
