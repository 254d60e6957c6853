package image

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func memberView(m *structs.ImageMember) object {
	return object{"image_id": m.ImageID, "member_id": m.ProjectID, "status": m.Status, "created_at": isoTime(m.CreatedAt), "updated_at": isoTime(m.UpdatedAt),
		"schema": "/v2/schemas/member"}
}

// sharedImage returns the image that the path names: 404 when the caller may not know of it, unshared when it is not one that has members. The row's rule
// is still to be judged.
func sharedImage(r *httpapi.Request, unshared error) (*structs.Image, error) {
	missing := httpapi.NotFound("Image %s not found.", imageID(r))
	i, err := seek(r, missing)
	switch {
	case err != nil:
		return nil, err
	case !mayShow(r, i):
		return nil, missing
	case i.Visibility != "shared":
		return nil, unshared
	}
	return i, nil
}

func noMember(id structs.ImageID, member string) error {
	return httpapi.NotFound("%s not found in the member list of the image %s.", member, id)
}

// membership returns the one that the path names. An image's owner sees all of them, a member its own alone.
func membership(r *httpapi.Request, rd state.Reader, i *structs.Image) (*structs.ImageMember, error) {
	if err := r.AllowTarget(ruleMemberShow, target(r.Token, i)); err != nil {
		return nil, err
	}
	m := rd.ImageMember(i.ID, structs.ProjectID(r.Vars["member_id"]))
	if m == nil || !seesMember(r.Token, i, m) {
		return nil, noMember(i.ID, r.Vars["member_id"])
	}
	return m, nil
}

func seesMember(t *httpapi.Token, i *structs.Image, m *structs.ImageMember) bool {
	return t.IsAdmin() || t.ProjectID != "" && (t.ProjectID == i.ProjectID || t.ProjectID == m.ProjectID)
}

// listMembers answers GET /v2/images/{image_id}/members.
func (s *service) listMembers(r *httpapi.Request) (any, error) {
	i, err := sharedImage(r, httpapi.Forbidden("Not allowed to list members for image %s: Only shared images have members.", imageID(r)))
	if err != nil {
		return nil, err
	}
	if err := r.Judge(target(r.Token, i)); err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	views := []any{}
	if r.MayTarget(ruleMemberShow, target(r.Token, i)) {
		for m := range rd.ImageMembers(i.ID) {
			if seesMember(r.Token, i, m) {
				views = append(views, memberView(m))
			}
		}
	}
	return object{"members": views, "schema": "/v2/schemas/members"}, nil
}

// showMember answers GET /v2/images/{image_id}/members/{member_id}. As in Glance it has no 403.
func (s *service) showMember(r *httpapi.Request) (any, error) {
	i, err := sharedImage(r, httpapi.NotFound("Only shared images have members."))
	if err != nil {
		return nil, err
	}
	if err := r.Judge(target(r.Token, i)); err != nil {
		return nil, httpapi.NotFound("%s", err)
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	m, err := membership(r, rd, i)
	if err != nil {
		return nil, err
	}
	return memberView(m), nil
}

// addMember answers POST /v2/images/{image_id}/members.
func (s *service) addMember(r *httpapi.Request) (any, error) {
	id, err := newMember(r.Body)
	if err != nil {
		return nil, err
	}
	i, err := sharedImage(r, httpapi.Forbidden("Not allowed to create members for image %s.", imageID(r)))
	if err != nil {
		return nil, err
	}
	if err := r.Judge(target(r.Token, i)); err != nil {
		return nil, err
	}
	m, err := fsm.ImageMemberAdd.Propose(r.Context(), r.Core, &structs.ImageMemberAddRequest{ImageID: i.ID, ProjectID: id, Max: s.opts.MaxMembers, Now: structs.TimeOf(time.Now())})
	if err != nil {
		return nil, err
	}
	return memberView(m), nil
}

// newMember reads {"member": PROJECT}.
func newMember(text []byte) (structs.ProjectID, error) {
	body, err := fields(text, `Expected a member in the form: {"member": "image_id"}`)
	if err != nil {
		return "", err
	}
	raw, said := body["member"]
	if !said {
		return "", httpapi.BadRequest("Member to be added not specified")
	}
	var id *string
	if err := json.Unmarshal(raw, &id); err != nil {
		return "", httpapi.BadRequest("Member has to be the id of a project, not %s", raw)
	}
	switch {
	case id == nil || *id == "":
		return "", httpapi.BadRequest("Member can't be empty")
	case utf8.RuneCountInString(*id) > 255 || strings.ContainsFunc(*id, unicode.IsControl): // no id; it could not be named in a path
		return "", httpapi.BadRequest("Member has to be the id of a project: at most 255 characters, none of them a control character")
	}
	return structs.ProjectID(*id), nil
}

// fields reads a body that has to be an object.
func fields(text []byte, otherwise string) (map[string]json.RawMessage, error) {
	if len(text) == 0 {
		return nil, httpapi.BadRequest("Body expected in request.")
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return nil, httpapi.BadRequest("%s", otherwise)
	}
	return body, nil
}

// setMember answers PUT /v2/images/{image_id}/members/{member_id}: what a project says to an image that is shared with it.
func (s *service) setMember(r *httpapi.Request) (any, error) {
	body, err := fields(r.Body, `Expected a status in the form: {"status": "status"}`)
	if err != nil {
		return nil, err
	}
	raw, said := body["status"]
	if !said {
		return nil, httpapi.BadRequest("Status not specified")
	}
	m, err := changedMember(r, "update")
	if err != nil {
		return nil, err
	}
	var status structs.ImageMemberStatus
	if err := json.Unmarshal(raw, &status); err != nil {
		status = ""
	}
	switch status {
	case structs.ImageMemberPending, structs.ImageMemberAccepted, structs.ImageMemberRejected:
	default:
		return nil, httpapi.BadRequest(`Incorrect request: Status must be "pending", "accepted" or "rejected".`)
	}
	m, err = fsm.ImageMemberSet.Propose(r.Context(), r.Core, &structs.ImageMemberSetRequest{ImageID: m.ImageID, ProjectID: m.ProjectID, Status: status, Now: structs.TimeOf(time.Now())})
	if err != nil {
		return nil, err
	}
	return memberView(m), nil
}

// changedMember returns the membership that the path names when the row's rule lets the caller change it.
func changedMember(r *httpapi.Request, what string) (*structs.ImageMember, error) {
	i, err := sharedImage(r, httpapi.Forbidden("Not allowed to %s members for image %s.", what, imageID(r)))
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	m, err := membership(r, rd, i)
	if err != nil {
		return nil, err
	}
	return m, r.Judge(target(r.Token, i))
}

// removeMember answers DELETE /v2/images/{image_id}/members/{member_id}.
func (s *service) removeMember(r *httpapi.Request) (any, error) {
	m, err := changedMember(r, "delete")
	if err != nil {
		return nil, err
	}
	_, err = fsm.ImageMemberRemove.Propose(r.Context(), r.Core, &structs.ImageMemberRemoveRequest{ImageID: m.ImageID, ProjectID: m.ProjectID})
	return nil, err
}
