package image

import (
	"encoding/json"
	"mime"
	"net/http"
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
	i, err := findOwned(r)
	if err != nil || len(ops) == 0 {
		return orView(i, err)
	}
	e := editor{service: s, token: r.Token}
	return orView(change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		if !owned(r.Token, i) { // somebody gave it away meanwhile
			return noImage(i.ID)
		}
		for _, op := range ops {
			if err := e.apply(i, op); err != nil {
				return err
			}
		}
		return e.check(i)
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
	name, err := decodePointer(path)
	if err != nil {
		return operation{}, err
	}
	if err := writable(name); err != nil {
		return operation{}, err
	}
	out := operation{op: op, name: name, value: fields["value"], strict: old}
	if op == "remove" {
		return out, nil
	}
	if out.value == nil {
		return operation{}, httpapi.BadRequest(`Operation "%s" requires a member named "value".`, op)
	}
	one, err := json.Marshal(map[string]json.RawMessage{name: out.value})
	if err != nil {
		return operation{}, httpapi.BadRequest("Malformed request body")
	}
	return out, patchSchema.Validate(one, 0)
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
			if op != "" || json.Unmarshal(raw, &path) != nil {
				op = ""
				break
			}
			op = name
		}
	}
	if op == "" {
		return "", "", httpapi.BadRequest(`Operation objects must contain exactly one member named "add", "remove", or "replace".`)
	}
	return op, path, nil
}

// decodePointer reads a JSON pointer of one segment, the only kind that an image has. "/" and "~" in it are written ~1 and ~0.
func decodePointer(p string) (string, error) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "", httpapi.BadRequest("Pointer `%s` does not start with \"/\".", p)
	case len(p) > 1 && strings.HasSuffix(p, "/"):
		return "", httpapi.BadRequest("Pointer `%s` end with \"/\".", p)
	case strings.Contains(p[1:], "/"):
		return "", httpapi.BadRequest("Invalid JSON pointer for this resource: '%s'", p)
	}
	var b strings.Builder
	for rest := p[1:]; rest != ""; {
		before, after, escaped := strings.Cut(rest, "~")
		b.WriteString(before)
		if !escaped {
			break
		}
		switch {
		case strings.HasPrefix(after, "0"):
			b.WriteByte('~')
		case strings.HasPrefix(after, "1"):
			b.WriteByte('/')
		default:
			return "", httpapi.BadRequest("Pointer `%s` contains \"~\" not part of a recognized escape sequence.", p)
		}
		rest = after[1:]
	}
	return strings.TrimSpace(b.String()), nil
}

func (e editor) apply(i *structs.Image, op operation) error {
	_, isProperty := i.Properties[op.name]
	exists := attribute(op.name) || isProperty
	switch {
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
