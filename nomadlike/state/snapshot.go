package state

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// snapshotMagic begins every snapshot; the version of what follows is in snapshotHeader.
const snapshotMagic = "KILONOVA"

// SnapshotVersion is the newest snapshot layout that this program reads and the one that it writes.
const SnapshotVersion = 1

type snapshotHeader struct {
	Version uint32 `codec:"v"`
	Index   uint64 `codec:"i"`
	Tables  int    `codec:"t"`
}

type tableHeader struct {
	Name  string `codec:"n"`
	Count int    `codec:"c"`
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// Persist writes the moment. Equal states at equal indexes give equal bytes: tables and records are in the order of
// their names and ids, and the encoding is canonical.
func (r Reader) Persist(w io.Writer) error {
	sum := crc64.New(crcTable)
	buf := bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10)
	if _, err := buf.WriteString(snapshotMagic); err != nil {
		return err
	}
	enc := structs.NewEncoder(buf)
	written := r.written()
	if err := enc.Encode(snapshotHeader{SnapshotVersion, r.index, len(written)}); err != nil {
		return err
	}
	for _, t := range written {
		if err := t.persist(r, enc); err != nil {
			return err
		}
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return structs.NewEncoder(w).Encode(sum.Sum64())
}

// founding are the tables of the first program, which are written empty or not. A table that came later is written only when it holds something: a
// state that does not use it has the same bytes as before, and an older program reads its snapshot.
var founding = []string{"claims", "cluster", "counters", "domains", "evaluations", "flavors", "grants", "host_usages", "hosts", "images", "instances", "keypairs",
	"operations", "projects", "quota_usages", "quotas", "revocations", "roles", "token_keys", "users"}

// written are the tables that a snapshot of this moment has.
func (r Reader) written() []anyTable {
	var out []anyTable
	for _, t := range tables {
		if slices.Contains(founding, t.tableName()) || !t.empty(r) {
			out = append(out, t)
		}
	}
	return out
}

// Restore replaces the whole state by a snapshot. On error the state is as before. Watches of the old state fire.
func (s *Store) Restore(rd io.Reader) error {
	src := &summed{r: bufio.NewReaderSize(rd, 256<<10), sum: crc64.New(crcTable), last: -1}
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(src, magic); err != nil || string(magic) != snapshotMagic {
		return errors.New("state: not a Kilonova snapshot")
	}
	dec := structs.NewDecoder(src)
	var h snapshotHeader
	if err := dec.Decode(&h); err != nil {
		return fmt.Errorf("state: snapshot header: %w", err)
	}
	if h.Version == 0 || h.Version > SnapshotVersion {
		return fmt.Errorf("state: snapshot version %d; this program reads up to %d: use a newer program", h.Version, SnapshotVersion)
	}
	db := newDB()
	tx := db.Txn(true)
	defer tx.Abort()
	byName := map[string]anyTable{}
	for _, t := range tables {
		byName[t.tableName()] = t
	}
	for range h.Tables {
		var th tableHeader
		if err := dec.Decode(&th); err != nil {
			return fmt.Errorf("state: snapshot table header: %w", err)
		}
		t, ok := byName[th.Name]
		if !ok {
			return fmt.Errorf("state: snapshot has the unknown table %q: use a newer program", th.Name)
		}
		if err := t.restore(tx, dec, th.Count); err != nil {
			return err
		}
	}
	want := src.Sum64()
	var got uint64
	if err := dec.Decode(&got); err != nil || got != want {
		return errors.New("state: snapshot is damaged: its checksum does not match")
	}
	tx.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.index = db, h.Index
	close(s.abandon)
	s.abandon = make(chan struct{})
	close(s.moved)
	s.moved = make(chan struct{})
	for _, f := range s.hooks {
		f(s.index, nil)
	}
	return nil
}

// summed hands bytes to the decoder one request at a time, so that the sum covers exactly what was decoded. The last
// byte is summed late, because the decoder may put it back.
type summed struct {
	r    *bufio.Reader
	sum  hash.Hash64
	last int // the byte not yet summed, or -1
}

func (s *summed) settle() {
	if s.last >= 0 {
		s.sum.Write([]byte{byte(s.last)})
		s.last = -1
	}
}

func (s *summed) Sum64() uint64 { s.settle(); return s.sum.Sum64() }

func (s *summed) Read(p []byte) (int, error) {
	s.settle()
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	s.settle()
	b, err := s.r.ReadByte()
	if err == nil {
		s.last = int(b)
	}
	return b, err
}

func (s *summed) UnreadByte() error {
	s.last = -1
	return s.r.UnreadByte()
}
