package gophercloud_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/secgroups"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	network = "99999999-2222-4333-8444-555555555555"
	subnet  = "88888888-2222-4333-8444-555555555555"
)

type (
	noPorts   = proxy.Interfaces
	noDisks   = proxy.Attachments
	noVolumes = proxy.Volumes
)

// ports is a network service of one network; every instance is on it when it is asked first.
type ports struct {
	noPorts
	of     map[structs.InstanceID][]proxy.Interface
	groups *groups
	in     []string // the groups of the instances
}

func (p *ports) Interfaces(_ *httpapi.Request, ins *structs.Instance) ([]proxy.Interface, error) {
	return p.of[ins.ID], nil
}

func (p *ports) AttachInterface(_ *httpapi.Request, ins *structs.Instance, spec proxy.InterfaceSpec) (*proxy.Interface, error) {
	made := proxy.Interface{PortID: spec.PortID, NetworkID: network, Network: "net", MAC: "fa:16:3e:00:00:01", State: "ACTIVE", FixedIPs: []proxy.FixedIP{{SubnetID: subnet,
		Address: "10.0.0.2"}}}
	if made.PortID == "" {
		made.PortID = nomadlike.NewUUID()
	}
	if spec.Address != "" {
		made.FixedIPs[0].Address = spec.Address
	}
	p.of[ins.ID] = append(p.of[ins.ID], made)
	return &made, nil
}

func (p *ports) DetachInterface(_ *httpapi.Request, ins *structs.Instance, port string) error {
	p.of[ins.ID] = slices.DeleteFunc(p.of[ins.ID], func(i proxy.Interface) bool { return i.PortID == port })
	return nil
}

func (p *ports) InstanceSecurityGroups(*httpapi.Request, *structs.Instance) (all []proxy.SecurityGroup, err error) {
	for _, name := range p.in {
		all = append(all, *p.groups.all[name])
	}
	return all, nil
}

func (p *ports) AddSecurityGroup(_ *httpapi.Request, _ *structs.Instance, group string) error {
	p.in = append(p.in, group)
	return nil
}

func (p *ports) RemoveSecurityGroup(_ *httpapi.Request, _ *structs.Instance, group string) error {
	p.in = slices.DeleteFunc(p.in, func(name string) bool { return name == group })
	return nil
}

// groups are security groups by name.
type groups struct {
	all map[string]*proxy.SecurityGroup
}

func (g *groups) SecurityGroups(*httpapi.Request, bool) (all []proxy.SecurityGroup, err error) {
	for _, one := range g.all {
		all = append(all, *one)
	}
	return all, nil
}

func (g *groups) SecurityGroup(_ *httpapi.Request, id string) (*proxy.SecurityGroup, error) {
	for _, one := range g.all {
		if one.ID == id {
			return one, nil
		}
	}
	return nil, httpapi.NotFound("Security group %s not found.", id)
}

func (g *groups) CreateSecurityGroup(r *httpapi.Request, name, description string) (*proxy.SecurityGroup, error) {
	g.all[name] = &proxy.SecurityGroup{ID: nomadlike.NewUUID(), Name: name, Description: description, ProjectID: r.Token.ProjectID}
	return g.all[name], nil
}

func (g *groups) UpdateSecurityGroup(r *httpapi.Request, id, name, description string) (*proxy.SecurityGroup, error) {
	one, err := g.SecurityGroup(r, id)
	if err != nil {
		return nil, err
	}
	delete(g.all, one.Name)
	one.Name, one.Description, g.all[name] = name, description, one
	return one, nil
}

func (g *groups) DeleteSecurityGroup(r *httpapi.Request, id string) error {
	one, err := g.SecurityGroup(r, id)
	if err != nil {
		return err
	}
	delete(g.all, one.Name)
	return nil
}

func (g *groups) CreateSecurityGroupRule(r *httpapi.Request, rule proxy.SecurityGroupRule) (*proxy.SecurityGroupRule, error) {
	one, err := g.SecurityGroup(r, rule.GroupID)
	if err != nil {
		return nil, err
	}
	rule.ID = nomadlike.NewUUID()
	one.Rules = append(one.Rules, rule)
	return &rule, nil
}

func (g *groups) DeleteSecurityGroupRule(_ *httpapi.Request, id string) error {
	for _, one := range g.all {
		one.Rules = slices.DeleteFunc(one.Rules, func(rule proxy.SecurityGroupRule) bool { return rule.ID == id })
	}
	return nil
}

// disks is a volume service that has every volume.
type disks struct {
	noDisks
	noVolumes
	of map[structs.InstanceID][]proxy.Attachment
}

func (d *disks) Volume(_ *httpapi.Request, id string) (*proxy.Volume, error) {
	return &proxy.Volume{ID: id}, nil
}

func (d *disks) Attachments(_ *httpapi.Request, ins *structs.Instance) ([]proxy.Attachment, error) {
	return d.of[ins.ID], nil
}

func (d *disks) AttachVolume(_ *httpapi.Request, ins *structs.Instance, spec proxy.AttachmentSpec) (*proxy.Attachment, error) {
	made := proxy.Attachment{VolumeID: spec.VolumeID, ID: nomadlike.NewUUID(), DeviceID: nomadlike.NewUUID(), Device: spec.Device, Tag: spec.Tag,
		DeleteOnTermination: spec.DeleteOnTermination}
	if made.Device == "" {
		made.Device = fmt.Sprintf("/dev/vd%c", 'b'+len(d.of[ins.ID]))
	}
	d.of[ins.ID] = append(d.of[ins.ID], made)
	return &made, nil
}

func (d *disks) DetachVolume(_ *httpapi.Request, ins *structs.Instance, id string) error {
	d.of[ins.ID] = slices.DeleteFunc(d.of[ins.ID], func(a proxy.Attachment) bool { return a.VolumeID == id })
	return nil
}

func connected(t *testing.T) *cloud {
	g := &groups{map[string]*proxy.SecurityGroup{}}
	p := &ports{of: map[structs.InstanceID][]proxy.Interface{}, groups: g}
	d := &disks{of: map[structs.InstanceID][]proxy.Attachment{}}
	return newCloud(t, 1, proxy.Services{Interfaces: p, SecurityGroups: g, Attachments: d, Volumes: d})
}

func TestInterfaces(t *testing.T) {
	at(t, "2.49 2.70 2.104", func(t *testing.T, version string) {
		c := connected(t)
		ctx, client := t.Context(), c.client("alice", version)
		id := c.boot(client, servers.CreateOpts{}, nil)
		made := must[*attachinterfaces.Interface](t)(attachinterfaces.Create(ctx, client, id, attachinterfaces.CreateOpts{NetworkID: network,
			FixedIPs: []attachinterfaces.FixedIP{{IPAddress: "10.0.0.7"}}}).Extract())
		want := attachinterfaces.Interface{PortState: "ACTIVE", FixedIPs: []attachinterfaces.FixedIP{{SubnetID: subnet, IPAddress: "10.0.0.7"}}, PortID: made.PortID, NetID: network,
			MACAddr: "fa:16:3e:00:00:01"}
		equal(t, "made", *made, want)
		equal(t, "read", *must[*attachinterfaces.Interface](t)(attachinterfaces.Get(ctx, client, id, made.PortID).Extract()), want)
		must[*attachinterfaces.Interface](t)(attachinterfaces.Create(ctx, client, id, attachinterfaces.CreateOpts{PortID: subnet}).Extract())
		list, _ := everything(t, attachinterfaces.List(client, id), attachinterfaces.ExtractInterfaces)
		if len(list) != 2 || fmt.Sprint(list[0]) != fmt.Sprint(want) || list[1].PortID != subnet {
			t.Errorf("interfaces %+v", list)
		}
		addresses := must[map[string][]servers.Address](t)(servers.ExtractAddresses(must[pagination.Page](t)(servers.ListAddresses(client, id).AllPages(ctx))))
		equal(t, "addresses", addresses, "map[net:[{4 10.0.0.7} {4 10.0.0.2}]]")
		of, _ := everything(t, servers.ListAddressesByNetwork(client, id, "net"), servers.ExtractNetworkAddresses)
		equal(t, "addresses of the network", of, addresses["net"])
		c.done(attachinterfaces.Delete(ctx, client, id, made.PortID).ExtractErr())
		list, _ = everything(t, attachinterfaces.List(client, id), attachinterfaces.ExtractInterfaces)
		equal(t, "interfaces left", len(list), 1)
		_, err := attachinterfaces.Get(ctx, client, id, made.PortID).Extract()
		c.refused(404, made.PortID, err)
	})
}

func TestVolumeAttachments(t *testing.T) {
	at(t, "2.49 2.70 2.79 2.85 2.89 2.100 2.104", func(t *testing.T, version string) {
		c := connected(t)
		ctx, client := t.Context(), c.client("alice", version)
		n := minor(client)
		id := c.boot(client, servers.CreateOpts{}, nil)
		opts := volumeattach.CreateOpts{VolumeID: network, Device: "/dev/vdx"}
		if n >= 49 {
			opts.Tag = "t"
		}
		opts.DeleteOnTermination = n >= 79
		if n >= 101 { // Nova answers 202 without a body then, which gophercloud does not expect
			_, err := volumeattach.Create(ctx, client, id, opts).Extract()
			c.refused(202, "", err)
			return
		}
		made := must[*volumeattach.VolumeAttachment](t)(volumeattach.Create(ctx, client, id, opts).Extract())
		got := must[*volumeattach.VolumeAttachment](t)(volumeattach.Get(ctx, client, id, network).Extract())
		for _, a := range []*volumeattach.VolumeAttachment{made, got} {
			if a.VolumeID != network || a.ServerID != id || a.Device != "/dev/vdx" || (a.Tag != nil) != (n >= 70) || n >= 70 && *a.Tag != "t" ||
				(a.DeleteOnTermination != nil) != (n >= 79) || n >= 79 && !*a.DeleteOnTermination {
				t.Errorf("attachment %+v", a)
			}
		}
		equal(t, "has an id", got.ID != "", n < 89)
		list, _ := everything(t, volumeattach.List(client, id), volumeattach.ExtractVolumeAttachments)
		equal(t, "attachments", len(list), 1)
		c.done(volumeattach.Delete(ctx, client, id, network).ExtractErr())
		list, _ = everything(t, volumeattach.List(client, id), volumeattach.ExtractVolumeAttachments)
		equal(t, "attachments left", len(list), 0)
		_, err := volumeattach.Get(ctx, client, id, network).Extract()
		c.refused(404, network, err)
	})
}

func TestSecurityGroups(t *testing.T) {
	at(t, "2.35", func(t *testing.T, version string) {
		c := connected(t)
		ctx, client := t.Context(), c.client("alice", version)
		id := c.boot(client, servers.CreateOpts{}, nil)
		made := must[*secgroups.SecurityGroup](t)(secgroups.Create(ctx, client, secgroups.CreateOpts{Name: "g", Description: "d"}).Extract())
		equal(t, "made", fmt.Sprint(made.Name, made.Description, made.TenantID, len(made.Rules)), "gd"+aliceProject+"0")
		text := "e"
		group := must[*secgroups.SecurityGroup](t)(secgroups.Update(ctx, client, made.ID, secgroups.UpdateOpts{Name: "h", Description: &text}).Extract())
		equal(t, "updated", group.Name+group.Description, "he")
		rule := must[*secgroups.Rule](t)(secgroups.CreateRule(ctx, client, secgroups.CreateRuleOpts{ParentGroupID: made.ID, FromPort: 22, ToPort: 23, IPProtocol: "tcp",
			CIDR: "10.0.0.0/8"}).Extract())
		equal(t, "rule", fmt.Sprint(rule.FromPort, rule.ToPort, rule.IPProtocol, rule.IPRange.CIDR, rule.ParentGroupID), fmt.Sprint(22, 23, "tcp", "10.0.0.0/8", made.ID))
		of := must[*secgroups.Rule](t)(secgroups.CreateRule(ctx, client, secgroups.CreateRuleOpts{ParentGroupID: made.ID, FromPort: 1, ToPort: 65535, IPProtocol: "udp",
			FromGroupID: made.ID}).Extract())
		equal(t, "rule of a group", of.Group.Name, "h")
		equal(t, "rules", len(must[*secgroups.SecurityGroup](t)(secgroups.Get(ctx, client, made.ID).Extract()).Rules), 2)
		c.done(secgroups.DeleteRule(ctx, client, of.ID).ExtractErr())
		list, _ := everything(t, secgroups.List(client), secgroups.ExtractSecurityGroups)
		if len(list) != 1 || list[0].ID != made.ID || len(list[0].Rules) != 1 {
			t.Errorf("groups %+v", list)
		}
		c.done(secgroups.AddServer(ctx, client, id, "h").ExtractErr())
		mine, _ := everything(t, secgroups.ListByServer(client, id), secgroups.ExtractSecurityGroups)
		equal(t, "of the server", fmt.Sprint(len(mine), mine[0].Name), "1h")
		c.done(secgroups.RemoveServer(ctx, client, id, "h").ExtractErr())
		c.done(secgroups.Delete(ctx, client, made.ID).ExtractErr())
		_, err := secgroups.Get(ctx, client, made.ID).Extract()
		c.refused(404, made.ID, err)
		err = secgroups.List(c.client("alice", "2.36")).EachPage(ctx, nil)
		if !gophercloud.ResponseCodeIs(err, 404) { // they went with 2.36
			t.Error(err)
		}
	})
}
