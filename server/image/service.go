package image

import (
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Options are the service's settings. Zero values mean the defaults named.
type Options struct {
	Logger hclog.Logger // nil: no log
	// MaxSize is the largest image accepted, in bytes; 0 is 1 TiB ([DEFAULT]image_size_cap).
	MaxSize int64
	// DefaultLimit is the page size when none is asked for, MaxLimit the largest; 0 is 25 and 1000 (limit_param_default,
	// api_limit_max).
	DefaultLimit, MaxLimit int
	// MaxProperties and MaxTags bound an image's; 0 is 128 each (image_property_quota, image_tag_quota).
	MaxProperties, MaxTags int
	// UploadIdle is how long an upload may bring no byte before it is given up; 0 is 5 minutes.
	UploadIdle time.Duration
}

// service holds what the handlers share.
type service struct {
	opts Options
	log  hclog.Logger
}

// New returns the services to serve: the versions document and the API.
func New(opts Options) []*httpapi.Service {
	defaults(&opts)
	s := &service{opts: opts, log: opts.Logger}
	return []*httpapi.Service{
		{Name: "image-versions", Prefix: "/image", Faults: httpapi.GlanceFaults, Routes: versionRoutes()},
		{Name: "image", Prefix: "/image/v2", Faults: httpapi.GlanceFaults, Routes: s.routes()},
	}
}

func defaults(o *Options) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 1 << 40
	}
	if o.UploadIdle <= 0 {
		o.UploadIdle = 5 * time.Minute
	}
	for _, n := range []struct {
		v   *int
		def int
	}{{&o.DefaultLimit, 25}, {&o.MaxLimit, 1000}, {&o.MaxProperties, 128}, {&o.MaxTags, 128}} {
		if *n.v <= 0 {
			*n.v = n.def
		}
	}
}

// The rules carry Glance's policy names; whose image it is the handlers judge.
var (
	ruleList     = httpapi.ReaderOrAdmin("get_images")
	ruleShow     = httpapi.ReaderOrAdmin("get_image")
	ruleDownload = httpapi.ReaderOrAdmin("download_image")
	ruleAdd      = httpapi.MemberOrAdmin("add_image")
	ruleModify   = httpapi.MemberOrAdmin("modify_image")
	ruleDelete   = httpapi.MemberOrAdmin("delete_image")
	ruleUpload   = httpapi.MemberOrAdmin("upload_image")
	rulePublic   = httpapi.Admin("publicize_image")
)

func (s *service) routes() []httpapi.Route {
	return append([]httpapi.Route{
		{Method: http.MethodGet, Path: "/images", Rule: ruleList, Handler: s.list},
		{Method: http.MethodPost, Path: "/images", Rule: ruleAdd, Body: createSchema, Status: http.StatusCreated, Handler: s.create},
		{Method: http.MethodGet, Path: "/images/{image_id}", Rule: ruleShow, Handler: s.show},
		{Method: http.MethodPatch, Path: "/images/{image_id}", Rule: ruleModify, Handler: s.update},
		{Method: http.MethodDelete, Path: "/images/{image_id}", Rule: ruleDelete, Status: http.StatusNoContent, Handler: untyped(s.remove)},
		{Method: http.MethodPut, Path: "/images/{image_id}/file", Rule: ruleUpload, Status: http.StatusNoContent, Handler: untyped(s.upload), Raw: true},
		{Method: http.MethodGet, Path: "/images/{image_id}/file", Rule: ruleDownload, Status: http.StatusNoContent, Handler: untyped(s.download), Raw: true},
		{Method: http.MethodPut, Path: "/images/{image_id}/tags/{tag}", Rule: ruleModify, Status: http.StatusNoContent, Handler: untyped(s.addTag)},
		{Method: http.MethodDelete, Path: "/images/{image_id}/tags/{tag}", Rule: ruleModify, Status: http.StatusNoContent, Handler: untyped(s.removeTag)},
		{Method: http.MethodGet, Path: "/schemas/image", Rule: httpapi.Authenticated("get_schema"), Handler: constant(imageSchema)},
		{Method: http.MethodGet, Path: "/schemas/images", Rule: httpapi.Authenticated("get_schema"), Handler: constant(imagesSchema)},
		{Method: http.MethodGet, Path: "/info/import", Rule: httpapi.Authenticated("get_import_info"), Handler: constant(importInfo)},
		{Method: http.MethodGet, Path: "/info/stores", Rule: httpapi.Authenticated("get_stores_info"), Handler: constant(map[string]any{"stores": []any{}})},
	}, versionRoutes()[:2]...)
}

// importInfo says that no import method is offered.
var importInfo = map[string]any{"import-methods": map[string]any{
	"description": "Import methods available.", "type": "array", "value": []string{}}}

// constant answers always the same.
func constant(v any) httpapi.Handler {
	return func(*httpapi.Request) (any, error) { return v, nil }
}

// untyped leaves the Content-Type out of an answer without a body: python-glanceclient parses whatever is called JSON.
func untyped(h httpapi.Handler) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		v, err := h(r)
		if v == nil && err == nil {
			r.Writer.Header()["Content-Type"] = nil // present, so that no default is put in, and not sent
		}
		return v, err
	}
}
