package compute_test

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
)

// A stock client reads and changes what instances are connected with.
func TestGophercloudConnections(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	for _, version := range []string{"", "2.70", "2.89"} {
		cl := c.client("alice", version)
		ports, _ := everything(t, attachinterfaces.List(cl, id), attachinterfaces.ExtractInterfaces)
		if len(ports) != 1 || ports[0].PortID != thing || len(ports[0].FixedIPs) != 2 {
			t.Errorf("%+v", ports)
		}
		one := must[*attachinterfaces.Interface](t)(attachinterfaces.Create(t.Context(), cl, id, attachinterfaces.CreateOpts{NetworkID: thing}).Extract())
		if err := attachinterfaces.Delete(t.Context(), cl, id, one.PortID).ExtractErr(); err != nil {
			t.Error(err)
		}
		p.wasAsked(t, `attach port "" network "`+thing+`" address "" tag ""`, "detach port "+thing)
		addresses, _ := everything(t, servers.ListAddressesByNetwork(cl, id, "net"), servers.ExtractNetworkAddresses)
		if len(addresses) != 3 || addresses[0].Version != 6 {
			t.Errorf("%+v", addresses)
		}
		disks, _ := everything(t, volumeattach.List(cl, id), volumeattach.ExtractVolumeAttachments)
		if len(disks) != 1 || disks[0].VolumeID != thing || disks[0].Device != "/dev/vdb" {
			t.Errorf("%+v", disks)
		}
		disk := must[*volumeattach.VolumeAttachment](t)(volumeattach.Create(t.Context(), cl, id, volumeattach.CreateOpts{VolumeID: other}).Extract())
		if disk.Device != "/dev/vdc" {
			t.Errorf("%+v", disk)
		}
		if err := volumeattach.Delete(t.Context(), cl, id, thing).ExtractErr(); err != nil {
			t.Error(err)
		}
		p.wasAsked(t, `attach volume `+other+` device "" tag "" delete false`, "detach volume "+thing)
		if got := must[string](t)(servers.GetPassword(t.Context(), cl, id).ExtractPassword(nil)); got != "" {
			t.Errorf("password %q", got)
		}
	}
}
