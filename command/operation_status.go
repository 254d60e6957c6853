package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	register(func() *definition {
		return &definition{
			name: "operation status", usage: "[options] ID", synopsis: "Show an operation with its steps", agent: true, output: true, min: 1, max: 1,
			prose: "Shows one operation and every attempt at each of its steps. The beginning of the\nid is enough where only one operation has it.",
			run:   runOperationStatus,
		}
	})
}

func runOperationStatus(ctx context.Context, s *session, args []string) error {
	client, err := s.native(ctx)
	if err != nil {
		return err
	}
	operation, err := findOperation(ctx, client, args[0])
	if err != nil {
		return err
	}
	return s.print(operation, func(w io.Writer) {
		details(w, operationDetails(operation))
		if len(operation.History) == 0 {
			return
		}
		_, _ = fmt.Fprintln(w)
		rows := [][]string{{"Step", "Attempt", "Host", "Started", "Took", "Result"}}
		for _, r := range operation.History {
			result := r.Error
			if result == "" {
				result = "done"
			}
			rows = append(rows, []string{pick(r.Undo, "undo ", "") + r.Step, number(r.Attempt), shortID(r.HostID), moment(r.StartedAt.Time),
				span(r.FinishedAt.Sub(r.StartedAt.Time)), result})
		}
		table(w, rows)
	})
}

const uuidLength = 36

func findOperation(ctx context.Context, client *api.Client, asked string) (*api.Operation, error) {
	if len(asked) == uuidLength {
		operation, err := client.Operation(ctx, asked)
		return &operation, err
	}
	all, err := client.Operations(ctx, api.OperationFilter{})
	if err != nil {
		return nil, err
	}
	var found *api.Operation
	for i := range all {
		if !strings.HasPrefix(all[i].ID, asked) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("several operations have ids that begin with %q; more of the id is right", asked)
		}
		found = &all[i]
	}
	if found == nil {
		return nil, fmt.Errorf("no operation has an id that begins with %q; `kilonova operation list` lists them", asked)
	}
	return found, nil
}

func operationDetails(o *api.Operation) [][2]string {
	return [][2]string{
		{"ID", o.ID}, {"Instance", o.InstanceID}, {"Kind", o.Kind}, {"Status", o.Status}, {"Step", o.Step}, {"Attempt", number(o.Attempt)},
		{"Attempt ends by", moment(o.Deadline.Time)}, {"Host", o.HostID}, {"Project", o.ProjectID}, {"User", o.UserID}, {"Request", o.RequestID},
		{"Created", moment(o.CreatedAt.Time)}, {"Finished", moment(o.FinishedAt.Time)}, {"Error", o.Error},
	}
}
