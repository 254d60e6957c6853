package drivermanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// The test binary is also the plugin and the agent: its first argument says which.
const (
	rolePlugin = "test-role-plugin"
	roleAgent  = "test-role-agent"
	roleBroken = "test-role-broken"
	roleHang   = "test-role-hang"
)

func TestMain(m *testing.M) {
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	case rolePlugin:
		servePlugin()
	case roleAgent:
		runAgent()
	case roleBroken:
		fmt.Println("no handshake, this")
		os.Exit(3)
	case roleHang:
		select {}
	default:
		goleak.VerifyTestMain(m)
	}
}

func servePlugin() {
	err := driver.Serve(driver.ServeConfig{
		Name: "fake",
		New:  func(l hclog.Logger) driver.Driver { return &chatty{Driver: fake.New(l), logger: l} },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// chatty is the fake driver with two methods for the tests: HostStats talks on every channel, HostPower stops the process.
type chatty struct {
	*fake.Driver
	logger hclog.Logger
}

const chatLines = 4000 // far more than a pipe holds

func (c *chatty) HostStats(context.Context) (*driver.HostStats, error) {
	for i := range chatLines {
		c.logger.Info("by logger", "line", i)
		fmt.Println("by stdout", i)
		fmt.Fprintln(os.Stderr, "by stderr", i)
		for fd := 1; fd <= 2; fd++ { // as a C library would
			if _, err := syscall.Write(fd, []byte("by descriptor\n")); err != nil {
				return nil, fmt.Errorf("descriptor %d: %w", fd, err)
			}
		}
	}
	return &driver.HostStats{}, nil
}

func (c *chatty) HostPower(ctx context.Context, _ driver.HostPowerAction) error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	<-ctx.Done() // the signal may take a moment to reach this thread
	return ctx.Err()
}

// runAgent is an agent that starts a plugin in the StateDir of its argument, makes a guest, says so and waits to be killed.
func runAgent() {
	p, err := New(Config{Name: "fake", Command: pluginCommand(), StateDir: os.Args[2]})
	if err != nil {
		panic(err)
	}
	d := p.Driver(DriverConfig{DriverConfig: json.RawMessage(os.Args[3])})
	if _, err := d.Create(context.Background(), guestSpec("from-the-first-agent")); err != nil {
		panic(err)
	}
	fmt.Println("ready", p.Status().PID)
	select {}
}

func pluginCommand() []string { return []string{os.Args[0], rolePlugin} }

func guestSpec(id string) *driver.InstanceSpec {
	return &driver.InstanceSpec{
		InstanceRef: driver.InstanceRef{InstanceID: id, OperationID: "op-" + id, Generation: 1},
		Hostname:    id, VCPUs: 1, MemoryMiB: 64, PowerOn: true,
	}
}

// env is a test's plugin and what it wrote down.
type env struct {
	*testing.T
	config Config
	fake   map[string]any // the driver's configuration
}

func newEnv(t *testing.T) *env {
	t.Parallel()
	dir, err := os.MkdirTemp("", "knm")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &env{
		T: t,
		config: Config{
			Name: "fake", Command: pluginCommand(), StateDir: dir, MinBackoff: 5 * time.Millisecond,
			MaxBackoff: 50 * time.Millisecond,
		},
		fake: map[string]any{"state_dir": filepath.Join(dir, "guests")},
	}
}

func (e *env) json() json.RawMessage {
	raw, err := json.Marshal(e.fake)
	require.NoError(e, err)
	return raw
}

// plugin starts one, which is killed at the end of the test.
func (e *env) plugin() *Plugin {
	p, err := New(e.config)
	require.NoError(e, err)
	e.Cleanup(func() {
		if err := p.Shutdown(true); err != nil {
			e.Errorf("shutdown: %v", err)
		}
	})
	return p
}

const long = 30 * time.Second

func (e *env) ctx() context.Context {
	ctx, cancel := context.WithTimeout(e.Context(), long)
	e.Cleanup(cancel)
	return ctx
}

func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	deadline := time.Now().Add(long)
	for !ok() {
		if time.Now().After(deadline) {
			e.Fatalf("after %v: %s", long, what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func alive(pid int) bool {
	_, err := startTime(pid)
	return err == nil
}

func (e *env) gone(pid int) {
	e.Helper()
	e.eventually(fmt.Sprintf("process %d should be gone", pid), func() bool { return !alive(pid) })
}

func (e *env) log() string {
	raw, err := os.ReadFile(filepath.Join(e.config.StateDir, "fake.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		e.Fatal(err)
	}
	return string(raw)
}

// left are the files of a plugin in StateDir but for its log and its guests.
func (e *env) left() []string {
	entries, err := os.ReadDir(e.config.StateDir)
	require.NoError(e, err)
	var names []string
	for _, f := range entries {
		if n := f.Name(); n != "guests" && !strings.HasSuffix(n, ".log") && !strings.HasSuffix(n, ".handshake") {
			names = append(names, n)
		}
	}
	return names
}

// collected gathers what callbacks bring.
type collected[T any] struct {
	mu     sync.Mutex
	values []T
}

func (c *collected[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values = append(c.values, v)
}

func (c *collected[T]) any(ok func(T) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.values {
		if ok(v) {
			return true
		}
	}
	return false
}
