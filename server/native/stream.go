package native

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// eventLine is one line of the stream: what one commit changed, as far as the caller sees it. A line without index is a heartbeat.
type eventLine struct {
	Index  uint64      `json:"index,omitempty"`
	Events []eventView `json:"events,omitempty"`
	Error  *lastWords  `json:"error,omitempty"`
}

// lastWords end a stream that the server ends.
type lastWords struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type eventView struct {
	Table   string `json:"table"`
	Deleted bool   `json:"deleted"`
	Entity  any    `json:"entity"`
}

type claimView struct {
	InstanceID string        `json:"instance_id"`
	HostID     string        `json:"host_id"`
	ProjectID  string        `json:"project_id"`
	Resources  resourcesView `json:"resources"`
	Generation uint64        `json:"generation"`
}

type evaluationView struct {
	ID          string           `json:"id"`
	InstanceID  string           `json:"instance_id"`
	OperationID string           `json:"operation_id"`
	Status      string           `json:"status"`
	Attempt     int              `json:"attempt"`
	Explanation *explanationView `json:"explanation"`
}

// streamed are the tables of the stream. Each turns an entity into what the caller may see of it, nil for nothing. A table that is not here
// is never streamed: not keys, not users, not what somebody adds tomorrow.
var streamed = map[string]func(entity any, t *httpapi.Token, all bool) any{
	"instances": func(v any, t *httpapi.Token, all bool) any {
		if i, ok := v.(*structs.Instance); ok && (all || i.ProjectID == t.ProjectID) {
			return viewInstance(i, t.IsAdmin())
		}
		return nil
	},
	"operations": func(v any, t *httpapi.Token, all bool) any {
		if o, ok := v.(*structs.Operation); ok && (all || o.ProjectID == t.ProjectID) {
			return viewOperation(o, t.IsAdmin())
		}
		return nil
	},
	"hosts": func(v any, t *httpapi.Token, _ bool) any {
		if h, ok := v.(*structs.Host); ok && t.IsAdmin() {
			return viewHost(h)
		}
		return nil
	},
	"claims": func(v any, t *httpapi.Token, all bool) any {
		if c, ok := v.(*structs.Claim); ok && t.IsAdmin() && (all || c.ProjectID == t.ProjectID) {
			return claimView{string(c.InstanceID), string(c.HostID), string(c.ProjectID), resources(c.Resources), c.Generation}
		}
		return nil
	},
	"evaluations": func(v any, t *httpapi.Token, all bool) any {
		if e, ok := v.(*structs.Evaluation); ok && t.IsAdmin() && all {
			return evaluationView{string(e.ID), string(e.InstanceID), string(e.OperationID), string(e.Status), e.Attempt, viewExplanation(e.Result, true)}
		}
		return nil
	},
}

// notificationsTable is no table of the state: what it streams are the notifications that the other tables' changes make. It is streamed to who names it.
const notificationsTable = "notifications"

// tablesWanted reads ?table=a&table=b (or a,b); none is all tables of the state.
func tablesWanted(r *httpapi.Request) (map[string]bool, error) {
	tables := slices.Sorted(maps.Keys(streamed))
	known := append(slices.Clone(tables), notificationsTable)
	out := map[string]bool{}
	for _, v := range r.Query()["table"] {
		for name := range strings.SplitSeq(v, ",") {
			if !slices.Contains(known, name) {
				return nil, httpapi.BadRequest("table %q is not streamed; these are: %s", name, strings.Join(known, ", "))
			}
			out[name] = true
		}
	}
	if len(out) == 0 {
		for _, name := range tables {
			out[name] = true
		}
	}
	return out, nil
}

// stream writes the changes after ?index (those from now on without it) as lines of JSON until the client leaves, its token ends, or it
// falls so far behind that changes were dropped: then it lists anew and begins at the list's index.
func (s *service) stream(r *httpapi.Request) (any, error) {
	tables, err := tablesWanted(r)
	if err != nil {
		return nil, err
	}
	all, index := false, r.Core.Stale().Index()
	if on(r, "all_projects") {
		if err := r.Allow(ruleAllProjects); err != nil {
			return nil, err
		}
		all = true
	}
	if q := r.Query(); q.Has("index") {
		if index, err = strconv.ParseUint(q.Get("index"), 10, 64); err != nil {
			return nil, httpapi.BadRequest("index %s is no log index", q.Get("index"))
		}
	}
	sub, whole := r.Core.Events().Subscribe(index)
	if !whole {
		return nil, httpapi.Conflict("changes after index %d are no longer kept; list first, then begin at the list's X-Kilonova-Index", index)
	}
	w := &lineWriter{r: r, rc: http.NewResponseController(r.Writer)}
	r.Writer.Header().Set("Content-Type", "application/json")
	r.Writer.Header().Set("X-Kilonova-Index", strconv.FormatUint(index, 10))
	r.Writer.WriteHeader(http.StatusOK)
	if w.line(eventLine{}) != nil { // the first heartbeat tells that the stream is open
		return httpapi.Written, nil
	}
	s.run(r, sub, w, func(commit []event.Event) []eventView {
		views := tableViews(commit, tables, r.Token, all)
		if tables[notificationsTable] {
			views = append(views, s.notificationViews(r, commit, all)...)
		}
		return views
	})
	return httpapi.Written, nil
}

// tableViews are what the caller sees of a commit's changes.
func tableViews(commit []event.Event, tables map[string]bool, t *httpapi.Token, all bool) (views []eventView) {
	for i := range commit {
		e := &commit[i]
		if !tables[e.Table] || streamed[e.Table] == nil {
			continue
		}
		if v := streamed[e.Table](e.Entity, t, all); v != nil {
			views = append(views, eventView{e.Table, e.Deleted, v})
		}
	}
	return views
}

// notificationViews are the notifications that a commit makes: an administrator sees all, or those of its project and of what belongs to no project, a user those
// of its project without the names of hosts.
func (s *service) notificationViews(r *httpapi.Request, commit []event.Event, all bool) (views []eventView) {
	for _, n := range notification.Translate(s.opts.Notifications, r.Core.Stale(), commit) {
		admin := r.Token.IsAdmin()
		nobodys := admin && n.ProjectID == "" && n.UserID == ""
		if !all && !nobodys && !n.BelongsTo(r.Token.ProjectID, r.Token.UserID) {
			continue
		}
		if !admin {
			n = n.ForUser()
		}
		views = append(views, eventView{Table: notificationsTable, Entity: n})
	}
	return views
}

// run copies events to the writer until the stream ends.
func (s *service) run(r *httpapi.Request, sub *event.Subscription, w *lineWriter, see func([]event.Event) []eventView) {
	for {
		ctx, cancel := context.WithTimeout(r.Context(), s.opts.Heartbeat)
		events, whole, err := sub.Next(ctx)
		cancel()
		if r.Context().Err() != nil {
			return
		}
		if !s.holds(r) {
			_ = w.line(eventLine{Error: &lastWords{structs.KindUnauthorized.String(), "the token does not hold any more"}})
			return
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			if w.line(eventLine{}) != nil {
				return
			}
			continue
		case err != nil:
			return
		case !whole:
			_ = w.line(eventLine{Error: &lastWords{structs.KindConflict.String(), "changes were dropped because they were not taken in time; list anew"}})
			return
		}
		for _, commit := range notification.Commits(events) {
			if views := see(commit); len(views) > 0 && w.line(eventLine{Index: commit[0].Index, Events: views}) != nil {
				return
			}
		}
	}
}

// holds asks again whether the stream's token is good, and still has the roles that it began with.
func (s *service) holds(r *httpapi.Request) bool {
	if r.Token.ExpiresAt <= structs.TimeOf(time.Now()) {
		return false
	}
	if s.opts.Auth == nil {
		return true
	}
	t, err := s.opts.Auth.Verify(r.Header.Get("X-Auth-Token"))
	return err == nil && slices.Equal(t.Roles, r.Token.Roles)
}

// lineWriter sends lines at once. A client that takes none for writeGrace is gone.
type lineWriter struct {
	r  *httpapi.Request
	rc *http.ResponseController
}

func (w *lineWriter) line(l eventLine) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_ = w.rc.SetWriteDeadline(time.Now().Add(writeGrace)) // not every writer has one
	if _, err := w.r.Writer.Write(append(b, '\n')); err != nil {
		return err
	}
	return w.rc.Flush()
}
