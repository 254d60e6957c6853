package nomadlike

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TokenKeySettle is how long a new token key only verifies: meanwhile every server that keeps up learns it, and none is handed a token of a key that it does
// not have yet. When there is no older key the new one signs at once.
const TokenKeySettle = 10 * time.Second

// NewTokenKey makes a key of the ring. Only proposers call it.
func NewTokenKey(now structs.Time) structs.TokenKey {
	k := structs.TokenKey{ID: NewHexID(), Key: make([]byte, 32), CreatedAt: now}
	_, _ = rand.Read(k.Key) // crypto/rand never fails
	return k
}

// RotateTokenKeys decides what the leader proposes at now: nil when the ring is as it should be. A key is added when there is none or the
// newest is as old as a token can get; a key is dropped when its successor has been signing for that long, for then no token of it is
// valid any more. ttl is the longest life of a token.
func RotateTokenKeys(keys []*structs.TokenKey, now structs.Time, ttl time.Duration) *structs.TokenKeyRotateRequest {
	keys = TokenKeysByAge(keys)
	if n := len(keys); n > 0 && now.Sub(keys[n-1].CreatedAt) < ttl {
		return nil
	}
	req := &structs.TokenKeyRotateRequest{Key: NewTokenKey(now)}
	for i := range len(keys) - 1 {
		if now.Sub(keys[i+1].CreatedAt) >= ttl+2*TokenKeySettle {
			req.Drop = append(req.Drop, keys[i].ID)
		}
	}
	return req
}

// TokenKeysByAge returns the keys oldest first.
func TokenKeysByAge(keys []*structs.TokenKey) []*structs.TokenKey {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b *structs.TokenKey) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys
}
