package agent

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
)

// pipes is a listener whose connections are in memory, for a test with a clock of its own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
		close(p.closed)
		return nil
	}
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// Connections that ask nothing do not hold up the end of the agent, be they idle or never used; what is under way gets its answer, and what came in
// at the last moment, too. Streams are told to end. The clock is the test's own.
func TestHTTPEndsSoonAndLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		h := &httpServer{listener: l, errs: make(chan error, 1)}
		mux := http.NewServeMux()
		mux.HandleFunc("/quick", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
		mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(300 * time.Millisecond)
			_, _ = io.WriteString(w, "done")
		})
		h.serve(l, mux, hclog.NewNullLogger())

		ask := func(c net.Conn, path string) string {
			_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return string(body)
		}
		idle, unused, late := l.dial(), l.dial(), l.dial()
		require.Equal(t, "done", ask(idle, "/quick"))
		answers := make(chan string, 2)
		worker := l.dial()
		go func() { answers <- ask(worker, "/work") }()
		go func() {
			<-time.After(50 * time.Millisecond)
			answers <- ask(late, "/work")
		}()
		synctest.Wait()

		begun := time.Now()
		require.NoError(t, h.close())
		require.Less(t, time.Since(begun), 800*time.Millisecond)
		require.Equal(t, "done", <-answers)
		require.Equal(t, "done", <-answers)
		for _, c := range []net.Conn{idle, unused} {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		}
	})
}

// A stream ends when it is told to, and one that does not listen is cut.
func TestHTTPEndsStreams(t *testing.T) {
	t.Parallel()
	for path, within := range map[string]time.Duration{"/stream": 1200 * time.Millisecond, "/deaf": 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			h := &httpServer{listener: l, errs: make(chan error, 1)}
			release := make(chan struct{})
			mux := http.NewServeMux()
			mux.HandleFunc("/stream", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			mux.HandleFunc("/deaf", func(http.ResponseWriter, *http.Request) { <-release })
			h.serve(l, mux, hclog.NewNullLogger())
			c := l.dial()
			_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			go func() { _, _ = io.Copy(io.Discard, c) }()
			synctest.Wait()
			begun := time.Now()
			err = h.close()
			require.Equal(t, path == "/deaf", err != nil, "%v", err)
			require.Less(t, time.Since(begun), within)
			close(release)
		})
	}
}

// The Compute API has what the configuration says.
func TestComputeOptions(t *testing.T) {
	t.Parallel()
	options := func(server string) compute.Options {
		text := "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n" + server + "\n}\n"
		rt, problems := load(t, "-config", writeFile(t, fixtureDir(t), "a.hcl", text))
		require.Empty(t, problems)
		return computeOptions(&rt.Server)
	}
	consoles, limits := base.Consoles{TokenTTL: 10 * time.Minute}, ImageRuntime{SizeTotal: -1, StageTotal: -1, CountTotal: -1, CountUploading: -1}.Limits()
	require.Equal(t, compute.Options{ResizeToSameHost: true, Consoles: consoles, ImageLimits: limits}, options(""))
	require.Equal(t, compute.Options{OffloadAfter: time.Hour, ReclaimAfter: time.Minute, Consoles: consoles, ImageLimits: limits},
		options("  shelved_offload_after = \"1h\"\n  reclaim_interval = \"1m\"\n  scheduler {\n    resize_to_same_host = false\n  }"))
	require.Equal(t, base.Consoles{VNCURL: "https://c/v", SPICEURL: "https://c/s", SPICEDirectURL: "https://c/d", SerialURL: "wss://c/", MKSURL: "https://c/m", TokenTTL: time.Hour},
		options("  consoles {\n    vnc_url = \"https://c/v\"\n    spice_url = \"https://c/s\"\n    spice_direct_url = \"https://c/d\"\n    serial_url = \"wss://c/\"\n"+
			"    mks_url = \"https://c/m\"\n    token_ttl = \"1h\"\n  }").Consoles)
	require.EqualValues(t, 7, options("  image {\n    image_count_total = 7\n  }").ImageLimits["image_count_total"])
	for _, never := range []string{"never", "-1"} {
		require.Negative(t, options("  shelved_offload_after = \""+never+"\"").OffloadAfter)
	}
}
