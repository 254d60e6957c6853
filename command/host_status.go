package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/api"
)

func init() {
	registerParent("host", "Show and remove compute hosts", "Shows the compute hosts of the cluster, and removes those that are gone.")
	register(func() *definition {
		return &definition{
			name: "host status", usage: "[options] [ID|NAME]", synopsis: "Show compute hosts, or one of them", agent: true, output: true, max: 1,
			prose: "Without an argument lists the compute hosts: their states, and what is used of\nwhat the scheduler may promise. With an id (its beginning is enough) or a name,\nshows all that is known of one host. For administrators.",
			run:   runHostStatus,
		}
	})
}

func runHostStatus(ctx context.Context, s *session, args []string) error {
	client, err := s.native(ctx)
	if err != nil {
		return err
	}
	hosts, err := client.Hosts(ctx)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return s.print(hosts, func(w io.Writer) { table(w, hostRows(hosts)) })
	}
	host, err := chooseHost(hosts, args[0])
	if err != nil {
		return err
	}
	return s.print(host, func(w io.Writer) { details(w, hostDetails(host)) })
}

// chooseHost finds one host by its name, its id, or a beginning of the id that only it has.
func chooseHost(hosts []api.Host, asked string) (*api.Host, error) {
	var found []*api.Host
	for i := range hosts {
		h := &hosts[i]
		if h.ID == asked || h.Name == asked {
			return h, nil
		}
		if strings.HasPrefix(h.ID, asked) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("no host has the id or name %q; `kilonova host status` lists them", asked)
	}
	return nil, fmt.Errorf("%d hosts have ids that begin with %q; more of the id is right", len(found), asked)
}

func hostState(h *api.Host) string {
	state := h.Status
	if h.ForcedDown {
		state = "forced down"
	}
	if h.Disabled {
		state += ", disabled"
	}
	if !h.DriverHealthy {
		state += ", driver unhealthy"
	}
	return state
}

func hostRows(hosts []api.Host) [][]string {
	rows := [][]string{{"ID", "Name", "Zone", "Status", "Driver", "Instances", "VCPUs", "Memory MiB", "Disk GiB"}}
	sorted := slices.SortedFunc(slices.Values(hosts), func(a, b api.Host) int { return compareText(a.Name, b.Name) })
	for i := range sorted {
		h := &sorted[i]
		rows = append(rows, []string{shortID(h.ID), h.Name, h.Zone, hostState(h), h.Driver, fmt.Sprint(h.Instances),
			used(h.Used.VCPUs, h.Capacity.VCPUs), used(h.Used.MemoryMiB, h.Capacity.MemoryMiB), used(h.Used.DiskGiB, h.Capacity.DiskGiB)})
	}
	return rows
}

func used(n, of int64) string { return fmt.Sprintf("%d/%d", n, of) }

func hostDetails(h *api.Host) [][2]string {
	amounts := func(r api.Resources) string {
		return fmt.Sprintf("%d VCPUs, %d MiB memory, %d GiB disk", r.VCPUs, r.MemoryMiB, r.DiskGiB)
	}
	return [][2]string{
		{"ID", h.ID}, {"Name", h.Name}, {"Zone", h.Zone}, {"Status", hostState(h)}, {"Status reason", h.StatusReason}, {"Status since", moment(h.StatusAt.Time)},
		{"Disabled reason", h.DisabledReason}, {"RPC address", h.Addr}, {"Agent version", h.AgentVersion}, {"Lease epoch", fmt.Sprint(h.Epoch)},
		{"Takes instances", pick(h.Schedulable, "yes", "no: "+h.UnschedulableWhy)}, {"Driver", h.Driver}, {"Driver health", h.DriverHealth}, {"Hypervisor", h.HypervisorType}, {"CPU", strings.TrimSpace(h.CPU.Vendor + " " + h.CPU.Model)}, {"Architectures", strings.Join(h.Architectures, ", ")},
		{"Total", amounts(h.Total)}, {"Reserved", amounts(h.Reserved)}, {"Capacity", amounts(h.Capacity)}, {"Used", amounts(h.Used)},
		{"Instances", fmt.Sprint(h.Instances)}, {"Traits", strings.Join(h.Traits, " ")}, {"Registered", moment(h.CreatedAt.Time)}, {"Updated", moment(h.UpdatedAt.Time)},
	}
}
