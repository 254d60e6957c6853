package catalog

import (
	"cmp"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const regionProperties = `{"id": {"type": ["string", "null"], "maxLength": 255}, "description": {"type": ["string", "null"]},
	"parent_region_id": {"type": ["string", "null"], "maxLength": 255}}`

var (
	regionCreateSchema = object("region", regionProperties, "")
	regionUpdateSchema = object("region", regionProperties, `"minProperties": 1, `)
)

// regions returns all regions, the cluster's own first, which needs no record.
func regions(st state.Reader) []*structs.Region {
	var out []*structs.Region
	if own := st.ClusterSettings().Region; own != "" && st.Region(own) == nil {
		out = append(out, &structs.Region{ID: own})
	}
	for v := range st.Regions() {
		out = append(out, v)
	}
	return out
}

func region(st state.Reader, id string) (*structs.Region, error) {
	for _, v := range regions(st) {
		if v.ID == id {
			return v, nil
		}
	}
	return nil, base.NotFound("region", id)
}

func viewRegion(r *httpapi.Request, x *structs.Region) base.View {
	v := base.NewView(x.Extra)
	v["id"], v["description"], v["parent_region_id"] = x.ID, x.Description, base.OrNull(x.ParentID)
	return v.Link(r, "regions", x.ID)
}

func (s *service) listRegions(r *httpapi.Request) (any, error) {
	return base.List(r, "regions", regions, viewRegion, "parent_region_id")
}

func (s *service) showRegion(r *httpapi.Request) (any, error) {
	return base.Show(r, "region", named(r, region), viewRegion)
}

type regionFields struct {
	ID          *string `json:"id"`
	Description *string `json:"description"`
	ParentID    *string `json:"parent_region_id"`
}

// apply changes a region as a body says.
func (f *regionFields) apply(r *httpapi.Request, x *structs.Region) error {
	if err := base.Decode(r, "region", f); err != nil {
		return err
	}
	body, err := base.Body(r, "region")
	if err != nil {
		return err
	}
	_, said := body["description"]
	set(&x.Description, f.Description, said)
	_, said = body["parent_region_id"]
	set(&x.ParentID, f.ParentID, said)
	x.Extra, err = base.ExtraOf(x.Extra, body, "id", "description", "parent_region_id")
	return err
}

// createRegion is POST /regions with an id of the client's or one of ours, and PUT /regions/{id}.
func (s *service) createRegion(r *httpapi.Request) (any, error) {
	var in regionFields
	x := structs.Region{ID: r.Vars["id"]}
	if err := in.apply(r, &x); err != nil {
		return nil, err
	}
	given := ""
	if in.ID != nil {
		given = *in.ID
	}
	if x.ID != "" && given != "" && given != x.ID {
		return nil, httpapi.BadRequest("Conflicting region IDs specified: \"%s\" != \"%s\"", x.ID, given)
	}
	x.ID = cmp.Or(x.ID, given, nomadlike.NewHexID())
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if own := st.ClusterSettings().Region; x.ID == own {
		return nil, httpapi.Conflict("Conflict occurred attempting to store region - Duplicate ID, %s.", own)
	}
	if _, err := fsm.RegionWrite.Propose(r.Context(), r.Core, &structs.RegionWriteRequest{Region: x}); err != nil {
		return nil, err
	}
	return map[string]any{"region": viewRegion(r, &x)}, nil
}

func (s *service) updateRegion(r *httpapi.Request) (any, error) {
	return base.Edit(r, "region", named(r, region), func(_ state.Reader, x *structs.Region) error {
		var in regionFields
		if err := in.apply(r, x); err != nil {
			return err
		}
		if in.ID != nil && *in.ID != x.ID {
			return httpapi.BadRequest("Cannot change region ID")
		}
		return nil
	}, func(x structs.Region, index uint64) error {
		_, err := fsm.RegionWrite.Propose(r.Context(), r.Core, &structs.RegionWriteRequest{Region: x, Index: index})
		return err
	}, viewRegion)
}

func (s *service) deleteRegion(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	id := r.Vars["id"]
	if id == st.ClusterSettings().Region {
		return nil, httpapi.Forbidden("Unable to delete region %s because it or its child regions have associated endpoints.", id)
	}
	_, err = fsm.RegionDelete.Propose(r.Context(), r.Core, &structs.RegionDeleteRequest{ID: id})
	return nil, err
}
