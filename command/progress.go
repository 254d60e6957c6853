package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress tells a waiting person how something fares: on a terminal one line that changes, elsewhere a line for each change.
// It is safe for concurrent use.
type progress struct {
	out      io.Writer
	terminal bool
	began    time.Time

	mu   sync.Mutex
	text string
	tick *time.Ticker
	done chan struct{}
}

const redraw = 200 * time.Millisecond

// newProgress starts a progress line; end it with stop.
func (s *session) newProgress() *progress {
	p := &progress{out: s.Err, terminal: s.Terminal, began: time.Now()}
	if p.terminal {
		p.tick, p.done = time.NewTicker(redraw), make(chan struct{})
		go p.keepDrawing()
	}
	return p
}

func (p *progress) keepDrawing() {
	for {
		select {
		case <-p.tick.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		case <-p.done:
			return
		}
	}
}

// say changes what is shown. The same text twice is one line.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if text == p.text {
		return
	}
	p.text = text
	if p.terminal {
		p.draw()
		return
	}
	_, _ = fmt.Fprintf(p.out, "%7s  %s\n", p.elapsed(), text)
}

func (p *progress) elapsed() string { return fmt.Sprintf("%.1fs", time.Since(p.began).Seconds()) }

// draw is called with mu held.
func (p *progress) draw() {
	if p.text != "" {
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%7s  %s", p.elapsed(), p.text)
	}
}

// stop leaves the last text as a line of its own.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.tick.Stop()
		close(p.done)
		if p.text != "" {
			p.draw()
			_, _ = fmt.Fprintln(p.out)
		}
	}
}

const barWidth = 30

// bar draws how much of total is done.
func bar(n, total int64) string {
	if total <= 0 {
		return size(n)
	}
	full := int(min(n, total) * barWidth / total)
	return fmt.Sprintf("[%s%s] %3d%% of %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), min(n, total)*100/total, size(total))
}

// countingReader tells how much was read.
type countingReader struct {
	io.Reader
	read   int64
	notify func(n int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	c.notify(c.read)
	return n, err
}
