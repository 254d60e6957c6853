package command

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/cli"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/command/agent"
)

// withRunner puts another agent in the real one's place.
func withRunner(t *testing.T, runner func(context.Context, *agent.Runtime, <-chan *agent.Runtime, cli.Ui) int) {
	t.Helper()
	real := agent.Runner
	require.NotNil(t, real)
	agent.Runner = runner
	t.Cleanup(func() { agent.Runner = real })
}

func TestAgentEndsWithItsRunnersCode(t *testing.T) {
	clearEnvironment(t)
	for _, want := range []int{0, 1, 7} {
		withRunner(t, func(_ context.Context, rt *agent.Runtime, _ <-chan *agent.Runtime, ui cli.Ui) int {
			ui.Output("out " + rt.Name)
			ui.Error("err")
			return want
		})
		r := run(t, "agent", "-dev", "-driver", "fake", "-name", "n", "-data-dir", t.TempDir())
		require.Equal(t, result{want, "out n\n", "err\n"}, r)
	}
}

func TestHangupReadsTheConfigurationAgain(t *testing.T) {
	clearEnvironment(t)
	write := func(text string) { require.NoError(t, os.WriteFile("a.hcl", []byte(text), 0o600)) }
	write(`log_level = "info"`)
	hangup := func() { require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP)) }
	started := make(chan (<-chan *agent.Runtime), 1)
	withRunner(t, func(ctx context.Context, _ *agent.Runtime, reload <-chan *agent.Runtime, _ cli.Ui) int {
		started <- reload
		<-ctx.Done()
		return 0
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs safeBuffer
	ended := make(chan int)
	dir := t.TempDir()
	go func() {
		ended <- Main(ctx, Env{Out: &out, Err: &errs}, []string{"agent", "-dev", "-driver", "fake", "-data-dir", dir, "-config", "a.hcl"})
	}()
	reload := <-started

	write("log_level = \"debug\"\nzone = \"z\"")
	hangup()
	require.Equal(t, "debug", (<-reload).LogLevel)

	write(`log_level = "loud"`)
	hangup()
	require.Eventually(t, func() bool {
		return containsAll(errs.String(), "the agent goes on as it was", `a.hcl:1,1: log_level: "loud" is not known`)
	}, 10*time.Second, 10*time.Millisecond)

	write(`log_level = "warn"`)
	hangup()
	require.Equal(t, "warn", (<-reload).LogLevel)
	cancel()
	require.Equal(t, 0, <-ended)
}
