package state

import (
	"iter"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var consoleTokenTable = newTable("console_tokens", func(v *structs.ConsoleToken) []string { return []string{v.Hash} },
	index[structs.ConsoleToken]{"instance", func(v *structs.ConsoleToken) []string {
		return []string{string(v.InstanceID), ascending(int64(v.CreatedAt))}
	}},
	index[structs.ConsoleToken]{"expires", func(v *structs.ConsoleToken) []string { return []string{ascending(int64(v.ExpiresAt))} }})

// ConsoleToken returns the token with that hash, expired or not, or nil.
func (r Reader) ConsoleToken(hash string) *structs.ConsoleToken {
	return first(r, consoleTokenTable, hash)
}

// ConsoleTokens iterates over all tokens, those that expire first first.
func (r Reader) ConsoleTokens() iter.Seq[*structs.ConsoleToken] {
	return prefix(r, consoleTokenTable, "expires")
}

// ConsoleTokensOfInstance iterates over an instance's tokens, oldest first.
func (r Reader) ConsoleTokensOfInstance(id structs.InstanceID) iter.Seq[*structs.ConsoleToken] {
	return prefix(r, consoleTokenTable, "instance", string(id))
}

// PutConsoleToken writes a token.
func (t *Txn) PutConsoleToken(v *structs.ConsoleToken) { put(t, consoleTokenTable, v) }

// DeleteConsoleToken removes a token; an unknown one is no error.
func (t *Txn) DeleteConsoleToken(hash string) { remove(t, consoleTokenTable, hash) }

// closeConsoles removes the tokens of an instance that no longer is where they lead: what listens there next may be another's.
func (t *Txn) closeConsoles(ins *structs.Instance) {
	for _, c := range slices.Collect(t.ConsoleTokensOfInstance(ins.ID)) {
		if ins.Deleted() || c.HostID != ins.HostID {
			t.DeleteConsoleToken(c.Hash)
		}
	}
}
