package identity

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	"github.com/fernet/fernet-go"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// keySettle is how long a new key only verifies: meanwhile every server that keeps up learns it, and none is handed a token of a key
// that it does not have yet. When there is no older key the new one signs at once.
const keySettle = 10 * time.Second

// NewTokenKey makes a key of the ring. Only proposers call it.
func NewTokenKey(now structs.Time) structs.TokenKey {
	k := structs.TokenKey{ID: nomadlike.NewHexID(), Key: make([]byte, 32), CreatedAt: now}
	_, _ = rand.Read(k.Key) // crypto/rand never fails
	return k
}

// RotateTokenKeys decides what the leader proposes at now: nil when the ring is as it should be. A key is added when there is none or the
// newest is as old as a token can get; a key is dropped when its successor has been signing for that long, for then no token of it is
// valid any more. ttl is the longest life of a token.
func RotateTokenKeys(keys []*structs.TokenKey, now structs.Time, ttl time.Duration) *structs.TokenKeyRotateRequest {
	keys = byAge(keys)
	if n := len(keys); n > 0 && now.Sub(keys[n-1].CreatedAt) < ttl {
		return nil
	}
	req := &structs.TokenKeyRotateRequest{Key: NewTokenKey(now)}
	for i := range len(keys) - 1 {
		if now.Sub(keys[i+1].CreatedAt) >= ttl+2*keySettle {
			req.Drop = append(req.Drop, keys[i].ID)
		}
	}
	return req
}

// TokenKeys returns the ring as a slice, for RotateTokenKeys.
func TokenKeys(r state.Reader) []*structs.TokenKey { return slices.Collect(r.TokenKeys()) }

// byAge sorts oldest first.
func byAge(keys []*structs.TokenKey) []*structs.TokenKey {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b *structs.TokenKey) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys
}

// signingKey returns the newest key that every server can be expected to have.
func signingKey(r state.Reader, now structs.Time) (*fernet.Key, error) {
	keys := byAge(TokenKeys(r))
	if len(keys) == 0 {
		return nil, structs.Errorf(structs.KindUnavailable, "the cluster has no token key yet; its leader is about to make one")
	}
	chosen := keys[len(keys)-1]
	if n := len(keys); n > 1 && now.Sub(chosen.CreatedAt) < keySettle {
		chosen = keys[n-2]
	}
	return fernetKey(chosen)
}

func fernetKey(k *structs.TokenKey) (*fernet.Key, error) {
	var f fernet.Key
	if len(k.Key) != len(f) {
		return nil, structs.Errorf(structs.KindInternal, "token key %s has %d bytes, not %d", k.ID, len(k.Key), len(f))
	}
	copy(f[:], k.Key)
	return &f, nil
}

// verifyKeys returns all keys, newest first: most tokens are the newest key's.
func verifyKeys(r state.Reader) []*fernet.Key {
	var out []*fernet.Key
	for _, k := range slices.Backward(byAge(TokenKeys(r))) {
		if f, err := fernetKey(k); err == nil {
			out = append(out, f)
		}
	}
	return out
}
