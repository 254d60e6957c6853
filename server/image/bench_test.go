package image

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchSize is the size of the images that the benchmarks carry.
const benchSize = 256 << 20

var benchSeed atomic.Uint64

// noise is size bytes that no image had before and that cost next to nothing to make.
func noise(size int64) io.Reader {
	block := make([]byte, 1<<20)
	seed := benchSeed.Add(1)
	_, _ = rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), seed))).Read(block)
	return io.LimitReader(&repeated{block: block}, size)
}

type repeated struct {
	block []byte
	at    int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// BenchmarkDisk is what the others are held against: as many bytes to the same disk, synced, and read again.
func BenchmarkDisk(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	b.Run("write", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			f, err := os.Create(path)
			require.NoError(b, err)
			_, err = io.CopyBuffer(struct{ io.Writer }{f}, noise(benchSize), make([]byte, 256<<10))
			require.NoError(b, err)
			require.NoError(b, f.Sync())
			require.NoError(b, f.Close())
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			f, err := os.Open(path)
			require.NoError(b, err)
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 256<<10))
			require.NoError(b, err)
			require.NoError(b, f.Close())
		}
	})
}

// upload puts noise into a new image and returns its id.
func (c *cloud) upload(size int64) string {
	c.t.Helper()
	id := c.image(member, rawImage)
	c.do(member, "PUT", "/v2/images/"+id+"/file", noise(size), "Content-Type: application/octet-stream").want(c.t, 204)
	return id
}

// BenchmarkUpload and BenchmarkDownload go through HTTP, the hashes and the store of one server; the client shares the machine. peak-MiB is how much the heap
// of both grew at most.
func BenchmarkUpload(b *testing.B) {
	c := newCloud(b, nil)
	b.SetBytes(benchSize)
	peak := watchHeap(b)
	for b.Loop() {
		id := c.upload(benchSize)
		c.do(member, "DELETE", "/v2/images/"+id, nil).want(b, 204)
	}
	b.ReportMetric(peak(), "peak-MiB")
}

func BenchmarkDownload(b *testing.B) {
	c := newCloud(b, nil)
	id := c.upload(benchSize)
	b.SetBytes(benchSize)
	peak := watchHeap(b)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), "GET", c.url+"/image/v2/images/"+id+"/file", nil)
		require.NoError(b, err)
		req.Header.Set("X-Auth-Token", member)
		res, err := http.DefaultClient.Do(req)
		require.NoError(b, err)
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10))
		require.NoError(b, err)
		require.EqualValues(b, benchSize, n)
		require.NoError(b, res.Body.Close())
	}
	b.ReportMetric(peak(), "peak-MiB")
}

// watchHeap looks at the heap every few milliseconds until the function is called that it returns, which says by how many MiB it grew at most.
func watchHeap(tb testing.TB) func() float64 {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	first, most := heap(), uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(5 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				most = max(most, heap())
			case <-stop:
				return
			}
		}
	}()
	end := func() float64 {
		select {
		case <-stop:
		default:
			close(stop)
			<-done
		}
		return float64(max(most, first)-first) / (1 << 20)
	}
	tb.Cleanup(func() { end() })
	return end
}

// TestMemoryOfALargeImage carries eight times what may be kept of it, or as many MiB as KILONOVA_TEST_IMAGE_MIB says.
func TestMemoryOfALargeImage(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads a large file")
	}
	size := int64(512 << 20)
	if text := os.Getenv("KILONOVA_TEST_IMAGE_MIB"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		size = int64(n) << 20
	}
	c := newCloud(t, nil)
	grew := watchHeap(t)
	id := c.upload(size)
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/image/v2/images/"+id+"/file", nil)
	require.NoError(t, err)
	req.Header.Set("X-Auth-Token", member)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, size, n)
	require.Less(t, grew(), 64.0, "MiB")
}
