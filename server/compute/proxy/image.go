package proxy

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) imageRoutes() []httpapi.Route {
	anyone := httpapi.Authenticated("os_compute_api:images") // Nova asks nothing but a token
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/images", Rule: anyone, Query: imageListQuery, Handler: listImages(imageBasic)},
		{Method: http.MethodGet, Path: "/images/detail", Rule: anyone, Query: imageListQuery, Handler: listImages(imageView)},
		{Method: http.MethodGet, Path: "/images/{id}", Rule: anyone, Query: base.NoQuery, Handler: showImage},
		{Method: http.MethodDelete, Path: "/images/{id}", Rule: anyone, Status: http.StatusNoContent, Handler: deleteImage},
	})
}

// owns reports whether the caller may change the image.
func owns(r *httpapi.Request, i *structs.Image) bool { return r.Sees(i.ProjectID) }

// knows reports whether the caller may know of the image. A shared one without members is its owner's alone.
func knows(r *httpapi.Request, rd state.Reader, i *structs.Image) bool {
	return owns(r, i) || i.Visibility == "public" || i.Visibility == "community" || rd.ImageShared(i, r.Token.ProjectID)
}

// listed reports whether a list shows an image: one that is shared with the caller's project when that has accepted it.
func listed(r *httpapi.Request, rd state.Reader, i *structs.Image) bool {
	if !rd.ImageShared(i, r.Token.ProjectID) {
		return knows(r, rd, i)
	}
	return owns(r, i) || rd.ImageMember(i.ID, r.Token.ProjectID).Status == structs.ImageMemberAccepted
}

func findImage(r *httpapi.Request, id string) (*structs.Image, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	i := rd.Image(structs.ImageID(strings.ToLower(id)))
	if i == nil || !knows(r, rd, i) {
		return nil, httpapi.NotFound("Image not found.")
	}
	return i, nil
}

func imageLinks(r *httpapi.Request, id string) []httpapi.Link {
	return append(r.Links("images", id), httpapi.Link{Rel: "alternate", Type: "application/vnd.openstack.image", Href: r.RootURL() + "/image/images/" + id})
}

func imageBasic(r *httpapi.Request, i *structs.Image) map[string]any {
	return map[string]any{"id": i.ID, "name": i.Name, "links": imageLinks(r, string(i.ID))}
}

// imageStates are Nova's words for the states of an image and how far it has come by them.
var imageStates = map[structs.ImageStatus]struct {
	status   string
	progress int
}{
	structs.ImageActive:  {"ACTIVE", 100},
	structs.ImageQueued:  {"SAVING", 25},
	structs.ImageSaving:  {"SAVING", 50},
	structs.ImageDeleted: {"DELETED", 0},
}

func imageView(r *httpapi.Request, i *structs.Image) map[string]any {
	v := imageBasic(r, i)
	state, known := imageStates[i.Status]
	if !known {
		state.status = "UNKNOWN"
	}
	v["status"], v["progress"] = state.status, state.progress
	v["minRam"], v["minDisk"], v["metadata"] = i.MinMemoryMiB, i.MinDiskGiB, imageMetadata(i)
	v["created"], v["updated"] = i.CreatedAt.Time().Format(base.SecondsLayout), imageUpdated(i).Time().Format(base.SecondsLayout)
	v["OS-EXT-IMG-SIZE:size"] = i.Size
	if id, ok := i.Properties["instance_uuid"]; ok { // of a snapshot: the instance that it was made from
		v["server"] = map[string]any{"id": id, "links": r.Links("servers", id)}
	}
	if auto, ok := i.Properties["auto_disk_config"]; ok {
		v["OS-DCF:diskConfig"] = "MANUAL"
		if on, _ := base.ParseBool(auto); on {
			v["OS-DCF:diskConfig"] = "AUTO"
		}
	}
	return v
}

func imageUpdated(i *structs.Image) structs.Time { return max(i.CreatedAt, i.UpdatedAt) }

func imageMetadata(i *structs.Image) map[string]string {
	if i.Properties == nil {
		return map[string]string{}
	}
	return i.Properties
}

func showImage(r *httpapi.Request) (any, error) {
	i, err := findImage(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"image": imageView(r, i)}, nil
}

func deleteImage(r *httpapi.Request) (any, error) {
	i, err := findImage(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	if !owns(r, i) {
		return nil, httpapi.Forbidden("You are not allowed to delete the image.")
	}
	_, err = fsm.ImageDelete.Propose(r.Context(), r.Core, &structs.ImageDeleteRequest{ID: i.ID})
	switch structs.KindOf(err) {
	case structs.KindNotFound: // somebody else was faster
		return nil, httpapi.NotFound("Image not found.")
	case structs.KindForbidden: // protected
		return nil, httpapi.Forbidden("You are not allowed to delete the image.")
	}
	return nil, err
}

// listImages answers with what the caller may use: not with other projects' community images and not with hidden ones, as Glance lists them.
func listImages(view func(*httpapi.Request, *structs.Image) map[string]any) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		p, err := r.Page()
		if err != nil {
			return nil, err
		}
		rd, err := r.Core.Read(r.Context())
		if err != nil {
			return nil, err
		}
		matches, err := imageFilter(r, rd)
		if err != nil {
			return nil, err
		}
		found, err := httpapi.Paginate(func(yield func(*structs.Image) bool) {
			for i := range rd.Images() {
				if (matches(i) || string(i.ID) == p.Marker && knows(r, rd, i)) && !yield(i) {
					return
				}
			}
		}, p, func(i *structs.Image) string { return string(i.ID) })
		if err != nil {
			return nil, err
		}
		list := make([]map[string]any, len(found))
		for n, i := range found {
			list[n] = view(r, i)
		}
		answer := map[string]any{"images": list}
		if n := len(found); n > 0 {
			if next := r.NextLinks(p, n, string(found[n-1].ID)); next != nil {
				answer["images_links"] = next
			}
		}
		return answer, nil
	}
}

// imageFilter reads the parameters of a list: all have to hold.
func imageFilter(r *httpapi.Request, rd state.Reader) (func(*structs.Image) bool, error) {
	tests := []func(*structs.Image) bool{func(i *structs.Image) bool {
		return !i.Hidden && listed(r, rd, i) && (i.Visibility != "community" || i.ProjectID == r.Token.ProjectID)
	}}
	for key, values := range r.Query() {
		test, err := imageTest(key, base.Last(values))
		if err != nil {
			return nil, err
		}
		if test != nil {
			tests = append(tests, test)
		}
	}
	return func(i *structs.Image) bool {
		for _, t := range tests {
			if !t(i) {
				return false
			}
		}
		return true
	}, nil
}

// imageTest is the test that one parameter asks for, nil for one that asks for none.
func imageTest(key, value string) (func(*structs.Image) bool, error) {
	property := func(name, want string) func(*structs.Image) bool {
		return func(i *structs.Image) bool { v, ok := i.Properties[name]; return ok && v == want }
	}
	number := func(get func(*structs.Image) int64) (func(*structs.Image) bool, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return nil, httpapi.BadRequest("Invalid %s filter [%s]", key, value)
		}
		return func(i *structs.Image) bool { return get(i) == n }, nil
	}
	switch key {
	case "name":
		return func(i *structs.Image) bool { return i.Name == value }, nil
	case "status":
		status := structs.ImageStatus(strings.ToLower(value))
		return func(i *structs.Image) bool { return i.Status == status }, nil
	case "changes-since":
		at, err := httpapi.ParseTime(value)
		if err != nil {
			return nil, httpapi.BadRequest("Invalid changes-since filter [%s]", value)
		}
		since := structs.TimeOf(at)
		return func(i *structs.Image) bool { return imageUpdated(i) >= since }, nil
	case "server":
		return property("instance_uuid", value[strings.LastIndexByte(value, '/')+1:]), nil
	case "type":
		return property("image_type", value), nil
	case "minRam":
		return number(func(i *structs.Image) int64 { return i.MinMemoryMiB })
	case "minDisk":
		return number(func(i *structs.Image) int64 { return i.MinDiskGiB })
	}
	if name, ok := strings.CutPrefix(key, "property-"); ok {
		return property(name, value), nil
	}
	return nil, nil
}

// maxTries bounds how often a change is tried again because another came between.
const maxTries = 20

// changeImage edits an image so that no other change of it is lost: edit gets a copy of the newest version, and again of a newer one when somebody
// wrote meanwhile.
func (s *service) changeImage(ctx context.Context, core nomadlike.Core, id structs.ImageID, edit func(*structs.Image) error) error {
	for try := 0; ; try++ {
		rd, err := core.Read(ctx)
		if err != nil {
			return err
		}
		old := rd.Image(id)
		if old == nil {
			return httpapi.NotFound("Image not found.")
		}
		i := old.Copy()
		if err := edit(i); err != nil {
			return err
		}
		i.UpdatedAt = s.Time()
		_, err = fsm.ImageReplace.Propose(ctx, core, &structs.ImageReplaceRequest{Image: *i, IfIndex: old.ModifyIndex})
		if !structs.IsKind(err, structs.KindConflict) || try >= maxTries {
			return err
		}
	}
}
