package scheduler

import (
	"encoding/json"
	"slices"
	"strings"
)

// jsonFilter is Nova's JsonFilter: hint query is [operator, arguments…], with operators = < > in <= >= not or and. An
// argument is a value, another query, or "$name.key", which is the host's attribute (null when it has none, and null
// arguments are left out). A query whose answer is a list passes when any of it is true. Nova fails on an unknown
// operator and on values that do not compare; here the comparison is false, and an unknown operator refuses every host.
type jsonFilter struct{}

func (jsonFilter) name() string          { return "JsonFilter" }
func (jsonFilter) applies(q *query) bool { return q.hints.query != nil || q.hints.badQuery }

func (jsonFilter) pass(q *query, h *candidate) bool {
	if q.hints.badQuery {
		return false
	}
	v := evaluate(q.hints.query, func(name string) (any, bool) {
		if slices.Contains(liveAttributes, name) {
			return q.scheduler.cache.liveAttribute(h, name)
		}
		return staticAttribute(h.host, name)
	})
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, truthy)
	}
	return truthy(v)
}

func (jsonFilter) why(q *query, _ *candidate) string {
	if q.hints.badQuery {
		return "hint query is not a list of a known operator and its arguments"
	}
	return "hint query is false for it"
}

// parseQuery decodes the hint, which is JSON or a text of JSON, and checks its operators. An empty one is none.
func parseQuery(raw json.RawMessage) (query any, bad bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil, true
	}
	list, ok := v.([]any)
	if !ok || !validQuery(list) {
		return nil, true
	}
	if len(list) == 0 {
		return nil, false
	}
	return list, false
}

func validQuery(q []any) bool {
	if len(q) == 0 {
		return true
	}
	op, ok := q[0].(string)
	if !ok || !slices.Contains([]string{"=", "<", ">", "in", "<=", ">=", "not", "or", "and"}, op) {
		return false
	}
	for _, a := range q[1:] {
		if sub, ok := a.([]any); ok && !validQuery(sub) {
			return false
		}
	}
	return true
}

// evaluate works out a valid query; an empty one is true.
func evaluate(query any, attribute func(string) (any, bool)) any {
	q := query.([]any)
	if len(q) == 0 {
		return true
	}
	var args []any
	for _, a := range q[1:] {
		switch v := a.(type) {
		case []any:
			a = evaluate(v, attribute)
		case string:
			a = argument(v, attribute)
		}
		if a != nil {
			args = append(args, a)
		}
	}
	switch op := q[0].(string); op {
	case "not":
		out := make([]any, len(args))
		for i, a := range args {
			out[i] = !truthy(a)
		}
		return out
	case "or":
		return slices.ContainsFunc(args, truthy)
	case "and":
		return !slices.ContainsFunc(args, func(a any) bool { return !truthy(a) })
	case "in":
		return len(args) > 1 && slices.ContainsFunc(args[1:], func(a any) bool { return jsonHolds("=", args[0], a) })
	default:
		return len(args) > 1 && !slices.ContainsFunc(args[1:], func(a any) bool { return !jsonHolds(op, args[0], a) })
	}
}

// argument resolves a text: "$name.key" is an attribute, "" is null, all else is itself.
func argument(s string, attribute func(string) (any, bool)) any {
	if s == "" {
		return nil
	}
	path, ok := strings.CutPrefix(s, "$")
	if !ok {
		return s
	}
	parts := strings.Split(path, ".")
	v, ok := attribute(parts[0])
	if !ok {
		return nil
	}
	if v, ok = descend(v, parts[1:]); !ok {
		return nil
	}
	return v
}

// jsonHolds compares two numbers or two texts; values of different kinds are not equal and have no order.
func jsonHolds(op string, a, b any) bool {
	if x, ok := numberOf(a); ok {
		y, ok := numberOf(b)
		return ok && ordered(op, x, y)
	}
	x, ok := a.(string)
	if !ok {
		return op == "=" && textOf(a) == textOf(b)
	}
	y, ok := b.(string)
	return ok && ordered(op, x, y)
}

func ordered[T float64 | string](op string, x, y T) bool {
	switch op {
	case "=":
		return x == y
	case "<":
		return x < y
	case ">":
		return x > y
	case "<=":
		return x <= y
	}
	return x >= y
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// truthy is Python's truth of a value.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	f, ok := numberOf(v)
	return !ok || f != 0
}
