package cluster

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// expireConsoleTokens removes the tokens of consoles whose time is over. They open nothing any more: this is for room alone.
func (s *Server) expireConsoleTokens(ctx context.Context, r state.Reader, at structs.Time) error {
	n := 0
	for t := range r.ConsoleTokens() {
		if t.Valid(at) || n > reapBatch {
			break
		}
		n++
	}
	if n == 0 {
		return nil
	}
	if n > reapBatch {
		s.duties.wake("reaper")
	}
	_, err := fsm.ConsoleTokenExpire.Propose(ctx, asLeader{s}, &structs.ConsoleTokenExpireRequest{Now: at, Limit: reapBatch})
	return err
}
