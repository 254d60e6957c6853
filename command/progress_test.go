package command

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgressOnATerminalIsOneLine(t *testing.T) {
	var out safeBuffer
	p := (&session{Env: Env{Err: &out, Terminal: true}}).newProgress()
	p.say("one")
	p.say("one")
	p.say("two %d", 2)
	p.stop()
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "\r\x1b[K   0.0s  one")
	require.True(t, strings.HasSuffix(out.String(), "two 2\n"))
}

func TestProgressElsewhereIsALineForEachChange(t *testing.T) {
	var out safeBuffer
	p := (&session{Env: Env{Err: &out}}).newProgress()
	p.say("one")
	p.say("one")
	p.say("two")
	p.stop()
	require.Equal(t, "   0.0s  one\n   0.0s  two\n", out.String())
}

func TestBar(t *testing.T) {
	require.Equal(t, "[===============               ]  50% of 2.0 KiB", bar(1024, 2048))
	require.Equal(t, "[==============================] 100% of 10 B", bar(99, 10))
	require.Equal(t, "3 B", bar(3, 0))
}

func TestCountingReader(t *testing.T) {
	var seen []int64
	c := &countingReader{Reader: strings.NewReader("abc"), notify: func(n int64) { seen = append(seen, n) }}
	_, err := io.Copy(io.Discard, c)
	require.NoError(t, err)
	require.Equal(t, int64(3), c.read)
	require.Equal(t, []int64{3, 3}, seen)
}
