package lint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// machinePath is a path of somebody's own machine. Folders that every system has (/var/lib, /run, /etc, /tmp) are none.
var machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `=(:,])(/work/|/root/|/home/[a-z]|/Users/[A-Za-z]|[A-Z]:\\Users\\)`)

// excused names such paths rightly: the test guest's own files, what a test does inside a guest, and this rule.
var excused = []string{"scripts/guest-image/", "drivers/libvirt/guest_test.go", "internal/lint/"}

func isExcused(path string) bool {
	return slices.ContainsFunc(excused, func(one string) bool { return strings.HasPrefix(path, one) })
}

func TestNoPathsOfOneMachine(t *testing.T) {
	var findings []string
	walk(t, func(path string) {
		below, err := filepath.Rel(root, path)
		require.NoError(t, err)
		below = filepath.ToSlash(below)
		info, err := os.Stat(path)
		if isExcused(below) || err != nil || info.Size() > 1<<20 {
			return
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if bytes.IndexByte(text, 0) >= 0 { // no text
			return
		}
		for number, line := range strings.Split(string(text), "\n") {
			if machinePath.MatchString(line) {
				findings = append(findings, fmt.Sprintf("%s:%d: %s", below, number+1, strings.TrimSpace(line)))
			}
		}
	})
	report(t, findings, "These paths are of one machine. Take the place from the configuration, the environment, t.TempDir() or the file's own place:")
}
