//go:build unix

package fake

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCreate makes and destroys guests with a journal. cpu-us/op is the whole process's processor time: over gRPC
// both ends are in it, as on a host that runs agent and plugin.
func BenchmarkCreate(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		d := open(b, map[string]any{"state_dir": b.TempDir()})
		benchmarkCreate(b, d, false)
	})
	b.Run("grpc", func(b *testing.B) { benchmarkCreate(b, overGRPC(b), false) })
	b.Run("grpc-parallel", func(b *testing.B) { benchmarkCreate(b, overGRPC(b), true) })
}

func overGRPC(b *testing.B) driver.Driver {
	dir, err := os.MkdirTemp("", "kn")
	require.NoError(b, err)
	service := driver.NewService(Name, func(l hclog.Logger) driver.Driver { return New(l) }, nil)
	server := grpc.NewServer()
	service.Register(server)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(b, err)
	go func() { _ = server.Serve(listener) }()
	options := append(driver.DialOptions("token"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("unix:"+filepath.Join(dir, "s"), options...)
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		require.NoError(b, service.Close())
		_ = os.RemoveAll(dir)
	})
	client := driver.NewClient(conn, "host-1")
	require.NoError(b, client.Configure(b.Context(), marshal(b, map[string]any{"state_dir": dir, "host": "host-1"})))
	return client
}

func benchSpec(n int64) *driver.InstanceSpec {
	spec := testSpec()
	spec.InstanceID = "00000000-0000-4000-8000-" + strconv.FormatInt(1e11+n, 10)
	spec.OperationID = "10000000-0000-4000-8000-" + strconv.FormatInt(1e11+n, 10)
	spec.Image = &driver.Image{ID: "image", Path: "/var/lib/kilonova/images/image", Format: "qcow2"}
	spec.Interfaces = []driver.Interface{{ID: "nic", MAC: "fa:16:3e:00:00:01", Tap: "tap0", Bridge: "br0", MTU: 1500}}
	spec.Metadata = map[string]string{"role": "web", "tier": "1"}
	return spec
}

func benchmarkCreate(b *testing.B, d driver.Driver, parallel bool) {
	var next atomic.Int64
	one := func() {
		if _, err := d.Create(context.Background(), benchSpec(next.Add(1))); err != nil {
			b.Error(err)
		}
	}
	b.ReportAllocs()
	begin := cpu()
	b.ResetTimer()
	if parallel {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	} else {
		for range b.N {
			one()
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu()-begin).Microseconds())/float64(b.N), "cpu-us/op")
}
