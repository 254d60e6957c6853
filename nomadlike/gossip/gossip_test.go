package gossip

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// pool starts an agent on a port of its own.
func pool(t *testing.T, name string, change func(*Config)) *Pool {
	cfg := Config{NodeName: name, BindAddr: freeAddr(t), Local: true, Logger: hclog.NewNullLogger(), Tags: Tags{Role: "client", ID: name, Region: "RegionOne"}}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() }) // twice is no harm
	return p
}

// freeAddr is an address that was free a moment ago.
// freeAddr returns an address that nobody listens at, on a port that the system gives to no connection: it is free again when its pool has closed.
func freeAddr(t *testing.T) string {
	t.Helper()
	var addr string
	require.Eventually(t, func() bool {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err != nil {
			return false
		}
		addr = l.Addr().String()
		return l.Close() == nil
	}, 10*time.Second, time.Millisecond)
	return addr
}

func (p *Pool) addr(t *testing.T) string {
	for _, m := range p.Members() {
		if m.Name == p.serf.LocalMember().Name {
			return m.Addr
		}
	}
	t.Fatal("an agent does not know itself")
	return ""
}

func join(t *testing.T, p, to *Pool) {
	n, err := p.Join([]string{to.addr(t)})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func status(p *Pool, name string) string {
	for _, m := range p.Members() {
		if m.Name == name {
			return m.Status
		}
	}
	return ""
}

func becomes(t *testing.T, p *Pool, name, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return status(p, name) == want }, 20*time.Second, 5*time.Millisecond, "%s does not become %s", name, want)
}

// What an agent says of itself arrives at the others whole, also what it says later.
func TestTags(t *testing.T) {
	t.Parallel()
	said := Tags{Role: "server+client", ID: "id-a", Region: "RegionTwo", Zone: "z", RPCAddr: "192.0.2.1:4747", HTTPAddr: "192.0.2.1:4746", Expect: 3, Version: "1.2.3"}
	a := pool(t, "a", func(c *Config) { c.Tags = said })
	b := pool(t, "b", nil)
	join(t, b, a)
	seen := func() []Tags {
		var out []Tags
		for _, m := range b.Servers() {
			out = append(out, m.Tags)
		}
		return out
	}
	require.Eventually(t, func() bool { return slices.Equal(seen(), []Tags{said}) }, 10*time.Second, 5*time.Millisecond, "%v", seen())
	said.Bootstrap = true
	require.NoError(t, a.SetTags(said))
	require.Equal(t, said, a.Tags())
	require.Eventually(t, func() bool { return slices.Equal(seen(), []Tags{said}) }, 10*time.Second, 5*time.Millisecond, "%v", seen())
}

// Roles decide who is a server; who is not alive is none.
func TestServers(t *testing.T) {
	t.Parallel()
	a := pool(t, "a", func(c *Config) { c.Tags.Role = "server" })
	both := pool(t, "both", func(c *Config) { c.Tags.Role = "server+client" })
	client := pool(t, "client", nil)
	join(t, both, a)
	join(t, client, a)
	names := func() (out []string) {
		for _, m := range client.Servers() {
			out = append(out, m.Name)
		}
		slices.Sort(out)
		return out
	}
	require.Eventually(t, func() bool { return slices.Equal(names(), []string{"a", "both"}) }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, both.Close())
	require.Eventually(t, func() bool { return slices.Equal(names(), []string{"a"}) }, 20*time.Second, 5*time.Millisecond)
}

// Who leaves is told from who fails, and the hooks hear of both.
func TestLeaveAndFailure(t *testing.T) {
	t.Parallel()
	a := pool(t, "a", nil)
	var mu sync.Mutex
	heard := map[string]bool{}
	a.OnChange(func(ms []Member) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range ms {
			heard[m.Name+" "+m.Status] = true
		}
	})
	leaver, failer := pool(t, "leaver", nil), pool(t, "failer", nil)
	join(t, leaver, a)
	join(t, failer, a)
	becomes(t, a, "leaver", "alive")
	becomes(t, a, "failer", "alive")
	require.NoError(t, leaver.Leave())
	require.NoError(t, leaver.Close())
	require.NoError(t, failer.Close())
	becomes(t, a, "leaver", "left")
	becomes(t, a, "failer", "failed")
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return heard["leaver alive"] && heard["leaver left"] && heard["failer alive"] && heard["failer failed"]
	}, 10*time.Second, 5*time.Millisecond)
}

// An agent with another key, or none, stays outside.
func TestKey(t *testing.T) {
	t.Parallel()
	key := func(b byte) func(*Config) { return func(c *Config) { c.Key = slices.Repeat([]byte{b}, 32) } }
	a := pool(t, "a", key(1))
	for name, change := range map[string]func(*Config){"other-key": key(2), "no-key": nil} {
		x := pool(t, name, change)
		_, err := x.Join([]string{a.addr(t)})
		require.Error(t, err, name)
		require.Len(t, a.Members(), 1)
	}
	join(t, pool(t, "same-key", key(1)), a)
	becomes(t, a, "same-key", "alive")
	_, err := New(Config{NodeName: "x", BindAddr: freeAddr(t), Key: make([]byte, 7), Logger: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "must be 16, 24 or 32 bytes, not 7")
}

// An agent that is started again finds the others by itself: it remembers them, also when it left in good order.
func TestRejoin(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"killed": false, "left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := pool(t, "a", nil)
			addr, file := freeAddr(t), filepath.Join(t.TempDir(), "members")
			settings := func(c *Config) { c.BindAddr, c.Snapshot = addr, file }
			b := pool(t, "b", settings)
			join(t, b, a)
			becomes(t, b, "a", "alive")
			becomes(t, a, "b", "alive")
			require.Eventually(t, func() bool { // Serf writes members down with the next thing that happens, and nothing any more once it leaves
				require.NoError(t, b.serf.UserEvent("something", nil, false))
				known, err := os.ReadFile(file)
				return err == nil && bytes.Contains(known, []byte("alive: a "))
			}, 10*time.Second, 20*time.Millisecond)
			if leave {
				require.NoError(t, b.Leave())
			}
			require.NoError(t, b.Close())
			require.Eventually(t, func() bool { return status(a, "b") != "alive" }, 20*time.Second, 5*time.Millisecond)
			b = pool(t, "b", settings)
			becomes(t, b, "a", "alive")
			becomes(t, a, "b", "alive")
		})
	}
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "nonsense", "127.0.0.1", "127.0.0.1:port"} {
		_, err := New(Config{NodeName: "x", BindAddr: addr, Logger: hclog.NewNullLogger()})
		require.ErrorContains(t, err, "bind address", addr)
		_, err = New(Config{NodeName: "x", BindAddr: freeAddr(t), AdvertiseAddr: cmp.Or(addr, "x"), Logger: hclog.NewNullLogger()})
		require.ErrorContains(t, err, "advertise address", addr)
	}
	p := pool(t, "lonely", nil)
	_, err := p.Join([]string{freeAddr(t)})
	require.ErrorContains(t, err, "cannot join any of")
}
