package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestGrantRenewExpire(t *testing.T) {
	t.Parallel()
	l := New(10 * time.Second)
	at := func(s int) structs.Time { return structs.Time(time.Duration(s+1) * time.Second) }
	_, ok := l.Renew("h", 1, at(0))
	require.False(t, ok, "nothing to renew before a registration")
	ends, ok := l.Grant("h", 2, at(0))
	require.True(t, ok)
	require.Equal(t, at(10), ends)
	_, ok = l.Renew("h", 1, at(1))
	require.False(t, ok, "an older life of the client must not renew")
	_, ok = l.Grant("h", 1, at(1))
	require.False(t, ok)
	_, ok = l.Renew("h", 2, at(5))
	require.True(t, ok)
	require.Empty(t, l.Expire(at(14)))
	require.Equal(t, []Expired{{"h", 2}}, l.Expire(at(15)))
	_, ok = l.Renew("h", 2, at(15))
	require.False(t, ok, "an ended lease is not renewed: register again")
	require.Zero(t, l.Next())
}

// A lease never ends before ttl has passed since its last renewal, always ends then, and leases end in order.
func TestLeaseProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const ttl = 100
		l := New(ttl)
		last := map[structs.HostID]structs.Time{}
		now := structs.Time(1)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += structs.Time(rapid.IntRange(0, 40).Draw(t, "dt"))
			switch id := structs.HostID(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "host")); rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				l.Grant(id, 1, now)
				last[id] = now
			case 1:
				if _, ok := l.Renew(id, 1, now); ok {
					last[id] = now
				}
			case 2:
				for _, e := range l.Expire(now) {
					if now < last[e.HostID]+ttl {
						t.Fatalf("%s ended at %d, renewed at %d", e.HostID, now, last[e.HostID])
					}
					delete(last, e.HostID)
				}
				for id, at := range last {
					if at+ttl <= now {
						t.Fatalf("%s should have ended by %d, renewed at %d", id, now, at)
					}
				}
			}
			if l.Len() != len(last) {
				t.Fatalf("%d leases, want %d", l.Len(), len(last))
			}
		}
	})
}
