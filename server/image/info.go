package image

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// importInfo answers GET /v2/info/import.
func (s *service) importInfo(*httpapi.Request) (any, error) {
	return object{"import-methods": object{"description": "Import methods available.", "type": "array", "value": s.opts.ImportMethods}}, nil
}

// storesInfo answers GET /v2/info/stores.
func (s *service) storesInfo(*httpapi.Request) (any, error) {
	return object{"stores": s.stores(func(object, store.Info) {})}, nil
}

// storesDetail answers GET /v2/info/stores/detail.
func (s *service) storesDetail(*httpapi.Request) (any, error) {
	return object{"stores": s.stores(func(o object, i store.Info) {
		o["type"], o["weight"], o["properties"] = i.Type, 0, i.Properties
	})}, nil
}

func (s *service) stores(more func(object, store.Info)) []object {
	out := []object{}
	for _, st := range s.opts.Stores.All() {
		i := st.Info()
		o := object{"id": i.ID}
		if i.Description != "" {
			o["description"] = i.Description
		}
		if i.ID == s.opts.Stores.Default() {
			o["default"] = "true"
		}
		more(o, i)
		out = append(out, o)
	}
	return out
}

// limits are what a project's images may come to.
func (s *service) limits(rd state.Reader, p structs.ProjectID) structs.ImageLimits {
	return rd.ImageLimits(p, s.opts.Limits)
}

// usage answers GET /v2/info/usage.
func (s *service) usage(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	p := r.Token.ProjectID
	used, limits, out := structs.ImageUsage{}, s.limits(rd, p), object{}
	if p != "" {
		used = rd.ImageUsage(p)
	}
	for _, name := range structs.ImageLimitNames {
		out[name] = object{"usage": used[name], "limit": limits.Of(name)}
	}
	return object{"usage": out}, nil
}
