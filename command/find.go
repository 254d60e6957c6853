package command

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// find returns the one thing that asked means: by its id, or else by its name where only one has it. get asks for an id.
func find[T any](what, asked, list string, get func(id string) (*T, error), byName func() ([]T, error)) (*T, error) {
	found, err := get(asked)
	if err == nil {
		return found, nil
	}
	if !gophercloud.ResponseCodeIs(err, http.StatusNotFound) && !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
		return nil, friendly(err)
	}
	named, err := byName()
	switch {
	case err != nil:
		return nil, friendly(err)
	case len(named) == 1:
		return &named[0], nil
	case len(named) > 1:
		return nil, fmt.Errorf("%d %ss are named %q; an id is right (%s)", len(named), what, asked, list)
	}
	return nil, fmt.Errorf("no %s has the id or name %q; `%s` lists them", what, asked, list)
}

func findInstance(ctx context.Context, c *gophercloud.ServiceClient, asked string) (*servers.Server, error) {
	return find("instance", asked, "kilonova instance list",
		func(id string) (*servers.Server, error) { return servers.Get(ctx, c, id).Extract() },
		func() ([]servers.Server, error) {
			pages, err := servers.List(c, servers.ListOpts{Name: exactly(asked)}).AllPages(ctx)
			if err != nil {
				return nil, err
			}
			return servers.ExtractServers(pages)
		})
}

// exactly is a regular expression of one name: the compute API's name filter is one.
func exactly(name string) string { return "^" + regexp.QuoteMeta(name) + "$" }

func findFlavor(ctx context.Context, c *gophercloud.ServiceClient, asked string) (*flavors.Flavor, error) {
	return find("flavor", asked, "kilonova flavor list",
		func(id string) (*flavors.Flavor, error) { return flavors.Get(ctx, c, id).Extract() },
		func() (named []flavors.Flavor, err error) {
			pages, err := flavors.ListDetail(c, flavors.ListOpts{AccessType: flavors.AllAccess}).AllPages(ctx)
			if err != nil {
				return nil, err
			}
			all, err := flavors.ExtractFlavors(pages)
			for _, f := range all {
				if f.Name == asked {
					named = append(named, f)
				}
			}
			return named, err
		})
}

func findImage(ctx context.Context, c *gophercloud.ServiceClient, asked string) (*images.Image, error) {
	return find("image", asked, "kilonova image list",
		func(id string) (*images.Image, error) {
			if strings.ContainsAny(id, "/ ?") { // not a path of this API
				return nil, gophercloud.ErrUnexpectedResponseCode{Actual: http.StatusNotFound}
			}
			return images.Get(ctx, c, id).Extract()
		},
		func() ([]images.Image, error) {
			pages, err := images.List(c, images.ListOpts{Name: asked}).AllPages(ctx)
			if err != nil {
				return nil, err
			}
			return images.ExtractImages(pages)
		})
}
