package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func qcow2Header() []byte {
	h := make([]byte, 512)
	copy(h, "QFI\xfb\x00\x00\x00\x02")
	binary.BigEndian.PutUint32(h[20:], 16)
	binary.BigEndian.PutUint64(h[24:], 10<<30)
	return h
}

// emptyStore demands that no byte of any upload is left.
func (c *cloud) emptyStore() {
	c.t.Helper()
	all, err := c.blobs.Store.List()
	require.NoError(c.t, err)
	require.Empty(c.t, all)
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, nil)
			c.blobs.stream = stream
			id, data := c.image(member, rawImage), bytes.Repeat([]byte("0123456789"), 50_000)
			path := "/v2/images/" + id + "/file"
			c.get(member, path).want(t, 204)
			c.put(member, id, data).want(t, 204)
			v := c.get(member, "/v2/images/"+id).want(t, 200).json(t)
			h5, h512, h256 := md5.Sum(data), sha512.Sum512(data), sha512.Sum512(data)
			for k, want := range map[string]any{"status": "active", "size": 500_000.0, "virtual_size": 500_000.0, "checksum": hex.EncodeToString(h5[:]),
				"os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(h512[:])} {
				require.Equal(t, want, v[k], k)
			}
			rec := c.stored(id)
			require.Equal(t, hex.EncodeToString(h256[:]), rec.SHA512)
			require.Equal(t, []structs.ServerID{"s1"}, rec.Servers)

			a := c.get(member, path).want(t, 200)
			require.Equal(t, data, a.body)
			require.Equal(t, "500000", a.Header.Get("Content-Length"))
			require.Equal(t, hex.EncodeToString(h5[:]), a.Header.Get("Content-Md5"))
			require.Equal(t, "application/octet-stream", a.Header.Get("Content-Type"))
			c.ranges(path, data)
			c.put(member, id, data).want(t, 409, "Image status transition from active to saving is not allowed")
			c.patch(member, id, `[{"op": "replace", "path": "/disk_format", "value": "qcow2"}]`).want(t, 403, "only replaced for a queued image")
			c.get(other, path).want(t, 404)
		})
	}
}

// ranges asks for parts of a file of 500,000 bytes.
func (c *cloud) ranges(path string, data []byte) {
	c.t.Helper()
	for header, r := range map[string][2]int{"bytes=0-9": {0, 10}, "bytes=100-": {100, 500_000}, "bytes=-7": {499_993, 500_000}, "bytes=499999-600000": {499_999, 500_000}} {
		a := c.do(member, "GET", path, nil, "Range: "+header).want(c.t, 206)
		require.Equal(c.t, data[r[0]:r[1]], a.body, header)
		require.Equal(c.t, fmt.Sprintf("bytes %d-%d/500000", r[0], r[1]-1), a.Header.Get("Content-Range"))
	}
	for header, says := range map[string]string{"bytes=500000-": "No range asked for", "bytes=-0": "No range asked for", "bytes=-00, 500000-": "No range asked for",
		"bytes=9-0": "not a valid Range", "items=0-9": "not a valid Range"} {
		a := c.do(member, "GET", path, nil, "Range: "+header).want(c.t, 416, says)
		v := a.json(c.t)
		require.Equal(c.t, "416 Requested Range Not Satisfiable", v["code"], header)
		require.Equal(c.t, "Requested Range Not Satisfiable", v["title"], header)
		require.Equal(c.t, "bytes */500000", a.Header.Get("Content-Range"), header)
		require.Equal(c.t, "application/json", a.Header.Get("Content-Type"), header)
		require.Empty(c.t, a.Header.Get("Content-Md5"), "the sum is of the image's data")
	}
	a := c.do(member, "GET", path, nil, "Range: bytes=-0,5-8").want(c.t, 206)
	require.Equal(c.t, data[5:9], a.body, "a range that holds nothing beside one that does")
	a = c.do(member, "GET", path, nil, "Range: bytes=-0", `If-Range: "other"`).want(c.t, 200)
	require.Equal(c.t, data, a.body, "no range is asked of other data")
	a = c.do(member, "GET", path, nil, "Range: bytes=400000-400003,5-8").want(c.t, 206)
	require.Contains(c.t, string(a.body), string(data[5:9]), "ranges out of order")
}

func TestUploadOfRealFormats(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{"disk_format": "qcow2", "container_format": "bare"}`)
	c.put(member, id, qcow2Header()).want(t, 204)
	require.EqualValues(t, 10<<30, c.stored(id).VirtualSize)

	backed := qcow2Header()
	backed[15] = 80
	for _, w := range []struct {
		format, container string
		data              []byte
		status            int
		says              string
	}{
		{"qcow2", "bare", []byte("not at all"), 400, "is raw, but the image's disk_format is qcow2"},
		{"raw", "bare", qcow2Header(), 400, "Set disk_format to qcow2"},
		{"qcow2", "bare", backed, 400, "names a backing file"},
		{"qcow2", "ova", backed, 400, "names a backing file"},
		{"aki", "aki", []byte("a kernel"), 204, ""},
		{"raw", "bare", nil, 204, ""},
	} {
		id := c.image(member, fmt.Sprintf(`{"disk_format": "%s", "container_format": "%s"}`, w.format, w.container))
		c.put(member, id, w.data).want(t, w.status, w.says)
		if w.status != 204 {
			require.Equal(t, structs.ImageQueued, c.stored(id).Status)
			require.Empty(t, c.stored(id).Servers)
		}
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxSize = 100 })
	id := c.image(member, rawImage)
	path := "/v2/images/" + id + "/file"
	c.do(member, "PUT", path, strings.NewReader("x"), "Content-Type: application/json").want(t, 415, "application/octet-stream")
	octets := "Content-Type: application/octet-stream"
	c.do(member, "PUT", path, strings.NewReader("x"), octets, "x-openstack-image-size: 2").want(t, 400, "says 2 bytes")
	c.do(member, "PUT", path, strings.NewReader("x"), octets, "x-openstack-image-size: x").want(t, 400)
	c.put(member, id, make([]byte, 101)).want(t, 413, "the most is 100 bytes")
	chunked := func(n int) io.Reader { return struct{ io.Reader }{bytes.NewReader(make([]byte, n))} }
	c.do(member, "PUT", path, chunked(200), octets).want(t, 413, "the most is 100 bytes")
	c.do(member, "PUT", path, chunked(50), octets, "x-openstack-image-size: 60").want(t, 400, "has 50 bytes, but 60 were announced")
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
	c.emptyStore()

	for body, says := range map[string]string{`{}`: "Properties disk_format, container_format must", `{"container_format": "bare"}`: "Property disk_format must", `{"disk_format": "raw"}`: "Property container_format must"} {
		c.put(member, c.image(member, body), []byte("x")).want(t, 400, says)
	}
	c.put(reader, id, nil).want(t, 403)
	c.put(member, "00000000-0000-0000-0000-000000000000", nil).want(t, 404)
	c.do(member, "PUT", path, chunked(50), octets).want(t, 204)
	require.EqualValues(t, 50, c.stored(id).Size)
}

// raw sends the beginning of an upload and returns the connection.
func (c *cloud) raw(id, headers, body string) net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "PUT /image/v2/images/%s/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n%s", id, member, headers, body)
	require.NoError(c.t, err)
	return conn
}

func (c *cloud) eventually(what string, f func() bool) {
	c.t.Helper()
	require.Eventually(c.t, f, 10*time.Second, 2*time.Millisecond, what)
}

func (c *cloud) staging() []string {
	list, _ := filepath.Glob(filepath.Join(filepath.Dir(c.stagingFile()), "*"))
	return list
}

// stagingFile is a path in the folder where uploads are staged.
func (c *cloud) stagingFile() string {
	w, err := c.blobs.Store.Create()
	require.NoError(c.t, err)
	defer w.Abort()
	return w.Path()
}

func TestABrokenUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]string{"length": "Content-Length: 1000", "chunked": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, nil)
			id := c.image(member, rawImage)
			conn := c.raw(id, headers, "5\r\nhello\r\n")
			c.eventually("saving", func() bool { return c.stored(id).Status == structs.ImageSaving })
			require.Equal(t, []structs.ServerID{"s1"}, c.stored(id).Servers)
			require.NoError(t, conn.Close())
			c.eventually("queued", func() bool { return c.stored(id).Status == structs.ImageQueued && len(c.staging()) == 0 })
			c.emptyStore()
			c.eventually("again", func() bool { return c.put(member, id, []byte("whole")).StatusCode == 204 })
		})
	}
}

func TestAnIdleUploadIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.UploadIdle = 50 * time.Millisecond })
	id := c.image(member, rawImage)
	conn := c.raw(id, "Content-Length: 1000", "hello")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, _ := io.ReadAll(res.Body)
	require.Equal(t, 503, res.StatusCode, string(body))
	require.Contains(t, string(body), "brought no data for 50ms after 5 bytes")
	c.eventually("queued", func() bool { return c.stored(id).Status == structs.ImageQueued })
	c.emptyStore()
}

func TestUploadsOfOneImageAtATime(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	in, out := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		c.do(member, "PUT", "/v2/images/"+id+"/file", in, "Content-Type: application/octet-stream").want(t, 204)
	})
	_, err := out.Write([]byte("first "))
	require.NoError(t, err)
	c.eventually("saving", func() bool { return c.stored(id).Status == structs.ImageSaving })
	c.put(member, id, []byte("second")).want(t, 409)
	c.get(member, "/v2/images/"+id+"/file").want(t, 204)
	c.patch(member, id, `[{"op": "add", "path": "/name", "value": "renamed meanwhile"}]`).want(t, 200)
	done, err := Recover(t.Context(), c.core)
	require.NoError(t, err)
	require.Empty(t, done, "this process still receives it")
	_, err = out.Write([]byte("wins"))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	wg.Wait()
	require.Equal(t, "renamed meanwhile", c.stored(id).Name)
	require.Equal(t, "first wins", string(c.get(member, "/v2/images/"+id+"/file").want(t, 200).body))
}

func TestDeletedDuringTheUpload(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	c.blobs.spread = func(context.Context) error {
		c.do(member, "DELETE", "/v2/images/"+id, nil).want(t, 204)
		return nil
	}
	c.put(member, id, []byte("data")).want(t, 410, "deleted during the upload")
	require.Nil(t, c.stored(id))
}

func TestNotSpreadNotActive(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	c.blobs.spread = func(context.Context) error {
		if c.stored(id).Status != structs.ImageSaving {
			t.Error("active before it was spread")
		}
		return structs.Errorf(structs.KindUnavailable, "only 1 of the 2 servers have it")
	}
	c.put(member, id, []byte("data")).want(t, 503, "only 1 of the 2")
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
	c.blobs.spread = nil
	c.put(member, id, []byte("data")).want(t, 204)
}

// fullBlobs is a store on a full disk.
type fullBlobs struct{ nomadlike.Blobs }

func (fullBlobs) Create(context.Context) (nomadlike.BlobWriter, error) {
	return nil, structs.Errorf(structs.KindNoCapacity, "Image storage media is full: %w", syscall.ENOSPC)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	c.core.BlobStore = fullBlobs{c.blobs}
	id := c.image(member, rawImage)
	c.put(member, id, []byte("data")).want(t, 413, "Image storage media is full")
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
}

// TestARefusedUploadIsAnswered: a client that reads only when it has sent everything gets the answer, not a broken connection.
func TestARefusedUploadIsAnswered(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxSize = 1 << 20 })
	id := c.image(member, rawImage)
	const size = 24 << 20
	for name, q := range map[string]struct {
		header string
		status int
	}{
		"too large, as announced": {fmt.Sprintf("X-Auth-Token: %s\r\nContent-Type: application/octet-stream", member), 413},
		"another type":            {fmt.Sprintf("X-Auth-Token: %s\r\nContent-Type: application/json", member), 415},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = fmt.Fprintf(conn, "PUT /image/v2/images/%s/file HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n\r\n", id, size, q.header)
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, size))
		require.NoError(t, err, name)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		require.Equal(t, q.status, res.StatusCode, name)
	}
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
}

func TestDownloadWithoutAnyCopy(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	c.put(member, id, []byte("data")).want(t, 204)
	require.NoError(t, c.blobs.Store.Delete(c.stored(id).SHA512))
	c.get(member, "/v2/images/"+id+"/file").want(t, 503, "No server that can be reached has the data")
}

func TestBytesStayAsLongAsAnImageNamesThem(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	one, two := c.image(member, rawImage), c.image(other, rawImage)
	c.put(member, one, []byte("same")).want(t, 204)
	c.put(other, two, []byte("same")).want(t, 204)
	collect := func() []string {
		removed, err := blob.CollectUnneeded(c.core.Stale(), c.blobs.Store, -time.Hour, nil)
		require.NoError(t, err)
		return removed
	}
	c.do(member, "DELETE", "/v2/images/"+one, nil).want(t, 204)
	require.Empty(t, collect())
	c.get(other, "/v2/images/"+two+"/file").want(t, 200, "same")
	c.do(other, "DELETE", "/v2/images/"+two, nil).want(t, 204)
	require.Len(t, collect(), 1)
	c.emptyStore()
}

func TestRecover(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	c.seed(
		structs.Image{ID: "mine", Status: "saving", Servers: []structs.ServerID{"s1"}},
		structs.Image{ID: "theirs", Status: "saving", Servers: []structs.ServerID{"s2"}},
		structs.Image{ID: "gone", Status: "saving", Servers: []structs.ServerID{"s9"}},
		structs.Image{ID: "whose", Status: "saving"},
		structs.Image{ID: "active", Status: "active", Servers: []structs.ServerID{"s1"}},
	)
	status := func(id string) structs.ImageStatus { return c.stored(id).Status }
	done, err := Recover(t.Context(), c.core)
	require.NoError(t, err)
	require.Equal(t, []structs.ImageID{"mine"}, done)
	require.Equal(t, structs.ImageQueued, status("mine"))
	require.Empty(t, c.stored("mine").Servers)

	c.stop() // it reads what is written here
	c.core.Info.Peers = nil
	done, err = RecoverLost(t.Context(), c.core)
	require.NoError(t, err)
	require.Empty(t, done, "the peers are not known")
	c.core.Info.Peers = []nomadlike.Peer{{ID: "s1"}, {ID: "s2"}}
	done, err = RecoverLost(t.Context(), c.core)
	require.NoError(t, err)
	require.ElementsMatch(t, []structs.ImageID{"gone", "whose"}, done)
	require.Equal(t, structs.ImageSaving, status("theirs"))
	require.Equal(t, structs.ImageActive, status("active"))
}

func TestALostAnswerIsNotALostUpload(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	c.put(member, id, []byte("data")).want(t, 204)
	rec := c.stored(id)
	err := (&service{}).activate(t.Context(), c.core, &structs.Image{ID: rec.ID, Servers: []structs.ServerID{"s1"}}, nomadlike.BlobSums{SHA512: rec.SHA512}, 0, nil, "servers")
	require.NoError(t, err, "it stands already")
	err = (&service{}).activate(t.Context(), c.core, &structs.Image{ID: rec.ID, Servers: []structs.ServerID{"s1"}}, nomadlike.BlobSums{SHA512: "another"}, 0, nil, "servers")
	require.True(t, structs.IsKind(err, structs.KindConflict))
	require.NoError(t, requeue(t.Context(), c.core, rec.ID, "s1"))
	require.Equal(t, structs.ImageActive, c.stored(id).Status)
}

func TestBlobReaderSeeks(t *testing.T) {
	t.Parallel()
	b := &blobReader{size: 5}
	_, err := b.Seek(-1, io.SeekStart)
	require.Error(t, err)
	at, err := b.Seek(-2, io.SeekEnd)
	require.NoError(t, err)
	require.EqualValues(t, 3, at)
	at, err = b.Seek(5, io.SeekCurrent)
	require.NoError(t, err)
	require.EqualValues(t, 8, at)
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
