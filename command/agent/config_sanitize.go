package agent

import (
	"encoding/json"
	"reflect"
	"time"
)

// hidden stands in sanitized output where a secret is.
const hidden = "(hidden)"

// Sanitized returns the configuration for people and the API: durations as text, secrets hidden.
func (r *Runtime) Sanitized() map[string]any {
	return sanitize(reflect.ValueOf(*r)).(map[string]any)
}

func sanitize(v reflect.Value) any {
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			out[jsonName(field)] = sanitizeField(field, v.Field(i))
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range v.Len() {
			out[i] = sanitize(v.Index(i))
		}
		return out
	}
	return v.Interface()
}

func sanitizeField(field reflect.StructField, v reflect.Value) any {
	if field.Tag.Get("secret") != "true" {
		return sanitize(v)
	}
	raw, ok := v.Interface().(json.RawMessage)
	switch {
	case ok: // which settings there are is worth knowing, their values are the driver's
		return hideValues(raw)
	case v.IsZero():
		return ""
	}
	return hidden
}

func hideValues(raw json.RawMessage) any {
	var settings map[string]any
	if json.Unmarshal(raw, &settings) != nil {
		return hidden
	}
	for key := range settings {
		settings[key] = hidden
	}
	return settings
}
