package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/kilonova-cloud/kilonova/api"
)

// instanceMove is what resize, migrate and evacuate share: ask for an operation on one instance and follow that operation. The instance alone does not
// tell how it ended: one that could not move looks like one that has.
type instanceMove struct{ detach bool }

// move is one operation to ask for.
type move struct {
	kind  string // of the operation, as the agent's API has it
	doing string // for people: "resize"
	ask   func(ctx context.Context, compute *gophercloud.ServiceClient, id string) error
	next  string // what a person may want to do when it is done, with the instance's id for %s; "" is nothing
}

func (c *instanceMove) flags(set *flag.FlagSet) {
	set.BoolVar(&c.detach, "detach", false, "Do not wait until it is done")
}

// do asks for the moves one after the other, each when the one before it is done, and prints the instance.
func (c *instanceMove) do(ctx context.Context, s *session, name string, moves func(ctx context.Context, compute *gophercloud.ServiceClient) ([]move, error)) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	server, err := findInstance(ctx, compute, name)
	if err != nil {
		return err
	}
	list, err := moves(ctx, compute)
	if err != nil {
		return err
	}
	for i, m := range list {
		before, err := connection.operationsOf(ctx, server.ID)
		if err != nil {
			return err
		}
		if err := m.ask(ctx, compute, server.ID); err != nil {
			return friendly(err)
		}
		if c.detach {
			break
		}
		if err := s.waitOperation(ctx, connection, server.ID, m, before); err != nil {
			return fmt.Errorf("%s of instance %s: %w", m.doing, server.ID, err)
		}
		if i == len(list)-1 && m.next != "" {
			s.notef(m.next, server.ID)
		}
	}
	server, err = servers.Get(ctx, compute, server.ID).Extract()
	if err != nil {
		return friendly(err)
	}
	view := viewInstance(server)
	return s.print(view, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s  %s  %s\n", view.ID, view.Name, view.state())
	})
}

// operationsOf returns an instance's operations by their ids. An administrator may ask for another project's instance.
func (c *connection) operationsOf(ctx context.Context, instance string) (map[string]api.Operation, error) {
	list, err := c.native.Operations(ctx, api.OperationFilter{InstanceID: instance, AllProjects: c.allProjects})
	if err == nil && len(list) == 0 && !c.allProjects { // each instance has its build, so it is another project's
		c.allProjects = true
		list, err = c.native.Operations(ctx, api.OperationFilter{InstanceID: instance, AllProjects: true})
	}
	byID := map[string]api.Operation{}
	for _, o := range list {
		byID[o.ID] = o
	}
	return byID, err
}

// waitOperation follows the operation of the kind that was not there before, until it ends. It fails when the operation did.
func (s *session) waitOperation(ctx context.Context, c *connection, instance string, m move, before map[string]api.Operation) error {
	p := s.newProgress()
	defer p.stop()
	p.say("%s: accepted", m.doing)
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := c.follow(following, instance, func(o *api.Operation) { p.say("%s", describe(goal{doing: m.doing}, o)) })
	for {
		now, err := c.operationsOf(ctx, instance)
		if ctx.Err() != nil {
			s.notef("\nNo longer waiting; what was asked for goes on. `kilonova operation list -instance=%s` shows how it fares.", instance)
			return ctx.Err()
		}
		if err != nil {
			return friendly(err)
		}
		for id, o := range now {
			if _, old := before[id]; old || o.Kind != m.kind || !o.Final() {
				continue
			}
			if o.Status == "succeeded" {
				p.say("%s: done", m.doing)
				return nil
			}
			p.say("%s: failed", m.doing)
			return fmt.Errorf("it %s: %s `kilonova operation status %s` shows the steps", o.Status, sentence(o.Error), id)
		}
		select {
		case <-changes:
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

// action asks for an action of the compute API that the library words otherwise than our microversion does.
func action(ctx context.Context, compute *gophercloud.ServiceClient, id, key string, value any) error {
	response, err := compute.Post(ctx, compute.ServiceURL("servers", id, "action"), map[string]any{key: value}, nil,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusAccepted}, KeepResponseBody: true})
	if err != nil {
		return err
	}
	return response.Body.Close()
}
