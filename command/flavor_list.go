package command

import (
	"context"
	"fmt"
	"io"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
)

func init() {
	registerParent("flavor", "Show sizes of instances", "Shows the sizes that instances can have.")
	register(func() *definition {
		return &definition{
			name: "flavor list", usage: "[options]", synopsis: "List flavors", agent: true, output: true, run: runFlavorList,
			prose: "Lists the flavors that the project may use.",
		}
	})
}

// flavorView is a flavor as the command line prints it.
type flavorView struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	VCPUs        int               `json:"vcpus"`
	MemoryMiB    int               `json:"memory_mib"`
	DiskGiB      int               `json:"disk_gib"`
	EphemeralGiB int               `json:"ephemeral_gib"`
	SwapMiB      int               `json:"swap_mib"`
	Public       bool              `json:"public"`
	Description  string            `json:"description"`
	ExtraSpecs   map[string]string `json:"extra_specs"`
}

func runFlavorList(ctx context.Context, s *session, _ []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	pages, err := flavors.ListDetail(compute, flavors.ListOpts{}).AllPages(ctx)
	if err != nil {
		return friendly(err)
	}
	all, err := flavors.ExtractFlavors(pages)
	if err != nil {
		return err
	}
	views := make([]flavorView, len(all))
	rows := [][]string{{"ID", "Name", "VCPUs", "Memory MiB", "Disk GiB", "Public"}}
	for i, f := range all {
		views[i] = flavorView{f.ID, f.Name, f.VCPUs, f.RAM, f.Disk, f.Ephemeral, f.Swap, f.IsPublic, f.Description, f.ExtraSpecs}
		rows = append(rows, []string{f.ID, f.Name, fmt.Sprint(f.VCPUs), fmt.Sprint(f.RAM), fmt.Sprint(f.Disk), yesNo(f.IsPublic)})
	}
	return s.print(views, func(w io.Writer) { table(w, rows) })
}
