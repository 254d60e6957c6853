package blob

import (
	"context"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Single is the nomadlike.Blobs of a cluster of one server: its own store is all there is.
type Single struct {
	Store    *Store
	ServerID structs.ServerID
}

var _ nomadlike.Blobs = Single{}

// Create stages a new blob.
func (s Single) Create(ctx context.Context) (nomadlike.BlobWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := s.Store.Create()
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Open returns the blob; KindNotFound when the store has none. What it returns is an io.Seeker too.
func (s Single) Open(ctx context.Context, sha512 string) (io.ReadCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	f, size, err := s.Store.OpenChecked(sha512)
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}

// Spread has nobody to copy to: it returns this server when it has the blob, KindNotFound otherwise.
func (s Single) Spread(ctx context.Context, sha512 string) ([]structs.ServerID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.Store.Keep(sha512) {
		return nil, notFound(sha512)
	}
	return []structs.ServerID{s.ServerID}, nil
}
