// Package state is the replicated state: go-memdb tables with typed queries, one file per table.
//
// What a read returns is shared and constant. Writes happen in one transaction per batch of log entries, made by
// nomadlike/fsm alone; inside it nothing reads a clock, is random or depends on the order of a map.
package state

import (
	"context"
	"iter"
	"sync"

	"github.com/hashicorp/go-memdb"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Change is one entity's change within a committed transaction: Before is nil for a new one, After for a removed one.
type Change struct {
	Table         string
	Before, After any // *structs.X
}

// CommitFunc is told of a commit, in commit order, after readers can see it. It must not block and must not write.
type CommitFunc func(index uint64, changes []Change)

// Store holds the newest state and who wants to hear of changes.
type Store struct {
	// mu orders commit, index and notices: a notice for index n is given after n is visible and before n+1 is.
	mu      sync.Mutex
	db      *memdb.MemDB
	index   uint64
	moved   chan struct{} // closed and replaced when index moves
	abandon chan struct{} // closed and replaced by Restore: watches of the old database will never fire
	hooks   []CommitFunc
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{db: newDB(), moved: make(chan struct{}), abandon: make(chan struct{})}
}

func newDB() *memdb.MemDB {
	db, err := memdb.NewMemDB(schema)
	if err != nil {
		panic("state: " + err.Error()) // the schema is a constant of the program
	}
	return db
}

// OnCommit adds a hook. Hooks are added before the store is used.
func (s *Store) OnCommit(f CommitFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, f)
}

// Index is the log index of the newest committed transaction.
func (s *Store) Index() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index
}

// Wait returns when the store has reached index, or with ctx's error.
func (s *Store) Wait(ctx context.Context, index uint64) error {
	for {
		s.mu.Lock()
		at, moved := s.index, s.moved
		s.mu.Unlock()
		if at >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Reader reads one moment of the state. The zero Reader is not valid.
type Reader struct {
	tx      *memdb.Txn
	index   uint64
	watch   memdb.WatchSet
	abandon chan struct{}
}

// Snapshot returns the newest moment.
func (s *Store) Snapshot() Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Reader{tx: s.db.Txn(false), index: s.index, abandon: s.abandon}
}

// Index is the log index of the moment.
func (r Reader) Index() uint64 { return r.index }

// Watching returns a reader of the same moment that adds whatever it reads to ws, which then fires when a later moment
// would answer otherwise, or when the whole state was replaced by a restore.
func (r Reader) Watching(ws memdb.WatchSet) Reader {
	if r.abandon != nil {
		ws.Add(r.abandon)
	}
	r.watch = ws
	return r
}

func (r Reader) add(ch <-chan struct{}) {
	if r.watch != nil {
		r.watch.Add(ch)
	}
}

// first returns the entity with that id, or nil.
func first[T any](r Reader, t *Table[T], key ...string) *T {
	ch, raw, err := r.tx.FirstWatch(t.name, "id", key)
	if err != nil {
		panic("state: " + err.Error()) // a wrong table or index name: a programmer's mistake
	}
	r.add(ch)
	if raw == nil {
		return nil
	}
	return raw.(*T)
}

// all iterates over a table in the order of its ids.
func all[T any](r Reader, t *Table[T]) iter.Seq[*T] { return prefix(r, t, "id") }

// prefix iterates over the entities whose key in the index begins with the components given, in key order.
func prefix[T any](r Reader, t *Table[T], index string, key ...string) iter.Seq[*T] {
	return scan[T](r, t.name, index, key)
}

func scan[T any](r Reader, table, index string, key []string) iter.Seq[*T] {
	if key == nil {
		key = []string{}
	}
	return func(yield func(*T) bool) {
		it, err := r.tx.Get(table, index+"_prefix", key)
		if err != nil {
			panic("state: " + err.Error())
		}
		r.add(it.WatchCh())
		for raw := it.Next(); raw != nil; raw = it.Next() {
			if !yield(raw.(*T)) {
				return
			}
		}
	}
}

// Txn is the one write transaction. It is also a Reader of its own uncommitted writes. Not safe for concurrent use.
type Txn struct {
	Reader
	store   *Store
	journal []Change
}

// Begin starts the transaction for the log entry at index. The caller ends it with Commit or Abort.
func (s *Store) Begin(index uint64) *Txn {
	s.mu.Lock()
	db := s.db
	s.mu.Unlock()
	return &Txn{Reader: Reader{tx: db.Txn(true), index: index}, store: s}
}

// SetIndex moves on to the next log entry of the same transaction.
func (t *Txn) SetIndex(index uint64) { t.index = index }

// Mark returns a point to roll back to.
func (t *Txn) Mark() int { return len(t.journal) }

// Rollback undoes everything since mark: an entry that is refused leaves nothing behind.
func (t *Txn) Rollback(mark int) {
	for i := len(t.journal) - 1; i >= mark; i-- {
		c := t.journal[i]
		var err error
		if c.Before == nil {
			err = t.tx.Delete(c.Table, c.After)
		} else {
			err = t.tx.Insert(c.Table, c.Before)
		}
		if err != nil {
			panic("state: rollback: " + err.Error())
		}
	}
	t.journal = t.journal[:mark]
}

// Commit makes the writes visible and tells the hooks.
func (t *Txn) Commit() {
	s := t.store
	s.mu.Lock()
	defer s.mu.Unlock()
	t.tx.Commit()
	if t.index > s.index {
		s.index = t.index
	}
	close(s.moved)
	s.moved = make(chan struct{})
	for _, f := range s.hooks {
		f(s.index, t.journal)
	}
}

// Abort drops the writes.
func (t *Txn) Abort() { t.tx.Abort() }

// put writes v, which the caller made or copied, and stamps its indexes.
func put[T any](t *Txn, table *Table[T], v *T) {
	m := any(v).(entity).GetMeta()
	old := first(t.Reader, table, table.id(v)...)
	change := Change{Table: table.name, After: v}
	m.CreateIndex = t.index
	if old != nil {
		change.Before = old
		m.CreateIndex = any(old).(entity).GetMeta().CreateIndex
	}
	m.ModifyIndex = t.index
	if err := t.tx.Insert(table.name, v); err != nil {
		panic("state: insert into " + table.name + ": " + err.Error())
	}
	t.journal = append(t.journal, change)
}

// remove deletes the entity with that id and returns it, or nil when there is none.
func remove[T any](t *Txn, table *Table[T], key ...string) *T {
	old := first(t.Reader, table, key...)
	if old == nil {
		return nil
	}
	if err := t.tx.Delete(table.name, old); err != nil {
		panic("state: delete from " + table.name + ": " + err.Error())
	}
	t.journal = append(t.journal, Change{Table: table.name, Before: old})
	return old
}

// sortKey turns a time into a key component that sorts newest first.
func newestFirst(t structs.Time) string {
	n := ^uint64(t)
	b := [8]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return string(b[:])
}
