package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxConsoleTokens bounds the tokens of one instance: of more, the oldest go. Who asks again and again could fill the state otherwise.
const maxConsoleTokens = 100

// ConsoleTokenCreate records a token for an instance's console.
var ConsoleTokenCreate = register(47, "console-token-create", func(tx *state.Txn, r *structs.ConsoleTokenCreateRequest) (None, error) {
	t := &r.Token
	if t.Hash == "" {
		return None{}, structs.Errorf(structs.KindInvalid, "a console token needs a hash")
	}
	ins := tx.Instance(t.InstanceID)
	switch {
	case ins == nil || ins.Deleted():
		return None{}, notFound(t.InstanceID)
	case ins.HostID == "" || ins.HostID != t.HostID:
		return None{}, structs.Errorf(structs.KindConflict, "Instance %s is not ready", ins.ID)
	}
	if tx.ConsoleToken(t.Hash) != nil {
		return None{}, nil // proposed again by someone who did not learn that it was applied
	}
	have := slices.Collect(tx.ConsoleTokensOfInstance(ins.ID))
	for len(have) >= maxConsoleTokens {
		tx.DeleteConsoleToken(have[0].Hash)
		have = have[1:]
	}
	tx.PutConsoleToken(t)
	return None{}, nil
})

// ConsoleTokenExpire removes tokens whose time is over.
var ConsoleTokenExpire = register(48, "console-token-expire", func(tx *state.Txn, r *structs.ConsoleTokenExpireRequest) (None, error) {
	var old []string
	for t := range tx.ConsoleTokens() {
		if t.Valid(r.Now) || len(old) >= r.Limit {
			break
		}
		old = append(old, t.Hash)
	}
	for _, hash := range old {
		tx.DeleteConsoleToken(hash)
	}
	return None{}, nil
})
