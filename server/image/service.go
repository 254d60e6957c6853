package image

import (
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/image/fetch"
	"github.com/kilonova-cloud/kilonova/server/image/importer"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// Options are the service's settings. Zero values mean the defaults named.
type Options struct {
	Logger hclog.Logger // nil: no log
	// MaxSize is the largest image accepted, in bytes; 0 is 1 TiB ([DEFAULT]image_size_cap).
	MaxSize int64
	// DefaultLimit is the page size when none is asked for, MaxLimit the largest; 0 is 25 and 1000 (limit_param_default,
	// api_limit_max).
	DefaultLimit, MaxLimit int
	// MaxProperties, MaxTags and MaxMembers bound an image's; 0 is 128 each, below 0 there is no bound (image_property_quota, image_tag_quota,
	// image_member_quota).
	MaxProperties, MaxTags, MaxMembers int
	// Limits are those of every project that Keystone's limits say nothing of; nil is none.
	Limits structs.ImageLimits
	// UploadIdle is how long an upload may bring no byte before it is given up; 0 is 5 minutes.
	UploadIdle time.Duration
	// Stores are where data can be kept; nil is the servers' own store alone.
	Stores *store.Set
	// ImportMethods are offered; nil is glance-direct, web-download and copy-image (enabled_import_methods).
	ImportMethods []string
	// Fetch reads what web-download names; nil has Glance's defaults.
	Fetch Fetcher
	// TaskTTL is how long the record of an import that has ended is kept; 0 is 48 hours (task_time_to_live).
	TaskTTL time.Duration
	// Imports does the imports while somebody runs it; nil is one of NewImports.
	Imports *importer.Engine
}

// Fetcher is a fetch.Client.
type Fetcher interface {
	importer.Fetcher
	// Check judges a URL's text.
	Check(url string) error
}

// NewImports returns what does the imports of a service with these options, which it then belongs into. Somebody has to run it.
func NewImports(o Options) *importer.Engine {
	defaults(&o)
	limits := o.Limits
	return importer.New(importer.Options{Logger: o.Logger, Stores: o.Stores, Fetch: o.Fetch, MaxSize: o.MaxSize,
		Limits: func(rd state.Reader, p structs.ProjectID) structs.ImageLimits { return rd.ImageLimits(p, limits) }})
}

// service holds what the handlers share.
type service struct {
	opts Options
	log  hclog.Logger
}

// New returns the services to serve: the versions document and the API.
func New(opts Options) []*httpapi.Service {
	defaults(&opts)
	if opts.Imports == nil {
		opts.Imports = NewImports(opts)
	}
	s := &service{opts: opts, log: opts.Logger}
	return []*httpapi.Service{
		{Name: "image-versions", Prefix: "/image", Faults: httpapi.GlanceFaults, Routes: versionRoutes()},
		{Name: "image", Prefix: "/image/v2", Faults: httpapi.GlanceFaults, Routes: s.routes(), FollowsPolicy: true, Rules: furtherRules},
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
	if o.Stores == nil {
		o.Stores, _ = store.NewSet("")
	}
	if o.ImportMethods == nil {
		o.ImportMethods = []string{structs.ImportDirect, structs.ImportDownload, structs.ImportCopy}
	}
	if o.Fetch == nil {
		o.Fetch = fetch.New(fetch.Options{Rules: fetch.Defaults()})
	}
	if o.TaskTTL <= 0 {
		o.TaskTTL = 48 * time.Hour
	}
	for _, n := range []struct {
		v   *int
		def int
	}{{&o.DefaultLimit, 25}, {&o.MaxLimit, 1000}, {&o.MaxProperties, 128}, {&o.MaxTags, 128}, {&o.MaxMembers, 128}} {
		if *n.v == 0 {
			*n.v = n.def
		}
	}
}

func (s *service) routes() []httpapi.Route {
	const one, members, member = "/images/{image_id}", "/images/{image_id}/members", "/images/{image_id}/members/{member_id}"
	return append([]httpapi.Route{
		{Method: http.MethodGet, Path: "/images", Rule: ruleList, Handler: s.list},
		{Method: http.MethodPost, Path: "/images", Rule: ruleAdd, Status: http.StatusCreated, Handler: s.create},
		{Method: http.MethodGet, Path: one, Rule: ruleShow, Handler: s.show},
		{Method: http.MethodPatch, Path: one, Rule: ruleModify, Handler: s.update},
		{Method: http.MethodDelete, Path: one, Rule: ruleDelete, Status: http.StatusNoContent, Handler: untyped(s.remove)},
		{Method: http.MethodPut, Path: one + "/file", Rule: ruleUpload, Status: http.StatusNoContent, Handler: untyped(s.upload), Raw: true},
		{Method: http.MethodGet, Path: one + "/file", Rule: ruleDownload, Status: http.StatusNoContent, Handler: untyped(s.download), Raw: true},
		{Method: http.MethodPut, Path: one + "/tags/{tag}", Rule: ruleModify, Status: http.StatusNoContent, Handler: untyped(s.addTag)},
		{Method: http.MethodDelete, Path: one + "/tags/{tag}", Rule: ruleModify, Status: http.StatusNoContent, Handler: untyped(s.removeTag)},
		{Method: http.MethodPost, Path: one + "/actions/deactivate", Rule: ruleDeactivate, Status: http.StatusNoContent, Handler: untyped(s.deactivate)},
		{Method: http.MethodPost, Path: one + "/actions/reactivate", Rule: ruleReactivate, Status: http.StatusNoContent, Handler: untyped(s.reactivate)},
		{Method: http.MethodGet, Path: members, Rule: ruleMemberList, Handler: s.listMembers},
		{Method: http.MethodPost, Path: members, Rule: ruleMemberAdd, Handler: s.addMember},
		{Method: http.MethodGet, Path: member, Rule: ruleMemberShow, Handler: s.showMember},
		{Method: http.MethodPut, Path: member, Rule: ruleMemberSet, Handler: s.setMember},
		{Method: http.MethodDelete, Path: member, Rule: ruleMemberRemove, Status: http.StatusNoContent, Handler: untyped(s.removeMember)},
		{Method: http.MethodGet, Path: "/schemas/image", Rule: ruleSchemas, Handler: constant(imageSchema)},
		{Method: http.MethodGet, Path: "/schemas/images", Rule: ruleSchemas, Handler: constant(imagesSchema)},
		{Method: http.MethodGet, Path: "/schemas/member", Rule: ruleSchemas, Handler: constant(memberSchema)},
		{Method: http.MethodGet, Path: "/schemas/members", Rule: ruleSchemas, Handler: constant(membersSchema)},
		{Method: http.MethodGet, Path: "/schemas/task", Rule: ruleSchemas, Handler: constant(taskSchema)},
		{Method: http.MethodGet, Path: "/schemas/tasks", Rule: ruleSchemas, Handler: constant(tasksSchema)},
		{Method: http.MethodGet, Path: "/info/import", Rule: ruleInfo, Handler: s.importInfo},
		{Method: http.MethodGet, Path: "/info/stores", Rule: ruleInfo, Handler: s.storesInfo},
		{Method: http.MethodGet, Path: "/info/stores/detail", Rule: ruleStoresDetail, Handler: s.storesDetail},
		{Method: http.MethodGet, Path: "/info/usage", Rule: ruleInfo, Handler: s.usage},
	}, slices.Concat(s.importRoutes(), cacheRoutes(), versionRoutes()[:2])...)
}

// importRoutes are about data that arrive by an import, and where data lie.
func (s *service) importRoutes() []httpapi.Route {
	const one = "/images/{image_id}"
	return []httpapi.Route{
		{Method: http.MethodPut, Path: one + "/stage", Rule: ruleModify, Status: http.StatusNoContent, Handler: untyped(s.stage), Raw: true},
		{Method: http.MethodPost, Path: one + "/import", Rule: ruleImport, Status: http.StatusAccepted, Handler: untyped(s.importImage)},
		{Method: http.MethodGet, Path: one + "/tasks", Rule: ruleShow, Handler: s.imageTasks},
		{Method: http.MethodDelete, Path: "/stores/{store_id}/{image_id}", Rule: ruleLocation, Status: http.StatusNoContent, Handler: untyped(s.removeFromStore)},
		{Method: http.MethodGet, Path: "/tasks", Rule: ruleTasks, Handler: s.listTasks},
		{Method: http.MethodPost, Path: "/tasks", Rule: ruleTasks, Status: http.StatusCreated, Handler: s.createTask},
		{Method: http.MethodGet, Path: "/tasks/{task_id}", Rule: ruleTasks, Handler: s.showTask},
		{Method: http.MethodDelete, Path: "/tasks/{task_id}", Rule: ruleTasks, Status: http.StatusNoContent, Handler: s.deleteTask},
	}
}

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
