package instance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) tagRoutes() []httpapi.Route {
	const all, one = "/servers/{server_id}/tags", "/servers/{server_id}/tags/{id}"
	member := func(verb string) httpapi.Rule { return httpapi.MemberOrAdmin("os_compute_api:os-server-tags:" + verb) }
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin("os_compute_api:os-server-tags:" + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Min: 26, Rule: reader("index"), Query: openQuery, Handler: s.listTags},
		{Method: http.MethodPut, Path: all, Min: 26, Rule: member("update_all"), Body: tagsSchema, Handler: s.replaceTags},
		{Method: http.MethodDelete, Path: all, Min: 26, Rule: member("delete_all"), Status: http.StatusNoContent, Handler: s.deleteTags},
		{Method: http.MethodGet, Path: one, Min: 26, Rule: reader("show"), Query: openQuery, Status: http.StatusNoContent, Handler: s.showTag},
		{Method: http.MethodPut, Path: one, Min: 26, Rule: member("update"), Body: noBodySchema, Handler: s.addTag},
		{Method: http.MethodDelete, Path: one, Min: 26, Rule: member("delete"), Status: http.StatusNoContent, Handler: s.deleteTag},
	}
}

var (
	tagsSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["tags"], "properties": {
		"tags": {"type": "array", "maxItems": 50, "items": @tag}}}`)
	noBodySchema = base.Schema(`{"type": "null"}`)
	openQuery    = base.Schema(`{"type": "object", "properties": {}}`) // what it has is dropped, at every microversion
)

const maxTagLength = 60

func tagsOf(tags []string) map[string]any {
	if tags == nil {
		tags = []string{}
	}
	return map[string]any{"tags": tags}
}

func (s *service) listTags(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	return tagsOf(ins.Tags), nil
}

func (s *service) showTag(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ins.Tags, r.Vars["id"]) {
		return nil, httpapi.NotFound("Server %s has no tag '%s'", ins.ID, r.Vars["id"])
	}
	return nil, nil
}

func changeTags(r *httpapi.Request, change structs.TagChange, action string, tags ...string) (structs.InstanceTags, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return structs.InstanceTags{}, err
	}
	return fsm.InstanceTags.Propose(r.Context(), r.Core, &structs.InstanceTagsRequest{ID: ins.ID, Change: change, Tags: tags, Action: action})
}

func (s *service) replaceTags(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Tags []string `json:"tags"`
	}](r)
	if err != nil {
		return nil, err
	}
	after, err := changeTags(r, structs.TagsReplace, "update tags", body.Tags...)
	if err != nil {
		return nil, err
	}
	return tagsOf(after.Tags), nil
}

// addTag is 201 with the tag's address, or 204 when the tag is there.
func (s *service) addTag(r *httpapi.Request) (any, error) {
	tag := r.Vars["id"]
	if err := checkTag(tag); err != nil {
		if _, gone := instanceOfURL(r); gone != nil {
			return nil, gone
		}
		return nil, err
	}
	after, err := changeTags(r, structs.TagAdd, "update tag", tag)
	if err != nil {
		return nil, err
	}
	if !after.Changed {
		return httpapi.Reply{Status: http.StatusNoContent}, nil
	}
	r.Writer.Header().Set("Location", r.Self("servers", r.Vars["server_id"], "tags", url.PathEscape(tag)))
	return httpapi.Reply{Status: http.StatusCreated}, nil
}

// checkTag judges a tag of a URL by the rule that the schema has for those of a body.
func checkTag(tag string) error {
	why := ""
	switch {
	case strings.ContainsAny(tag, ",/"):
		why = fmt.Sprintf("'%s' does not match '^[^,/]*$'", tag)
	case utf8.RuneCountInString(tag) > maxTagLength:
		why = fmt.Sprintf("'%s' is too long", tag)
	default:
		return nil
	}
	return httpapi.BadRequest("Tag '%s' is invalid. It must be a non empty string without characters '/' and ','. Validation error message: %s", tag, why)
}

func (s *service) deleteTag(r *httpapi.Request) (any, error) {
	_, err := changeTags(r, structs.TagRemove, "delete tag", r.Vars["id"])
	return nil, err
}

func (s *service) deleteTags(r *httpapi.Request) (any, error) {
	_, err := changeTags(r, structs.TagsReplace, "delete tags")
	return nil, err
}
