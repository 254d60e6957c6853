// Package fsm turns log entries into state transactions. Each entity's file registers the commands that change it; nothing
// here lists them.
//
// A log entry carries many commands (group commit). Each command is applied whole or not at all: when it is refused, what
// it had written is rolled back, and the commands beside it stand. A command's effect depends on the command and the
// state alone: the proposer put the time, the ids and every random choice into it.
package fsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Type numbers a command in the log, forever: numbers are appended, never reused or changed in meaning.
type Type uint16

// IgnoreUnknown marks a type that a server may skip when it does not know it, because skipping leaves equal states on
// all servers. Any other unknown type stops the server rather than let it diverge.
const IgnoreUnknown Type = 0x8000

// logVersion is the layout of an entry: version, count, then type, length and body of each command.
const logVersion = 1

// MaxEntryBytes bounds an entry's size, so that replicating one does not starve heartbeats.
const MaxEntryBytes = 1 << 20

type command struct {
	name  string
	apply func(tx *state.Txn, body []byte) (any, error)
}

var commands = map[Type]command{}

// Command is a registered kind of change with its request and its answer.
type Command[Req, Resp any] struct {
	Type Type
	Name string
}

// Proposer commits a command through the leader and returns what it answered: a Resp where the leader is in this process, else Encoded.
// An error carries its kind. After a KindTimeout or KindUnavailable the command may or may not have been applied.
type Proposer interface {
	Propose(ctx context.Context, typ Type, body []byte) (index uint64, resp any, err error)
}

// Encoded is an answer that crossed RPC.
type Encoded []byte

// register adds a command; a taken number is a programmer's mistake and panics at start.
func register[Req, Resp any](typ Type, name string, apply func(*state.Txn, *Req) (Resp, error)) Command[Req, Resp] {
	if old, taken := commands[typ]; taken {
		panic(fmt.Sprintf("fsm: type %d of %s is already %s", typ, name, old.name))
	}
	commands[typ] = command{name, func(tx *state.Txn, body []byte) (any, error) {
		req := new(Req)
		if err := structs.Decode(body, req); err != nil {
			return nil, structs.Errorf(structs.KindInvalid, "cannot decode %s: %w", name, err)
		}
		return apply(tx, req)
	}}
	return Command[Req, Resp]{typ, name}
}

// registerOnce is register for a command whose repetition would answer otherwise than the first time: what it makes is there, what it takes away is gone, what it
// changed has another version.
func registerOnce[Req, Resp any](typ Type, name string, apply func(*state.Txn, *Req) (Resp, error)) Command[Req, Resp] {
	onceOnly[typ] = true
	return register(typ, name, apply)
}

// Propose commits req and returns the state machine's answer.
func (c Command[Req, Resp]) Propose(ctx context.Context, p Proposer, req *Req) (Resp, error) {
	r, _, err := c.ProposeIndex(ctx, p, req)
	return r, err
}

// ProposeIndex is Propose that also returns the log index, for who wants to wait for it elsewhere.
func (c Command[Req, Resp]) ProposeIndex(ctx context.Context, p Proposer, req *Req) (Resp, uint64, error) {
	var zero Resp
	body, err := structs.Encode(req)
	if err != nil {
		return zero, 0, structs.Errorf(structs.KindInternal, "encode %s: %w", c.Name, err)
	}
	index, v, err := p.Propose(ctx, c.Type, body)
	if err != nil {
		return zero, index, err
	}
	switch v := v.(type) {
	case Resp:
		return v, index, nil
	case Encoded:
		var r Resp
		if err := structs.Decode(v, &r); err != nil {
			return zero, index, structs.Errorf(structs.KindInternal, "decode the answer of %s: %w", c.Name, err)
		}
		return r, index, nil
	}
	return zero, index, nil
}

// Item is one command of an entry.
type Item struct {
	Type Type
	Body []byte
}

// EncodeEntry lays out an entry.
func EncodeEntry(items []Item) []byte {
	n := 8
	for _, it := range items {
		n += len(it.Body) + 10
	}
	b := make([]byte, 0, n)
	b = append(b, logVersion)
	b = binary.AppendUvarint(b, uint64(len(items)))
	for _, it := range items {
		b = binary.BigEndian.AppendUint16(b, uint16(it.Type))
		b = binary.AppendUvarint(b, uint64(len(it.Body)))
		b = append(b, it.Body...)
	}
	return b
}

var errDamaged = errors.New("fsm: damaged log entry")

// DecodeEntry is the reverse. The bodies share data.
func DecodeEntry(data []byte) ([]Item, error) {
	if len(data) == 0 || data[0] != logVersion {
		return nil, fmt.Errorf("%w: unknown layout", errDamaged)
	}
	data = data[1:]
	count, n := binary.Uvarint(data)
	if n <= 0 || count > uint64(len(data)) {
		return nil, errDamaged
	}
	data = data[n:]
	items := make([]Item, 0, count)
	for range count {
		if len(data) < 2 {
			return nil, errDamaged
		}
		typ := Type(binary.BigEndian.Uint16(data))
		size, n := binary.Uvarint(data[2:])
		if n <= 0 || size > uint64(len(data)-2-n) {
			return nil, errDamaged
		}
		data = data[2+n:]
		items = append(items, Item{typ, data[:size:size]})
		data = data[size:]
	}
	return items, nil
}

// Result is what one command of an entry answered.
type Result struct {
	Value any
	Err   error
}

// Apply applies one entry within tx and returns a result for each command. It panics on what this program cannot
// understand: going on would let this server's state differ from the others'.
func Apply(tx *state.Txn, index uint64, data []byte) []Result {
	items, err := DecodeEntry(data)
	if err != nil {
		panic(fmt.Sprintf("fsm: entry %d: %v: the log is damaged or was written by a newer program", index, err))
	}
	tx.SetIndex(index)
	results := make([]Result, len(items))
	for i, it := range items {
		c, known := commands[it.Type]
		if !known {
			if it.Type&IgnoreUnknown != 0 {
				results[i].Err = structs.Errorf(structs.KindNotSupported, "this server does not know command %d", it.Type)
				continue
			}
			panic(fmt.Sprintf("fsm: entry %d has the unknown type %d: run a program at least as new as the leader's", index, it.Type))
		}
		mark := tx.Mark()
		v, err := c.apply(tx, it.Body)
		if err != nil {
			tx.Rollback(mark)
			v = nil
		}
		results[i] = Result{v, err}
	}
	return results
}

// CommandName returns the name of a type, for metrics and logs.
func CommandName(t Type) string {
	if c, ok := commands[t]; ok {
		return c.name
	}
	return fmt.Sprintf("type-%d", t)
}

// None is the answer of a command that answers nothing.
type None struct{}

// onceOnly are the commands whose repetition would answer otherwise than the first time (a taken name). All others may be
// repeated when nobody knows whether they were applied: their effect is bound to ids that the proposer chose.
var onceOnly = map[Type]bool{FlavorCreate.Type: true, FlavorDelete.Type: true,
	FlavorAccessAdd.Type: true, FlavorAccessRemove.Type: true, FlavorSpecsSet.Type: true, FlavorSpecDelete.Type: true, KeypairCreate.Type: true, KeypairDelete.Type: true,
	ImageUpsert.Type: true, ImageDelete.Type: true, IdentityUpsert.Type: true, HostDelete.Type: true,
	InstanceMetadata.Type: true, InstanceTags.Type: true, QuotaUpdate.Type: true, QuotaDelete.Type: true, QuotaClassUpdate.Type: true, ServerGroupDelete.Type: true,
	AggregateCreate.Type: true, AggregateDelete.Type: true, AggregateAddHost.Type: true, AggregateRemoveHost.Type: true}

// Repeatable reports whether the command may be proposed again when its fate is unknown.
func Repeatable(t Type) bool { return !onceOnly[t] }
