package command

import (
	"context"
	"fmt"
	"io"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "instance status", usage: "[options] ID|NAME", synopsis: "Show an instance", agent: true, output: true, min: 1, max: 1, run: runInstanceStatus,
			prose: "Shows one instance, the operation that runs on it, and how its newest placement\ncame out: which filters refused how many hosts.",
		}
	})
}

// instanceStatus is what the compute API and the cluster know of an instance.
type instanceStatus struct {
	instanceView
	Operation   *api.Operation   `json:"operation"`
	Explanation *api.Explanation `json:"explanation"`
}

func runInstanceStatus(ctx context.Context, s *session, args []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	server, err := findInstance(ctx, compute, args[0])
	if err != nil {
		return err
	}
	native, err := connection.native.Instance(ctx, server.ID)
	if err != nil {
		return err
	}
	status := instanceStatus{viewInstance(server), native.Operation, native.Explanation}
	return s.print(status, func(w io.Writer) { status.write(w) })
}

func (i *instanceStatus) write(w io.Writer) {
	details(w, i.details())
	if o := i.Operation; o != nil {
		_, _ = fmt.Fprintf(w, "\nOperation %s: %s, %s, step %s, attempt %d\n", o.ID, o.Kind, o.Status, o.Step, o.Attempt)
	}
	if x := i.Explanation; x != nil {
		_, _ = fmt.Fprintf(w, "\nPlacement: of %d hosts\n", x.Hosts)
		for _, r := range x.Refused {
			_, _ = fmt.Fprintf(w, "  %s refused %d\n", r.Filter, r.Count)
		}
	}
}
