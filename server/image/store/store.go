// Package store is where the bytes of images are kept: the servers' own content-addressed store, which is always there, and others.
//
// Whatever store an image is for, its bytes come to a server's own store first, where they are hashed and inspected; Put then brings them to where they are to
// stay. The servers drop what they need not have.
package store

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Info is what users see of a store; Type, Properties and Weight are for administrators.
type Info struct {
	ID          string
	Description string
	Type        string
	Properties  map[string]any
}

// Store keeps bytes of images. It is safe for concurrent use.
type Store interface {
	Info() Info
	// Put makes bytes that the servers' store has durable here; what is here already is success. It returns the servers that have them, of the servers' own
	// store. KindUnavailable when the store cannot be reached.
	Put(ctx context.Context, core nomadlike.Core, sums nomadlike.BlobSums) ([]structs.ServerID, error)
	// Open reads the image's bytes. Only the servers' own store needs the core. What is not what was put is an error before the last of them are read. KindNotFound when the store has them not,
	// KindUnavailable when it cannot be reached.
	Open(ctx context.Context, core nomadlike.Core, i *structs.Image) (r io.ReadCloser, size int64, err error)
}

// Sweeper is a store from which somebody has to remove what no image names any more, and has so for age (0: the store's own time).
type Sweeper interface {
	Sweep(ctx context.Context, core nomadlike.Core, age time.Duration) (removed int, err error)
}

// Set is the stores that there are.
type Set struct {
	list []Store
	def  string
}

// NewSet returns the servers' own store and the others, of which def is used when none is asked for; "" is the servers' own.
func NewSet(def string, others ...Store) (*Set, error) {
	if def == "" {
		def = structs.StoreServers
	}
	s := &Set{def: def}
	for _, st := range append([]Store{Servers{}}, others...) {
		if s.Get(st.Info().ID) != nil {
			return nil, structs.Errorf(structs.KindInvalid, "two stores of images are called %q", st.Info().ID)
		}
		s.list = append(s.list, st)
	}
	if s.Get(def) == nil {
		return nil, structs.Errorf(structs.KindInvalid, "there is no store of images called %q", def)
	}
	return s, nil
}

// Default is the id of the store that is used when none is asked for.
func (s *Set) Default() string { return s.def }

// All returns the stores in their order.
func (s *Set) All() []Store { return s.list }

// IDs returns the stores' ids in their order.
func (s *Set) IDs() []string {
	ids := make([]string, len(s.list))
	for n, st := range s.list {
		ids[n] = st.Info().ID
	}
	return ids
}

// Get returns a store by id, or nil.
func (s *Set) Get(id string) Store {
	if n := slices.IndexFunc(s.list, func(st Store) bool { return st.Info().ID == id }); n >= 0 {
		return s.list[n]
	}
	return nil
}

// Open reads an image's bytes from the first of its stores that gives them, those of preferred first.
func (s *Set) Open(ctx context.Context, core nomadlike.Core, i *structs.Image, preferred ...string) (io.ReadCloser, int64, error) {
	ids := slices.DeleteFunc(slices.Clone(preferred), func(id string) bool { return !i.InStore(id) })
	return s.openFrom(ctx, core, i, append(ids, i.StoreIDs()...))
}

// OpenElsewhere reads them from another store than the servers' own: it is what the servers' own does when it has them not.
func (s *Set) OpenElsewhere(ctx context.Context, i *structs.Image) (io.ReadCloser, int64, error) {
	return s.openFrom(ctx, nil, i, slices.DeleteFunc(slices.Clone(i.StoreIDs()), func(id string) bool { return id == structs.StoreServers }))
}

func (s *Set) openFrom(ctx context.Context, core nomadlike.Core, i *structs.Image, ids []string) (io.ReadCloser, int64, error) {
	var err error = structs.Errorf(structs.KindNotFound, "no store has the data of image %s", i.ID)
	for _, id := range ids {
		st := s.Get(id)
		if st == nil {
			err = structs.Errorf(structs.KindUnavailable, "the data of image %s lie in the store %q, which this server does not know", i.ID, id)
			continue
		}
		r, size, oerr := st.Open(ctx, core, i)
		if oerr == nil {
			return r, size, nil
		}
		err = oerr
	}
	return nil, 0, err
}

// Servers is the servers' own store.
type Servers struct{}

// Info describes the store.
func (Servers) Info() Info {
	return Info{ID: structs.StoreServers, Description: "The servers' own disks", Type: "file", Properties: map[string]any{}}
}

// Put spreads the bytes to most servers.
func (Servers) Put(ctx context.Context, core nomadlike.Core, sums nomadlike.BlobSums) ([]structs.ServerID, error) {
	return core.Blobs().Spread(ctx, sums.SHA512)
}

// Open reads from this server or another.
func (Servers) Open(ctx context.Context, core nomadlike.Core, i *structs.Image) (io.ReadCloser, int64, error) {
	return core.Blobs().Open(ctx, i.SHA512)
}
