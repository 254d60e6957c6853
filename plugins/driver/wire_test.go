package driver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// filled makes a T in which every field differs from its zero value and, as far as its type allows, from every other.
func filled[T any]() T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(*n%255 + 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 7).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("fill: teach me " + v.Type().String())
	}
}

// dial serves d on a unix socket and connects to it.
func dial(t *testing.T, newDriver func(hclog.Logger) Driver, options ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "kn") // t.TempDir can be too long for a socket
	require.NoError(t, err)
	service := NewService("test", newDriver, hclog.NewNullLogger())
	server := grpc.NewServer(options...)
	service.Register(server)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient("unix:"+filepath.Join(dir, "s"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		require.NoError(t, <-done)
		require.NoError(t, service.Close())
		_ = os.RemoveAll(dir)
	})
	return conn
}

// TestEveryMethodEveryField calls every method of the Go interface over gRPC with every field of its arguments set, and
// wants the arguments to arrive at the method of the same name and the answer to come back, whole. When it fails after a
// field or method was added: add it to proto/driver.proto, to both functions in convert*.go, to client*.go and server*.go.
func TestEveryMethodEveryField(t *testing.T) {
	t.Parallel()
	e := &echo{}
	client := NewClient(dial(t, func(hclog.Logger) Driver { return e }), "")
	require.NoError(t, client.Configure(t.Context(), []byte("{}")))

	methods := reflect.TypeFor[Driver]()
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		e.calls = nil
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		var sent []any
		for j := 1; j < m.Type.NumIn(); j++ {
			arg := reflect.New(m.Type.In(j)).Elem()
			n := j
			fill(arg, &n)
			args = append(args, arg)
			sent = append(sent, arg.Interface())
		}
		results := reflect.ValueOf(client).MethodByName(m.Name).Call(args)

		err := results[len(results)-1]
		require.True(t, err.IsNil(), "%s: %v", m.Name, err)
		require.Len(t, e.calls, 1, m.Name)
		require.Equal(t, m.Name, e.calls[0].method)
		require.Equal(t, sent, e.calls[0].args, m.Name)
		if len(results) == 2 {
			requireFilled(t, m.Name, results[0])
		}
	}
}

func requireFilled(t *testing.T, method string, got reflect.Value) {
	t.Helper()
	if got.Kind() == reflect.Chan {
		value, ok := got.Recv()
		require.True(t, ok, method)
		_, more := got.Recv()
		require.False(t, more, method)
		got = value
	}
	want := reflect.New(got.Type()).Elem()
	n := 0
	fill(want, &n)
	require.Equal(t, want.Interface(), got.Interface(), method)
}

// TestConvertZero: a message of zero values comes back as zero values, with nil for what is absent.
func TestConvertZero(t *testing.T) {
	t.Parallel()
	require.Equal(t, &InstanceSpec{}, specFromProto(specToProto(&InstanceSpec{})))
	require.Equal(t, &MigrateRequest{}, migrateRequestFromProto(migrateRequestToProto(&MigrateRequest{})))
	require.Equal(t, &InstanceStatus{}, statusFromProto(statusToProto(&InstanceStatus{})))
	require.Equal(t, &Fingerprint{}, fingerprintFromProto(fingerprintToProto(&Fingerprint{})))
	require.Nil(t, specToProto(nil))
	require.Nil(t, specFromProto(nil))
}

func TestOptionalMethods(t *testing.T) {
	t.Parallel()
	all := reflect.TypeFor[Driver]()
	optional := OptionalMethods()
	mandatory := 0
	for i := range all.NumMethod() {
		switch all.Method(i).Name {
		case "Configure", "Capabilities", "Fingerprint", "Events", "Create", "Destroy", "List", "Inspect", "Recover",
			"Start", "Stop", "Reboot", "ConsoleOutput":
			mandatory++
			require.NotContains(t, optional, all.Method(i).Name)
		default:
			require.Contains(t, optional, all.Method(i).Name)
		}
	}
	require.Equal(t, 13, mandatory)
	require.Len(t, optional, all.NumMethod()-mandatory)
}

func ctxWithin(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
