package command

import (
	"context"

	"github.com/kilonova-cloud/kilonova/drivers"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "driver", usage: "NAME", synopsis: "Serve a built-in driver to the agent that started this process", hidden: true,
			prose: "Serves one of the built-in hypervisor drivers as a plugin. The agent starts\nthis command; it is of no use to people.",
			min:   1, max: 1,
			run: func(_ context.Context, _ *session, args []string) error { return drivers.Main(args[0]) },
		}
	})
}
