package command

import (
	"context"
	"fmt"
	"io"

	"github.com/kilonova-cloud/kilonova/version"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "version", usage: "[options]", synopsis: "Print this program's version", output: true,
			prose: "Prints the version of this program, the commit that it was built from, and\nwhat it was built with.",
			run: func(_ context.Context, s *session, _ []string) error {
				info := version.Get()
				return s.print(info, func(w io.Writer) { _, _ = fmt.Fprintln(w, info) })
			},
		}
	})
}
