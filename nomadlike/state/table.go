package state

import (
	"fmt"
	"iter"
	"slices"

	"github.com/hashicorp/go-memdb"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// entity is what every stored record embeds (structs.Meta).
type entity interface{ GetMeta() *structs.Meta }

// index is a secondary index of a table: keys returns the components of the entity's key, nil when the entity is not in
// the index. A component is a string; each is followed by a zero byte, so that a prefix of components is a prefix of bytes.
type index[T any] struct {
	name string
	keys func(*T) []string
}

// Table describes one replicated table. A file of this package makes it with newTable, which also registers it for
// persist and restore: nothing else need know that it exists.
type Table[T any] struct {
	name string
	id   func(*T) []string
}

// anyTable is a Table without its type, for what is done to all tables.
type anyTable interface {
	tableName() string
	empty(r Reader) bool
	persist(r Reader, enc encoder) error
	restore(tx *memdb.Txn, dec decoder, n int) error
}

type encoder interface{ Encode(v any) error }
type decoder interface{ Decode(v any) error }

var (
	schema = &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{}}
	tables []anyTable // sorted by name, so that snapshots of equal states are equal
)

// newTable registers a table; a name that is taken is a programmer's mistake and panics at start.
func newTable[T any](name string, id func(*T) []string, indexes ...index[T]) *Table[T] {
	if _, taken := schema.Tables[name]; taken {
		panic("state: table registered twice: " + name)
	}
	if _, ok := any(new(T)).(entity); !ok {
		panic("state: not an entity: " + name)
	}
	s := &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{
		"id": {Name: "id", Unique: true, Indexer: indexer[T]{id}},
	}}
	for _, ix := range indexes {
		s.Indexes[ix.name] = &memdb.IndexSchema{Name: ix.name, Unique: true, AllowMissing: true, Indexer: indexer[T]{withID(ix.keys, id)}}
	}
	schema.Tables[name] = s
	t := &Table[T]{name: name, id: id}
	tables = append(tables, t)
	slices.SortFunc(tables, func(a, b anyTable) int {
		if a.tableName() < b.tableName() {
			return -1
		}
		return 1
	})
	return t
}

// withID makes a secondary key unique by the primary one, which also gives every index a total order.
func withID[T any](keys, id func(*T) []string) func(*T) []string {
	return func(v *T) []string {
		k := keys(v)
		if k == nil {
			return nil
		}
		return append(k, id(v)...)
	}
}

func (t *Table[T]) tableName() string { return t.name }

func (t *Table[T]) empty(r Reader) bool {
	for range all(r, t) {
		return false
	}
	return true
}

// indexer is memdb's view of a key function.
type indexer[T any] struct{ keys func(*T) []string }

func (x indexer[T]) FromObject(raw any) (bool, []byte, error) {
	v, ok := raw.(*T)
	if !ok {
		return false, nil, fmt.Errorf("state: wrong type %T in table", raw)
	}
	k := x.keys(v)
	if k == nil {
		return false, nil, nil
	}
	return true, joinKey(k), nil
}

func (x indexer[T]) FromArgs(args ...any) ([]byte, error) { return argKey(args) }

func (x indexer[T]) PrefixFromArgs(args ...any) ([]byte, error) { return argKey(args) }

func argKey(args []any) ([]byte, error) {
	k, ok := args[0].([]string)
	if !ok || len(args) != 1 {
		return nil, fmt.Errorf("state: a key is one []string, not %v", args)
	}
	return joinKey(k), nil
}

func joinKey(k []string) []byte {
	n := 0
	for _, s := range k {
		n += len(s) + 1
	}
	b := make([]byte, 0, n)
	for _, s := range k {
		b = append(append(b, s...), 0)
	}
	return b
}

// persist writes the table: its name, how many, then each in the order of its id.
func (t *Table[T]) persist(r Reader, enc encoder) error {
	n := 0
	for range all(r, t) {
		n++
	}
	if err := enc.Encode(tableHeader{t.name, n}); err != nil {
		return err
	}
	for v := range all(r, t) {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table[T]) restore(tx *memdb.Txn, dec decoder, n int) error {
	for range n {
		v := new(T)
		if err := dec.Decode(v); err != nil {
			return fmt.Errorf("state: table %s: %w", t.name, err)
		}
		if err := tx.Insert(t.name, v); err != nil {
			return fmt.Errorf("state: table %s: %w", t.name, err)
		}
	}
	return nil
}

// one returns the first of a sequence, or nil.
func one[T any](s iter.Seq[*T]) *T {
	for v := range s {
		return v
	}
	return nil
}
