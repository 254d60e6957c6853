package image

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const tasksPath = "/v2/tasks"

// taskType is what a task is called: an import, but for those that POST /v2/tasks makes.
func taskType(t *structs.ImageTask) string {
	if t.Method == "" {
		return "import"
	}
	return "api_image_import"
}

// taskStub is a task in a list.
func taskStub(t *structs.ImageTask) object {
	o := object{"id": t.ID, "type": taskType(t), "status": t.Status, "owner": t.ProjectID, "created_at": isoTime(t.CreatedAt), "updated_at": isoTime(t.UpdatedAt),
		"self": tasksPath + "/" + string(t.ID), "schema": "/v2/schemas/task"}
	if !t.ExpiresAt.IsZero() {
		o["expires_at"] = isoTime(t.ExpiresAt)
	}
	return o
}

// taskView is a task.
func taskView(t *structs.ImageTask) object {
	o := taskStub(t)
	o["request_id"], o["user_id"] = t.RequestID, t.UserID
	o["input"], o["result"], o["message"] = taskInput(t), taskResult(t), t.Message
	if t.ImageID != "" {
		o["image_id"] = t.ImageID
	}
	return o
}

func taskInput(t *structs.ImageTask) any {
	body := json.RawMessage(cmp.Or(t.Body, "{}"))
	if t.Method == "" {
		return body
	}
	return object{"image_id": t.ImageID, "import_req": body, "backend": t.Stores}
}

func taskResult(t *structs.ImageTask) any {
	if t.Status != structs.ImageTaskSuccess {
		return nil
	}
	return object{"image_id": t.ImageID}
}

// imageTasks answers GET /v2/images/{image_id}/tasks, with the records as Glance's database has them.
func (s *service) imageTasks(r *httpapi.Request) (any, error) {
	i, err := find(r)
	if err != nil {
		return nil, httpapi.NotFound("No image found with ID %s", imageID(r))
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	tasks := []any{}
	at := structs.TimeOf(time.Now())
	for t := range rd.ImageTasksOf(i.ID) {
		if expired(t, at) {
			continue
		}
		var expires any
		if !t.ExpiresAt.IsZero() {
			expires = microTime(t.ExpiresAt)
		}
		tasks = append(tasks, object{"id": t.ID, "type": taskType(t), "status": t.Status, "owner": t.ProjectID, "image_id": t.ImageID, "request_id": t.RequestID, "user_id": t.UserID,
			"input": taskInput(t), "result": taskResult(t), "message": t.Message, "expires_at": expires, "created_at": microTime(t.CreatedAt), "updated_at": microTime(t.UpdatedAt),
			"deleted": false, "deleted_at": nil})
	}
	return object{"tasks": tasks}, nil
}

func microTime(t structs.Time) string { return t.Time().UTC().Format("2006-01-02T15:04:05.000000") }

// expired reports whether a task's record is as good as gone.
func expired(t *structs.ImageTask, at structs.Time) bool {
	return t.Status.Ended() && t.ExpiresAt < at
}

// listTasks answers GET /v2/tasks.
func (s *service) listTasks(r *httpapi.Request) (any, error) {
	q := r.Query()
	compare, err := taskOrder(q)
	if err != nil {
		return nil, err
	}
	limit, err := s.limit(q)
	if err != nil {
		return nil, err
	}
	if status := q.Get("status"); status != "" && !slices.Contains([]string{"pending", "processing", "success", "failure"}, status) {
		return nil, httpapi.BadRequest("Invalid status value: %s", status)
	}
	if typ := q.Get("type"); typ != "" && typ != "import" {
		return nil, httpapi.BadRequest("Invalid type value: %s", typ)
	}
	if m := q.Get("marker"); m != "" && !uuidText.MatchString(m) {
		return nil, httpapi.BadRequest("Invalid marker format")
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	var marker *structs.ImageTask
	if m := q.Get("marker"); m != "" {
		if marker = rd.ImageTask(structs.ImageTaskID(strings.ToLower(m))); marker == nil {
			return nil, httpapi.NotFound("No task found with ID %s", m)
		}
	}
	var found []*structs.ImageTask
	at := structs.TimeOf(time.Now())
	for t := range rd.ImageTasks() {
		if !expired(t, at) && (marker == nil || compare(t, marker) > 0) && taskMatches(t, q) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, compare)
	return taskPage(q, found[:min(limit, len(found))], limit), nil
}

var uuidText = regexp.MustCompile(uuidPattern)

func taskMatches(t *structs.ImageTask, q url.Values) bool {
	is := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
	return is("status", string(t.Status)) && is("type", taskType(t)) && is("owner", string(t.ProjectID)) && is("image_id", string(t.ImageID))
}

// taskOrder reads what a list of tasks is sorted by.
func taskOrder(q url.Values) (func(a, b *structs.ImageTask) int, error) {
	keys := map[string]func(a, b *structs.ImageTask) int{
		"created_at": func(a, b *structs.ImageTask) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"updated_at": func(a, b *structs.ImageTask) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) },
		"expires_at": func(a, b *structs.ImageTask) int { return cmp.Compare(a.ExpiresAt, b.ExpiresAt) },
		"status":     func(a, b *structs.ImageTask) int { return cmp.Compare(a.Status, b.Status) },
		"type":       func(a, b *structs.ImageTask) int { return cmp.Compare(taskType(a), taskType(b)) },
		"id":         func(a, b *structs.ImageTask) int { return cmp.Compare(a.ID, b.ID) },
	}
	dir, by := "desc", keys["created_at"]
	if q.Has("sort_dir") {
		if dir = q.Get("sort_dir"); dir != "asc" && dir != "desc" {
			return nil, httpapi.BadRequest("Invalid sort direction: %s", dir)
		}
	}
	if q.Has("sort_key") {
		if by = keys[q.Get("sort_key")]; by == nil {
			return nil, httpapi.BadRequest("Invalid sort key: %s", q.Get("sort_key"))
		}
	}
	return func(a, b *structs.ImageTask) int {
		c := cmp.Or(by(a, b), keys["created_at"](a, b), cmp.Compare(a.ID, b.ID))
		if dir == "desc" {
			return -c
		}
		return c
	}, nil
}

func taskPage(q url.Values, tasks []*structs.ImageTask, limit int) any {
	views := make([]any, len(tasks))
	for n, t := range tasks {
		views[n] = taskStub(t)
	}
	rest := url.Values{}
	for k, v := range q {
		if k != "marker" {
			rest[k] = v
		}
	}
	link := func() string {
		if len(rest) == 0 {
			return tasksPath
		}
		return tasksPath + "?" + rest.Encode()
	}
	body := object{"tasks": views, "first": link(), "schema": "/v2/schemas/tasks"}
	if len(tasks) > 0 && len(tasks) == limit {
		rest.Set("marker", string(tasks[len(tasks)-1].ID))
		body["next"] = link()
	}
	return body
}

// task returns the task that the path names.
func task(r *httpapi.Request) (*structs.ImageTask, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	t := rd.ImageTask(structs.ImageTaskID(strings.ToLower(r.Vars["task_id"])))
	if t == nil || expired(t, structs.TimeOf(time.Now())) {
		return nil, httpapi.NotFound("No task found with ID %s", r.Vars["task_id"])
	}
	return t, nil
}

// showTask answers GET /v2/tasks/{task_id}.
func (s *service) showTask(r *httpapi.Request) (any, error) {
	t, err := task(r)
	if err != nil {
		return nil, err
	}
	return taskView(t), nil
}

// deleteTask answers DELETE /v2/tasks/{task_id}, which Glance permits to nobody.
func (s *service) deleteTask(r *httpapi.Request) (any, error) {
	r.Writer.Header().Set("Allow", http.MethodGet)
	return nil, httpapi.Statusf(http.StatusMethodNotAllowed, "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time based on their "+
		"expires_at property.")
}

// createTask answers POST /v2/tasks. The imports of old that this began are no longer: the task is made and has failed, and says what to do.
func (s *service) createTask(r *httpapi.Request) (any, error) {
	body, err := fields(r.Body, "Provided object does not match schema 'task': an object is expected")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"type", "input"} {
		if body[name] == nil {
			return nil, httpapi.BadRequest("Task '%s' is required", name)
		}
	}
	var typ string
	var input map[string]any
	if json.Unmarshal(body["type"], &typ) != nil || !slices.Contains([]string{"import", "api_image_import", "location_import"}, typ) {
		return nil, httpapi.BadRequest("Provided object does not match schema 'task': %s is not one of ['import', 'api_image_import', 'location_import']", body["type"])
	}
	if json.Unmarshal(body["input"], &input) != nil {
		return nil, httpapi.BadRequest("Provided object does not match schema 'task': input is no object")
	}
	if typ != "import" {
		return nil, httpapi.BadRequest("Tasks of type %s are made by the image's import, not here.", typ)
	}
	if from, _ := input["import_from"].(string); s.opts.Fetch.Check(from) != nil {
		return nil, httpapi.BadRequest("URI for legacy import task does not pass filtering: %s", cmp.Or(from, "None"))
	}
	at := structs.TimeOf(time.Now())
	t := structs.ImageTask{ID: structs.ImageTaskID(nomadlike.NewUUID()), ProjectID: r.Token.ProjectID, UserID: r.Token.UserID, RequestID: r.RequestID, Status: structs.ImageTaskFailure,
		Body: compact(body["input"]), Message: "This service imports by POST /v2/images/{image_id}/import alone.", ServerID: r.Core.Cluster().ServerID,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(s.opts.TaskTTL), ExpireAfter: int64(s.opts.TaskTTL)}
	if _, err := fsm.ImageTaskCreate.Propose(r.Context(), r.Core, &structs.ImageTaskCreate{Task: t}); err != nil {
		return nil, err
	}
	r.Writer.Header().Set("Location", tasksPath+"/"+string(t.ID))
	return taskView(&t), nil
}
