package coretest

import "github.com/kilonova-cloud/kilonova/nomadlike/state"

// Write changes the state directly, for states that no command brings about yet.
func (c *Core) Write(f func(tx *state.Txn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	tx := c.store.Begin(c.index)
	f(tx)
	tx.Commit()
}
