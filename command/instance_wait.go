package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/kilonova-cloud/kilonova/api"
)

const (
	// lookAgain is how often an instance is looked at although no change was heard of: streams end when servers do.
	lookAgain = 5 * time.Second
	// lookWithout is how often it is looked at without a stream.
	lookWithout = time.Second
)

// goal is the state that a change is to reach.
type goal struct {
	doing  string // for people: "build"
	status string // of the compute API; "" is that the instance is gone
}

// wait follows an instance until it has reached its goal, and returns it as it is then (nil when it is gone). It fails when the
// instance comes to rest elsewhere.
func (s *session) wait(ctx context.Context, c *connection, compute *gophercloud.ServiceClient, id string, g goal) (*servers.Server, error) {
	p := s.newProgress()
	defer p.stop()
	p.say("%s: accepted", g.doing)
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := c.follow(following, id, func(o *api.Operation) { p.say("%s", describe(g, o)) })
	for {
		// Asked anew after each change: only what the compute API says counts as done.
		server, err := servers.Get(ctx, compute, id).Extract()
		if err != nil {
			server = nil
		}
		done, err := g.reached(server, err)
		if ctx.Err() != nil {
			s.notef("\nNo longer waiting; what was asked for goes on. `kilonova instance status %s` shows how it fares.", id)
			return nil, ctx.Err()
		}
		if err != nil || done {
			p.say("%s: %s", g.doing, outcome(server, err))
			return server, err
		}
		select {
		case <-changes:
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

func outcome(server *servers.Server, err error) string {
	switch {
	case err != nil:
		return "failed"
	case server == nil:
		return "done, gone"
	}
	return "done, " + server.Status
}

func describe(g goal, o *api.Operation) string {
	text := g.doing + ": " + o.Step
	if o.Status == "undoing" {
		text = g.doing + ": undoing " + o.Step
	}
	if o.Attempt > 1 {
		text += fmt.Sprintf(" (attempt %d)", o.Attempt)
	}
	return text
}

// reached judges what a look at the instance showed.
func (g goal) reached(server *servers.Server, err error) (done bool, failure error) {
	switch {
	case gophercloud.ResponseCodeIs(err, http.StatusNotFound):
		if g.status == "" {
			return true, nil
		}
		return false, fmt.Errorf("the instance was deleted")
	case err != nil:
		return false, friendly(err)
	case server.TaskState != "" || server.Status == "BUILD":
		return false, nil
	case server.Status == g.status:
		return true, nil
	case server.Status == "ERROR" && server.Fault.Message != "":
		return false, fmt.Errorf("%s `kilonova operation list -instance=%s` shows the steps", sentence(server.Fault.Message), server.ID)
	case g.status == "" && server.Status != "ERROR":
		return false, nil // a delete that waits for a host leaves the instance as it is until then
	}
	return false, fmt.Errorf("the instance came to rest as %s; `kilonova operation list -instance=%s` says why", server.Status, server.ID)
}

// sentence ends a message with a full stop, so that another can follow.
func sentence(text string) string { return strings.TrimRight(text, ". ") + "." }

// follow sends whenever something of the instance changed. Without a stream it sends on a clock. It ends with ctx.
func (c *connection) follow(ctx context.Context, id string, operation func(*api.Operation)) <-chan struct{} {
	changes := make(chan struct{}, 1)
	events, err := c.native.Events(ctx, api.EventFilter{Tables: []string{"instances", "operations"}, AllProjects: c.allProjects})
	go func() {
		if err == nil {
			copyChanges(events, id, operation, changes)
			_ = events.Close()
		}
		tick := time.NewTicker(lookWithout)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				signalTo(changes)
			case <-ctx.Done():
				return
			}
		}
	}()
	return changes
}

// copyChanges returns when the stream ends.
func copyChanges(events *api.Events, id string, operation func(*api.Operation), changes chan<- struct{}) {
	for {
		commit, err := events.Next()
		if err != nil {
			return
		}
		for _, e := range commit.Events {
			var entity struct {
				ID         string `json:"id"`
				InstanceID string `json:"instance_id"`
			}
			if json.Unmarshal(e.Entity, &entity) != nil || entity.ID != id && entity.InstanceID != id {
				continue
			}
			var o api.Operation
			if e.Table == "operations" && json.Unmarshal(e.Entity, &o) == nil && !o.Final() {
				operation(&o)
			}
			signalTo(changes)
		}
	}
}

func signalTo(changes chan<- struct{}) {
	select {
	case changes <- struct{}{}:
	default:
	}
}
