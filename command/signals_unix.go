//go:build !windows

package command

import (
	"os"
	"syscall"
)

// hangup asks an agent to read its configuration again.
var hangup = []os.Signal{syscall.SIGHUP}
