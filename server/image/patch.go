package image

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	patchV20 = "application/openstack-images-v2.0-json-patch" // {"replace": "/name", "value": ...}
	patchV21 = "application/openstack-images-v2.1-json-patch" // {"op": "replace", "path": "/name", "value": ...}
)

const operations = "add, remove, replace"

// operation is one change of a PATCH.
type operation struct {
	op     string // add, remove, replace
	name   string
	value  json.RawMessage
	strict bool // of the older format: add refuses what is there
}

// update answers PATCH /v2/images/{image_id}: all operations or none.
func (s *service) update(r *httpapi.Request) (any, error) {
	ops, err := decodePatch(r)
	if err != nil {
		return nil, err
	}
	i, err := find(r)
	if err != nil || len(ops) == 0 {
		return orView(i, err)
	}
	e := editor{service: s, r: r}
	return orView(change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		if err := judge(r, i, noImage(i.ID)); err != nil { // somebody gave it away meanwhile
			return err
		}
		old := i.Copy()
		for _, op := range ops {
			if err := e.apply(i, op); err != nil {
				return err
			}
		}
		return e.check(old, i)
	}))
}

func orView(i *structs.Image, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return view(i), nil
}

func decodePatch(r *httpapi.Request) ([]operation, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != patchV20 && media != patchV21 {
		return nil, &httpapi.StatusError{Status: http.StatusUnsupportedMediaType, Header: http.Header{"Accept-Patch": {patchV20 + ", " + patchV21}},
			Message: "Image PATCH expects Content-Type one of: " + patchV20 + ", " + patchV21}
	}
	if len(r.Body) == 0 {
		return nil, httpapi.BadRequest("Body expected in request.")
	}
	var list []json.RawMessage
	if err := json.Unmarshal(r.Body, &list); err != nil || list == nil {
		return nil, httpapi.BadRequest("Request body must be a JSON array of operation objects.")
	}
	out := make([]operation, 0, len(list))
	for _, raw := range list {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
			return nil, httpapi.BadRequest("Operations must be JSON objects.")
		}
		op, err := decodeOperation(fields, media == patchV20)
		if err != nil {
			return nil, err
		}
		out = append(out, op)
	}
	return out, nil
}

func decodeOperation(fields map[string]json.RawMessage, old bool) (operation, error) {
	op, path, err := operationV21(fields)
	if old {
		op, path, err = operationV20(fields)
	}
	if err != nil {
		return operation{}, err
	}
	parts, err := decodePointer(path)
	if err != nil {
		return operation{}, err
	}
	if depth := pointerDepth(parts[0], op); len(parts) != depth {
		return operation{}, httpapi.BadRequest("Invalid JSON pointer for this resource: '/%s'", strings.Join(parts, "/"))
	}
	name := parts[0]
	out := operation{op: op, name: name, value: fields["value"], strict: old}
	if op != "remove" && out.value == nil {
		return operation{}, httpapi.BadRequest(`Operation "%s" requires a member named "value".`, op)
	}
	if err := writable(name); err != nil || op == "remove" {
		return out, err
	}
	value := out.value
	if len(parts) > 1 { // one of a list
		value = slices.Concat([]byte("["), value, []byte("]"))
	}
	one, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err != nil {
		return operation{}, httpapi.BadRequest("Malformed request body")
	}
	return out, matches(patchSchema, one)
}

// pointerDepth is how many parts the pointer of an operation has: one, but a single location is named by its place.
func pointerDepth(name, op string) int {
	if name == "locations" && op != "replace" {
		return 2
	}
	return 1
}

func operationV21(fields map[string]json.RawMessage) (op, path string, err error) {
	if fields["op"] == nil {
		return "", "", httpapi.BadRequest("Unable to find `op` in JSON Schema change. It must be one of the following: %s.", operations)
	}
	if json.Unmarshal(fields["op"], &op) != nil || op != "add" && op != "remove" && op != "replace" {
		return "", "", httpapi.BadRequest("Invalid operation: `%s`. It must be one of the following: %s.", strings.Trim(string(fields["op"]), `"`), operations)
	}
	if json.Unmarshal(fields["path"], &path) != nil {
		return "", "", httpapi.BadRequest("Unable to find 'path' in JSON Schema change")
	}
	return op, path, nil
}

func operationV20(fields map[string]json.RawMessage) (op, path string, err error) {
	for _, name := range []string{"add", "remove", "replace"} {
		if raw, ok := fields[name]; ok {
			if op != "" {
				return "", "", httpapi.BadRequest(`Operation objects must contain only one member named "add", "remove", or "replace".`)
			}
			if json.Unmarshal(raw, &path) != nil {
				return "", "", httpapi.BadRequest("Pointer `%s` does not start with \"/\".", raw)
			}
			op = name
		}
	}
	if op == "" {
		return "", "", httpapi.BadRequest(`Operation objects must contain exactly one member named "add", "remove", or "replace".`)
	}
	return op, path, nil
}

// decodePointer splits a JSON pointer. "/" and "~" within a part are written ~1 and ~0.
func decodePointer(p string) ([]string, error) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return nil, httpapi.BadRequest("Pointer `%s` does not start with \"/\".", p)
	case adjacentSlashes(p[1:]):
		return nil, httpapi.BadRequest("Pointer `%s` contains adjacent \"/\".", p)
	case len(p) > 1 && strings.HasSuffix(p, "/"):
		return nil, httpapi.BadRequest("Pointer `%s` end with \"/\".", p)
	}
	for rest := p; ; {
		_, after, escaped := strings.Cut(rest, "~")
		if !escaped {
			break
		}
		if after == "" || after[0] != '0' && after[0] != '1' {
			return nil, httpapi.BadRequest("Pointer `%s` contains \"~\" not part of a recognized escape sequence.", p)
		}
		rest = after[1:]
	}
	parts := strings.Split(strings.TrimLeft(p, "/"), "/")
	for n, part := range parts {
		parts[n] = strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"))
	}
	return parts, nil
}

// adjacentSlashes reports whether there is nothing but space between two slashes.
func adjacentSlashes(p string) bool {
	parts := strings.Split(p, "/")
	return len(parts) > 2 && slices.ContainsFunc(parts[1:len(parts)-1], func(s string) bool { return strings.TrimSpace(s) == "" })
}

// refuseLocations refuses to write where data lie: Glance does while show_multiple_locations is off, its default.
func (e editor) refuseLocations(i *structs.Image, op operation) error {
	rule, what := ruleSetLocation, map[string]string{"add": "add", "replace": "update", "remove": "remove"}[op.op]
	if op.op == "remove" {
		rule = ruleDeleteLocation
	}
	var list []any
	if op.op == "replace" && json.Unmarshal(op.value, &list) == nil && len(list) == 0 {
		return httpapi.Forbidden("Cannot set locations to empty list.")
	}
	if err := e.r.AllowTarget(rule, target(e.r.Token, i)); err != nil {
		return err
	}
	return httpapi.Forbidden("It's not allowed to %s locations if locations are invisible.", what)
}

func (e editor) apply(i *structs.Image, op operation) error {
	_, isProperty := i.Properties[op.name]
	exists := attribute(op.name) || isProperty
	switch {
	case op.name == "locations":
		return e.refuseLocations(i, op)
	case op.op == "add" && op.strict && exists:
		return httpapi.Conflict("Property %s already present.", op.name)
	case op.op != "add" && !exists:
		return httpapi.Conflict("Property %s does not exist.", op.name)
	case op.op == "remove" && !isProperty:
		return httpapi.Forbidden("Property %s may not be removed.", op.name)
	case op.op == "remove":
		delete(i.Properties, op.name)
		return nil
	}
	return e.set(i, op.name, op.value)
}
