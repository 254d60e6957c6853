package token

import (
	"slices"

	"github.com/fernet/fernet-go"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TokenKeys returns the ring as a slice, for nomadlike.RotateTokenKeys.
func TokenKeys(r state.Reader) []*structs.TokenKey { return slices.Collect(r.TokenKeys()) }

// signingKey returns the newest key that every server can be expected to have.
func signingKey(r state.Reader, now structs.Time) (*fernet.Key, error) {
	keys := nomadlike.TokenKeysByAge(TokenKeys(r))
	if len(keys) == 0 {
		return nil, structs.Errorf(structs.KindUnavailable, "the cluster has no token key yet; its leader is about to make one")
	}
	chosen := keys[len(keys)-1]
	if n := len(keys); n > 1 && now.Sub(chosen.CreatedAt) < nomadlike.TokenKeySettle {
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
	for _, k := range slices.Backward(nomadlike.TokenKeysByAge(TokenKeys(r))) {
		if f, err := fernetKey(k); err == nil {
			out = append(out, f)
		}
	}
	return out
}
