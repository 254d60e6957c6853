package fsm_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// console records a token of an instance where it is.
func (w *world) console(id structs.InstanceID, hash string, expires structs.Time) error {
	t := structs.ConsoleToken{Hash: hash, InstanceID: id, CreatedAt: w.now, ExpiresAt: expires}
	if ins := w.store.Snapshot().Instance(id); ins != nil {
		t.HostID = ins.HostID
	}
	_, err := fsm.ConsoleTokenCreate.Propose(context.Background(), w, &structs.ConsoleTokenCreateRequest{Token: t})
	return err
}

// hashes are those of the tokens that there are, by their end.
func (w *world) hashes() (list []string) {
	for t := range w.store.Snapshot().ConsoleTokens() {
		list = append(list, t.Hash)
	}
	return list
}

// A token stays until its time is over; which those are the command says, not a clock.
func TestConsoleTokensExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ids, err := w.create(2)
	require.NoError(t, err)
	require.True(t, structs.IsKind(w.console(ids[0], "early", 5), structs.KindConflict), "it has no host yet")
	w.settle()
	for i, hash := range []string{"c", "b", "a"} {
		require.NoError(t, w.console(ids[i%2], hash, structs.Time(30-10*i)))
	}
	require.NoError(t, w.console(ids[0], "a", 1000)) // again, by somebody who did not learn that it was applied
	require.Equal(t, []string{"a", "b", "c"}, w.hashes())
	require.True(t, structs.IsKind(w.console("nobody", "x", 5), structs.KindNotFound))
	require.True(t, structs.IsKind(w.console(ids[0], "", 5), structs.KindInvalid))
	expire := func(now structs.Time, limit int) {
		t.Helper()
		_, err := fsm.ConsoleTokenExpire.Propose(t.Context(), w, &structs.ConsoleTokenExpireRequest{Now: now, Limit: limit})
		require.NoError(t, err)
	}
	expire(9, 10)
	require.Equal(t, []string{"a", "b", "c"}, w.hashes())
	expire(10, 10)
	require.Equal(t, []string{"b", "c"}, w.hashes(), "one that ends now has ended")
	expire(100, 1)
	require.Equal(t, []string{"c"}, w.hashes())
	require.Contains(t, string(w.bytes()), "console_tokens")
	require.Equal(t, w.bytes(), w.replay())
	expire(100, 1)
	require.Empty(t, w.hashes())
	require.NotContains(t, string(w.bytes()), "console_tokens", "an older program reads the snapshot of a cluster without tokens")
	require.True(t, fsm.Repeatable(fsm.ConsoleTokenCreate.Type))
	require.True(t, fsm.Repeatable(fsm.ConsoleTokenExpire.Type))
}

// Of too many tokens for one instance the oldest go, those of others stay.
func TestConsoleTokensAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ids, err := w.create(2)
	require.NoError(t, err)
	w.settle()
	require.NoError(t, w.console(ids[1], "other", 1))
	for i := range 103 {
		w.now++
		require.NoError(t, w.console(ids[0], fmt.Sprintf("%03d", i), structs.Time(1000-i)))
	}
	have := w.hashes()
	require.Len(t, have, 101)
	require.Contains(t, have, "other")
	for i := range 103 {
		if hash := fmt.Sprintf("%03d", i); i < 3 {
			require.NotContains(t, have, hash)
		} else {
			require.Contains(t, have, hash)
		}
	}
}

// Whatever is done to an instance: it keeps its tokens while it is on their host, and no longer. What is done to it does not touch another's.
func TestConsoleTokensLeaveWithTheirInstance(t *testing.T) {
	t.Parallel()
	for _, k := range operation.Kinds()[1:] {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3)
			id := prepare(w, k)
			others, err := w.create(1)
			require.NoError(t, err)
			w.schedule()
			ins := w.store.Snapshot().Instance(id)
			require.NoError(t, w.console(others[0], "other", 1000))
			if ins.HostID != "" {
				require.NoError(t, w.console(id, "own", 1000))
			}
			w.settle()
			now := w.store.Snapshot().Instance(id)
			if now.HostID == ins.HostID && ins.HostID != "" && !now.Deleted() {
				require.Equal(t, []string{"other", "own"}, w.hashes())
			} else {
				require.Equal(t, []string{"other"}, w.hashes())
			}
			require.Equal(t, w.bytes(), w.replay())
		})
	}
	for kind, leaves := range map[structs.OperationKind]bool{structs.OpDelete: true, structs.OpLiveMigrate: true, structs.OpPause: false} {
		w := newWorld(t, 2)
		id := prepare(w, kind)
		require.NoError(t, w.console(id, "own", 1000))
		w.settle()
		require.Equal(t, leaves, len(w.hashes()) == 0, "%s", kind)
	}
}
