package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// impatient serves rows on a real connection and returns a client's end.
func impatient(t *testing.T, patience time.Duration, routes ...Route) net.Conn {
	t.Helper()
	srv := httptest.NewServer(newTestHandler(t, Options{Patience: patience}, compute(routes...)))
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// TestBodyThatDoesNotCome: the answer does not wait for ever, with a good token or with none.
func TestBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a body is wanted":       {"POST /compute/v2.1/servers HTTP/1.1\r\n" + member, 408},
		"without a token":        {"POST /compute/v2.1/servers HTTP/1.1", 401},
		"nobody wants it":        {"GET /compute/v2.1/servers/x HTTP/1.1\r\n" + member, 408},
		"a path that is none":    {"POST /compute/v2.1/nothing HTTP/1.1\r\n" + member, 404},
		"a service that is none": {"POST /x HTTP/1.1", 404},
	} {
		conn := impatient(t, 50*time.Millisecond, conventionRoutes()...)
		_, err := io.WriteString(conn, c.request+"\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		assert.Equal(t, c.status, resp.StatusCode, name)
		_, _ = io.Copy(io.Discard, resp.Body)
		_, err = conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "%s: the connection is closed", name)
	}
}

// TestAnswerThatIsNotTaken: a client that takes nothing does not hold the handler.
func TestAnswerThatIsNotTaken(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	conn := impatient(t, 50*time.Millisecond, Route{Method: "GET", Path: "/big", Rule: Anyone, Handler: func(r *Request) (any, error) {
		_, err := r.Writer.Write(make([]byte, 64<<20))
		failed <- err
		return Written, nil
	}})
	_, err := io.WriteString(conn, "GET /compute/v2.1/big HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	select {
	case err := <-failed:
		assert.ErrorContains(t, err, "timeout")
	case <-time.After(10 * time.Second):
		t.Fatal("the handler still writes")
	}
}

// TestPatienceIsPerRequest: a connection that was idle for longer than a request may be serves the next one, with and without a body.
func TestPatienceIsPerRequest(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan error, 1)
	const wait = 100 * time.Millisecond
	conn := impatient(t, wait, append(conventionRoutes(), Route{Method: "POST", Path: "/long", Rule: Anyone, Handler: func(r *Request) (any, error) {
		close(began)
		select {
		case <-r.Context().Done():
			ended <- r.Context().Err()
		case <-time.After(3 * wait):
			ended <- nil
		}
		return nil, nil
	}})...)
	rd := bufio.NewReader(conn)
	send := func(request, body string, want int) {
		t.Helper()
		_, err := io.WriteString(conn, request+"\r\n"+member+"\r\nHost: x\r\nContent-Type: application/json\r\n"+body)
		require.NoError(t, err)
		resp, err := http.ReadResponse(rd, nil)
		require.NoError(t, err)
		if resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(rd, nil)
			require.NoError(t, err)
		}
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode, string(b))
	}
	good := `{"server":{"name":"a"}}`
	length := "Content-Length: 23\r\n\r\n"
	send("POST /compute/v2.1/long HTTP/1.1", length+good, 200)
	<-began
	require.NoError(t, <-ended, "a handler that takes longer than the body may is not cut")
	for _, request := range []struct {
		line, body string
		want       int
	}{{"POST /compute/v2.1/servers HTTP/1.1", length + good, 202}, {"DELETE /compute/v2.1/servers/x HTTP/1.1", "\r\n", 204},
		{"GET /compute/v2.1/servers/x HTTP/1.1", length + good, 200}, {"POST /compute/v2.1/servers HTTP/1.1", "Expect: 100-continue\r\n" + length + good, 202}} {
		idle := time.NewTimer(2 * wait)
		<-idle.C
		send(request.line, request.body, request.want)
	}
}
