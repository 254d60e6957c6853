package image

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// importRequest is the body of POST /v2/images/{image_id}/import.
type importRequest struct {
	method string
	uri    string
	stores []string // nil: not said
	all    bool     // all stores
	must   bool     // all stores must succeed
}

// newImport reads the body.
func (s *service) newImport(text []byte) (*importRequest, error) {
	body, err := fields(text, "Import request requires a 'method' field.")
	if err != nil {
		return nil, err
	}
	var method map[string]json.RawMessage
	if json.Unmarshal(body["method"], &method) != nil || method == nil {
		return nil, httpapi.BadRequest("Import request requires a 'method' field.")
	}
	if method["name"] == nil {
		return nil, httpapi.BadRequest("Import request requires a 'name' field.")
	}
	q := &importRequest{must: true}
	if json.Unmarshal(method["name"], &q.method) != nil || !slices.Contains(s.opts.ImportMethods, q.method) {
		return nil, httpapi.BadRequest("Unknown import method name '%s'.", strings.Trim(string(method["name"]), `"`))
	}
	for _, f := range []struct {
		name string
		to   *bool
	}{{"all_stores_must_succeed", &q.must}, {"all_stores", &q.all}} {
		if raw := body[f.name]; raw != nil && (string(raw) == "null" || json.Unmarshal(raw, f.to) != nil) {
			return nil, httpapi.BadRequest("'%s' must be boolean value only", f.name)
		}
	}
	if raw := method["uri"]; raw != nil && json.Unmarshal(raw, &q.uri) != nil {
		return nil, httpapi.BadRequest("URI for web-download does not pass filtering: %s", raw)
	}
	if raw := body["stores"]; raw != nil && (json.Unmarshal(raw, &q.stores) != nil || len(q.stores) == 0) {
		return nil, httpapi.BadRequest("'stores' must be a list of at least one store's id")
	}
	return q, nil
}

// importImage answers POST /v2/images/{image_id}/import: the work is written down as a task before this is acknowledged.
func (s *service) importImage(r *httpapi.Request) (any, error) {
	q, err := s.newImport(r.Body)
	if err != nil {
		return nil, err
	}
	i, err := seek(r, noImage(imageID(r)))
	if err != nil {
		return nil, err
	}
	if !mayShow(r, i) {
		return nil, noImage(i.ID)
	}
	if err := s.importable(r, q, i); err != nil {
		return nil, err
	}
	stores, err := s.importStores(r, q, i)
	if err != nil || len(stores) == 0 { // it is in all of them
		return nil, err
	}
	if q.method == structs.ImportDownload && (q.uri == "" || s.opts.Fetch.Check(q.uri) != nil) {
		return nil, httpapi.BadRequest("URI for web-download does not pass filtering: %s", cmp.Or(q.uri, "None"))
	}
	at := structs.TimeOf(time.Now())
	t := structs.ImageTask{ID: structs.ImageTaskID(nomadlike.NewUUID()), ImageID: i.ID, ProjectID: r.Token.ProjectID, UserID: r.Token.UserID, RequestID: r.RequestID,
		Status: structs.ImageTaskPending, Method: q.method, URI: q.uri, Stores: stores, AllMust: q.must, Body: compact(r.Body), ServerID: r.Core.Cluster().ServerID,
		CreatedAt: at, UpdatedAt: at, ExpireAfter: int64(s.opts.TaskTTL)}
	_, err = changeBy(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		if err := s.importable(r, q, i); err != nil {
			return err
		}
		i.TaskID = t.ID
		if q.method != structs.ImportCopy {
			i.Status = structs.ImageImporting
		}
		failed := strings.FieldsFunc(i.Properties[structs.PropertyFailedImport], func(c rune) bool { return c == ',' })
		i.SetProperty(structs.PropertyImporting, strings.Join(stores, ","))
		i.SetProperty(structs.PropertyFailedImport, strings.Join(slices.DeleteFunc(failed, func(id string) bool { return slices.Contains(stores, id) }), ","))
		return nil
	}, func(rd state.Reader, i structs.Image, index uint64) error {
		_, err := fsm.ImageImportBegin.Propose(r.Context(), r.Core, &structs.ImageImportBegin{Task: t, Image: i, IfIndex: index, Limits: s.limits(rd, i.ProjectID)})
		return err
	})
	if err != nil {
		return nil, err
	}
	s.opts.Imports.Wake()
	return nil, nil
}

// compact is a body as it is kept: without space, and none that is large.
func compact(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > 16<<10 {
		return ""
	}
	return string(text)
}

// importable judges whether an image can be imported so now, and then whether the caller may: in this order, as Glance does.
func (s *service) importable(r *httpapi.Request, q *importRequest, i *structs.Image) error {
	copies := q.method == structs.ImportCopy
	switch {
	case i.Status == structs.ImageActive && !copies:
		return httpapi.Conflict("Image with status active cannot be target for import")
	case i.Status != structs.ImageActive && copies:
		return httpapi.Conflict("Only images with status active can be targeted for copying")
	case i.Status != structs.ImageQueued && q.method == structs.ImportDownload:
		return httpapi.Conflict("Image needs to be in 'queued' state to use '%s' method", q.method)
	case q.method == structs.ImportDirect && (i.Status != structs.ImageUploading || !i.Staged()):
		return httpapi.Conflict("Image needs to be staged before 'glance-direct' method can be used")
	case i.ContainerFormat == "":
		return httpapi.Conflict("'container_format' needs to be set before import")
	case i.DiskFormat == "":
		return httpapi.Conflict("'disk_format' needs to be set before import")
	}
	rule := ruleModify
	if copies {
		rule = ruleCopy
	}
	if err := r.AllowTarget(rule, target(r.Token, i)); err != nil {
		return err
	}
	if i.TaskID != "" {
		return httpapi.Conflict("Image has active task")
	}
	return nil
}

// importStores are the stores that an import is for, each once. None: a copy is in all of them.
func (s *service) importStores(r *httpapi.Request, q *importRequest, i *structs.Image) ([]string, error) {
	header := r.Header.Get(storeHeader)
	stores := q.stores
	switch {
	case q.all && (header != "" || stores != nil):
		return nil, httpapi.BadRequest("All_stores parameter can't be used with x-image-meta-store header or stores parameter")
	case header != "" && stores != nil:
		return nil, httpapi.BadRequest("Stores parameter and x-image-meta-store header can't be both specified")
	case q.all:
		stores = s.opts.Stores.IDs()
	case stores == nil:
		stores = []string{cmp.Or(header, s.opts.Stores.Default())}
	}
	var out []string
	for _, id := range stores {
		if s.opts.Stores.Get(id) == nil {
			return nil, httpapi.Conflict("Unknown scheme '%s' found in URI", id)
		}
		if q.method == structs.ImportCopy && i.InStore(id) {
			if q.all {
				continue
			}
			return nil, httpapi.BadRequest("Image is already present at store '%s'", id)
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// removeFromStore answers DELETE /v2/stores/{store_id}/{image_id}. A store drops the bytes when no image needs them there any more.
func (s *service) removeFromStore(r *httpapi.Request) (any, error) {
	id := r.Vars["store_id"]
	missing := httpapi.NotFound("Failed to find image %s", imageID(r))
	i, err := seek(r, missing)
	if err != nil {
		return nil, err
	}
	if err := judge(r, i, missing); err != nil {
		return nil, err
	}
	if s.opts.Stores.Get(id) == nil {
		return nil, httpapi.Conflict("The selected store %s is not available on this node.", id)
	}
	if err := r.AllowTarget(ruleDeleteLocation, target(r.Token, i)); err != nil {
		return nil, err
	}
	_, err = change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		stores := i.StoreIDs()
		switch {
		case i.Status != structs.ImageActive:
			return httpapi.Conflict("It's not allowed to remove image data from store if image status is not 'active'")
		case i.TaskID != "":
			return httpapi.Conflict("Image has active task")
		case len(stores) == 1:
			return httpapi.Forbidden("Cannot delete image data from the only store containing it. Consider deleting the image instead.")
		case !i.InStore(id):
			return httpapi.NotFound("Image %s is not stored in store %s.", i.ID, id)
		}
		i.Stores = slices.DeleteFunc(slices.Clone(stores), func(s string) bool { return s == id })
		if id == structs.StoreServers {
			i.Servers = nil
		}
		return nil
	})
	return nil, err
}
