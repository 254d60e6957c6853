package cluster

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// upload makes an active image of data through a server and returns its SHA-512.
func upload(t *testing.T, m *member, id structs.ImageID, data []byte) string {
	t.Helper()
	ctx := context.Background()
	w, err := m.Blobs().Create(ctx)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	sums, err := w.Commit()
	require.NoError(t, err)
	servers, err := m.Blobs().Spread(ctx, sums.SHA512)
	require.NoError(t, err)
	_, err = fsm.ImageCreate.Propose(ctx, m, &structs.ImageCreateRequest{Image: structs.Image{ID: id, Status: structs.ImageActive, Size: sums.Size, SHA512: sums.SHA512, Servers: servers}})
	require.NoError(t, err)
	return sums.SHA512
}

// holders are the members whose disk has a blob.
func (c *testCluster) holders(sha string) (ids []structs.ServerID) {
	for _, m := range c.members {
		if m.Server != nil && m.blobs.store.Has(sha) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// repairAll has every member repair its store; what is old enough to go is all that was put before.
func (c *testCluster) repairAll() {
	c.t.Helper()
	for _, m := range c.members {
		if m.Server != nil {
			require.NoError(c.t, m.blobs.repair(context.Background(), 0))
		}
	}
}

// damage changes the first byte of a blob on a member's disk.
func (m *member) damage(sha string) {
	m.t.Helper()
	f, _, err := m.blobs.store.Open(sha)
	require.NoError(m.t, err)
	b, err := io.ReadAll(f)
	require.NoError(m.t, err)
	require.NoError(m.t, f.Close())
	b[0] ^= 1
	require.NoError(m.t, os.WriteFile(f.Name(), b, 0o600))
}

func (m *member) read(t *testing.T, sha string) ([]byte, error) {
	t.Helper()
	r, _, err := m.Blobs().Open(context.Background(), sha)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// As many servers keep an image's bytes as are to, all servers give them, and the loss of a server is made up for once it is no peer any more.
func TestImageCopies(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{copies: 1})
	data := bytes.Repeat([]byte("x"), 1<<20)
	var shas []string
	for i := range 6 {
		data[0] = byte(i)
		shas = append(shas, upload(t, c.members[i%3], structs.ImageID(rune('a'+i)), data))
	}
	c.repairAll() // brings them to their keepers
	c.repairAll() // which have them now
	for i, sha := range shas {
		peers, err := c.members[0].node.Peers()
		require.NoError(t, err)
		require.Equal(t, c.members[0].blobs.keepers(sha, peers), c.holders(sha))
		data[0] = byte(i)
		for _, m := range c.members {
			got, err := m.read(t, sha)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
	}
	c.repairAll()
	for _, sha := range shas {
		require.Len(t, c.holders(sha), 1, "nothing moves any more")
	}
}

// The bytes that a server takes for another that keeps them stay until that one has them.
func TestSurplusStaysUntilItIsKept(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{copies: 2})
	data := []byte("some bytes")
	sha := upload(t, c.leader(), "i", data)
	c.repairAll()
	c.repairAll()
	kept := c.holders(sha)
	require.Len(t, kept, 2)
	// The third gets the bytes, one keeper loses them: nobody drops its copy before the keeper has them again.
	var third, lost *member
	for _, m := range c.members {
		if m.id != kept[0] && m.id != kept[1] {
			third = m
		}
		if m.id == kept[0] {
			lost = m
		}
	}
	require.NoError(t, third.blobs.pull(context.Background(), sha, lost.addr))
	require.NoError(t, lost.blobs.store.Delete(sha))
	require.NoError(t, third.blobs.repair(context.Background(), 0))
	require.Contains(t, c.holders(sha), third.id)
	c.repairAll()
	c.repairAll()
	require.Equal(t, kept, c.holders(sha))
}

// What a disk damages is found by who reads it to its end, by a host that says so, and by looking through the store; it comes again from another server.
func TestDamagedBlobs(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{})
	ctx, data := context.Background(), bytes.Repeat([]byte("0123456789"), 100_000)
	l := c.leader()
	sha := upload(t, l, "i", data)
	c.repairAll()
	require.Len(t, c.holders(sha), 3)

	l.damage(sha)
	got, err := l.read(t, sha)
	require.ErrorContains(t, err, "damaged")
	require.Less(t, len(got), len(data))
	got, err = l.read(t, sha)
	require.NoError(t, err, "from another server")
	require.True(t, bytes.Equal(data, got))
	c.repairAll()
	require.Len(t, c.holders(sha), 3)

	l.damage(sha)
	host := func(sure bool) ([]byte, error) {
		r, _, err := OpenBlob(ctx, l.pool, l.addr, structs.BlobRequest{SHA512: sha, Host: true, NoHosts: true, Sure: sure})
		require.NoError(t, err)
		defer r.Close()
		return io.ReadAll(r)
	}
	got, err = host(false)
	require.NoError(t, err)
	require.False(t, bytes.Equal(data, got), "a host checks for itself")
	got, err = host(true)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	c.repairAll()

	f := c.follower()
	f.damage(sha)
	f.blobs.verifyAll(ctx)
	require.Eventually(t, func() bool {
		got, err := f.read(t, sha)
		return err == nil && f.blobs.store.Has(sha) && bytes.Equal(data, got)
	}, 20*time.Second, 10*time.Millisecond)
}

// A server looks through its store by itself.
func TestVerifyLoop(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{verify: 50 * time.Millisecond})
	l := c.leader()
	data := []byte("some bytes")
	sha := upload(t, l, "i", data)
	c.repairAll()
	f := c.follower()
	f.damage(sha)
	require.Eventually(t, func() bool {
		r, _, err := f.blobs.store.Open(sha)
		if err != nil {
			return false
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		return err == nil && bytes.Equal(data, got)
	}, 20*time.Second, 5*time.Millisecond, "it is not mended")
}
