package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) imageRoutes() []httpapi.Route {
	anyone := httpapi.Authenticated("os_compute_api:images") // Nova asks nothing but a token
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/images", Rule: anyone, Query: imageListQuery, Handler: s.listImages(s.imageBasic)},
		{Method: http.MethodGet, Path: "/images/detail", Rule: anyone, Query: imageListQuery, Handler: s.listImages(s.imageView)},
		{Method: http.MethodGet, Path: "/images/{id}", Rule: anyone, Query: base.NoQuery, Handler: s.showImage},
		{Method: http.MethodDelete, Path: "/images/{id}", Rule: anyone, Status: http.StatusNoContent, Handler: s.deleteImage},
	})
}

func (s *service) imageLinks(r *httpapi.Request, id structs.ImageID) []httpapi.Link {
	return append(r.Links("images", string(id)), httpapi.Link{Rel: "alternate", Type: "application/vnd.openstack.image", Href: s.Images.Endpoint(r) + "/images/" + string(id)})
}

func (s *service) imageBasic(r *httpapi.Request, i *structs.Image) map[string]any {
	return map[string]any{"id": i.ID, "name": i.Name, "links": s.imageLinks(r, i.ID)}
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

func (s *service) imageView(r *httpapi.Request, i *structs.Image) map[string]any {
	v := s.imageBasic(r, i)
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

func (s *service) showImage(r *httpapi.Request) (any, error) {
	i, err := s.Images.Show(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"image": s.imageView(r, i)}, nil
}

func (s *service) deleteImage(r *httpapi.Request) (any, error) {
	err := s.Images.Delete(r, r.Vars["id"])
	if structs.IsKind(err, structs.KindForbidden) { // another project's, or protected
		err = httpapi.Forbidden("You are not allowed to delete the image.")
	}
	return nil, err
}

// listImages answers with what the caller may use: not with other projects' community images and not with hidden ones, as Glance lists them.
func (s *service) listImages(view func(*httpapi.Request, *structs.Image) map[string]any) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		p, err := r.Page()
		if err != nil {
			return nil, err
		}
		matches, err := imageFilter(r)
		if err != nil {
			return nil, err
		}
		images, err := s.Images.List(r, p.Marker)
		if err != nil {
			return nil, err
		}
		found, err := httpapi.Paginate(func(yield func(*structs.Image) bool) {
			for i := range images {
				if (matches(i) || string(i.ID) == p.Marker) && !yield(i) {
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
func imageFilter(r *httpapi.Request) (func(*structs.Image) bool, error) {
	var tests []func(*structs.Image) bool
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
