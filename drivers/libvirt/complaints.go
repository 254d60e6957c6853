package libvirt

import (
	"bytes"
	"strings"
	"sync"
)

// complaints collects what QEMU writes to stderr, and ends the probe when it is KVM's own error: QEMU then keeps the
// guest paused for ever, with nothing more to come.
type complaints struct {
	giveUp func()

	mu     sync.Mutex
	buffer bytes.Buffer
}

func newComplaints(giveUp func()) *complaints { return &complaints{giveUp: giveUp} }

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer.Len() < 4096 {
		c.buffer.Write(p)
	}
	for _, sign := range []string{"KVM internal error", "KVM: entry failed", "kvm run failed", "error: kvm"} {
		if bytes.Contains(c.buffer.Bytes(), []byte(sign)) {
			c.giveUp()
		}
	}
	return len(p), nil
}

// text returns the first line that complains, or "". QEMU also warns of what does no harm.
func (c *complaints) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(c.buffer.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "warning:") {
			return line
		}
	}
	return ""
}
