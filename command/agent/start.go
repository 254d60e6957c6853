package agent

import (
	"context"

	"github.com/hashicorp/cli"
)

// Runner runs an agent until ctx ends or it fails, and returns the program's exit code: 0 when it was asked to end. Each
// Runtime that comes through reload is a configuration that SIGHUP asked for and that passed every check; the runner takes
// over what Reloadable names. The file with the wiring sets it, so that configuration can be built and tested alone.
var Runner func(ctx context.Context, rt *Runtime, reload <-chan *Runtime, ui cli.Ui) int
