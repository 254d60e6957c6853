package base

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// List answers with the views of things that the query's filters let through.
func List[T any](r *httpapi.Request, key string, all func(state.Reader) []T, view func(*httpapi.Request, T) View, filters ...string) (any, error) {
	st, err := Read(r)
	if err != nil {
		return nil, err
	}
	out := []View{}
	for _, x := range all(st) {
		if v := view(r, x); Matches(r, v, filters...) {
			out = append(out, v)
		}
	}
	return Collection(r, key, out), nil
}

// Show answers with one thing.
func Show[T any](r *httpapi.Request, key string, find func(state.Reader) (T, error), view func(*httpapi.Request, T) View) (any, error) {
	st, err := Read(r)
	if err != nil {
		return nil, err
	}
	x, err := find(st)
	if err != nil {
		return nil, err
	}
	return map[string]any{key: view(r, x)}, nil
}

// Edit changes a copy of a thing and writes it in the thing's place, again when somebody else's change came between, and answers with it.
func Edit[T any, P interface {
	*T
	GetMeta() *structs.Meta
}](r *httpapi.Request, key string, find func(state.Reader) (P, error), apply func(state.Reader, P) error, write func(x T, index uint64) error, view func(*httpapi.Request, P) View) (any, error) {
	return Change(r, func(st state.Reader) (any, error) {
		old, err := find(st)
		if err != nil {
			return nil, err
		}
		x := *old
		if err := apply(st, &x); err != nil {
			return nil, err
		}
		if err := write(x, old.GetMeta().ModifyIndex); err != nil {
			return nil, err
		}
		return map[string]any{key: view(r, &x)}, nil
	})
}
