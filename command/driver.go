package command

import (
	"context"

	"github.com/kilonova-cloud/kilonova/drivers"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "driver", usage: "NAME", synopsis: "Serve a built-in driver as a plugin", hidden: true, rawArgs: true,
			prose: "Serves a built-in driver. Agents start this; it is of no use by hand.",
			run: func(_ context.Context, _ *session, args []string) error {
				if len(args) != 1 {
					return usagef("This command takes one argument, not %d: kilonova driver NAME", len(args))
				}
				return drivers.Main(args[0])
			},
		}
	})
}
