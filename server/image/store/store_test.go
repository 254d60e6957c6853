package store

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestVerified(t *testing.T) {
	t.Parallel()
	const text = "some bytes of an image"
	sum := sha512.Sum512([]byte(text))
	want := hex.EncodeToString(sum[:])
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r }} {
		open := func(text string, size int64) io.ReadCloser {
			return Verified(io.NopCloser(wrap(strings.NewReader(text))), size, want)
		}
		require.NoError(t, iotest.TestReader(open(text, int64(len(text))), []byte(text)))
		for _, bad := range []string{"Some bytes of an image", "some bytes of an imagE", "some bytes"} {
			got, err := io.ReadAll(open(bad, int64(len(text))))
			require.True(t, structs.IsKind(err, structs.KindUnavailable), "%q: %v", bad, err)
			require.Less(t, len(got), len(text))
		}
		got, err := io.ReadAll(open(text+" and more", int64(len(text))))
		require.NoError(t, err, "what follows is not read")
		require.Equal(t, text, string(got))
	}
	empty := sha512.Sum512(nil)
	got, err := io.ReadAll(Verified(io.NopCloser(strings.NewReader("")), 0, hex.EncodeToString(empty[:])))
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = io.ReadAll(Verified(io.NopCloser(strings.NewReader("")), 0, want))
	require.ErrorContains(t, err, "damaged")
	_, err = io.ReadAll(Verified(io.NopCloser(iotest.ErrReader(errors.New("reset"))), 5, want))
	require.ErrorContains(t, err, "cannot be read: reset")
}

// one is a store of one answer.
type one struct {
	id   string
	data string
	err  error
}

func (o one) Info() Info { return Info{ID: o.id} }

func (o one) Put(context.Context, nomadlike.Core, nomadlike.BlobSums) ([]structs.ServerID, error) {
	return nil, o.err
}

func (o one) Open(context.Context, nomadlike.Core, *structs.Image) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader([]byte(o.data))), int64(len(o.data)), o.err
}

func TestSet(t *testing.T) {
	t.Parallel()
	down := structs.Errorf(structs.KindUnavailable, "down")
	s, err := NewSet("b", one{"a", "of a", nil}, one{"b", "", down})
	require.NoError(t, err)
	require.Equal(t, []any{"b", []string{"servers", "a", "b"}, 3}, []any{s.Default(), s.IDs(), len(s.All())})
	_, err = NewSet("", one{id: "servers"})
	require.Error(t, err)
	_, err = NewSet("none")
	require.Error(t, err)
	read := func(preferred []string, stores ...string) (string, error) {
		r, _, err := s.Open(t.Context(), nil, &structs.Image{Status: structs.ImageActive, Stores: stores}, preferred...)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), err
	}
	got, err := read(nil, "b", "a")
	require.NoError(t, err, "another has it")
	require.Equal(t, "of a", got)
	_, err = read([]string{"a"}, "b")
	require.ErrorIs(t, err, down, "what does not have it is not asked")
	_, err = read(nil, "lost")
	require.ErrorContains(t, err, `the store "lost", which this server does not know`)
	r, _, err := s.OpenElsewhere(t.Context(), &structs.Image{Status: structs.ImageActive, Stores: []string{"servers", "a"}})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, _, err = s.OpenElsewhere(t.Context(), &structs.Image{Status: structs.ImageActive})
	require.True(t, structs.IsKind(err, structs.KindNotFound))
}
