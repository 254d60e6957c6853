package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// patience is how long a client may take to send a whole body of JSON, and to take one piece of an answer. Without it a client that does neither holds
// a connection, and what is to be sent on it, for ever; and the server reads a body to its end even where the answer is only 401.
const patience = 30 * time.Second

// begin starts the clock of a request's body, and stops that of the connection's last answer. Rows that read the body themselves set their own deadlines.
func (c *call) begin() {
	_ = c.w.control.SetWriteDeadline(time.Time{}) // not every writer has deadlines; that goes for all of these
	if c.hasBody() {
		_ = c.w.control.SetReadDeadline(time.Now().Add(c.h.opts.Patience))
	}
}

func (c *call) hasBody() bool { return c.r.Body != nil && c.r.Body != http.NoBody }

// arrived stops the clock: from here on the server only waits for the client to go away.
func (c *call) arrived() { _ = c.w.control.SetReadDeadline(time.Time{}) }

// passOver takes a body that nobody wants off the connection.
func (c *call) passOver() error {
	if !c.hasBody() {
		return nil
	}
	_, err := io.Copy(io.Discard, http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, c.service.maxBody()))
	if err != nil {
		return c.unread(err)
	}
	c.arrived()
	return nil
}

// unread words why a body could not be read. The deadline stays: the server would else wait for the rest before it answers.
func (c *call) unread(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Statusf(http.StatusRequestTimeout, "The request body did not arrive within %s.", c.h.opts.Patience)
	}
	return BadRequest("The request body could not be read: it ended early")
}

// pieceSize is how much of an answer is sent at a time: a client may be slow, but each piece has to be taken in time.
const pieceSize = 64 << 10

// due starts the clock of a piece. Before the first one the server may yet read a body that nobody wanted, which has its own time.
func (r *recorder) due() { _ = r.control.SetWriteDeadline(time.Now().Add(2 * r.patience)) }

// Write sends b. A client that does not take a piece of it in time is gone.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n := 0
	for first := true; first || len(b) > 0; first = false {
		r.due()
		m, err := r.ResponseWriter.Write(b[:min(len(b), pieceSize)])
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}
