package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func init() {
	registerParent("instance", "Run and look after instances", "Runs virtual machines and looks after them. The OpenStack APIs call an instance a\nserver.")
	register(func() *definition {
		c := &instanceRun{metadata: keyValues{}}
		return &definition{
			name: "instance run", usage: "-flavor=FLAVOR -image=IMAGE [options] NAME", synopsis: "Create and start an instance", agent: true, output: true, min: 1, max: 1,
			flags: c.flags, run: c.run,
			prose: "Creates an instance and waits until it is ACTIVE, showing the steps on the way.\nEnds with 1 when the instance cannot be made, and says why. When interrupted it\nstops waiting; the instance goes on.",
		}
	})
}

type instanceRun struct {
	flavor, image, key, zone, network, userData string
	metadata                                    keyValues
	configDrive, detach                         bool
}

func (c *instanceRun) flags(set *flag.FlagSet) {
	set.StringVar(&c.flavor, "flavor", "", "Name or id of the `FLAVOR`; needed")
	set.StringVar(&c.image, "image", "", "Name or id of the `IMAGE`; needed")
	set.StringVar(&c.key, "key", "", "`NAME` of the key pair whose public key the guest gets")
	set.StringVar(&c.zone, "zone", "", "`NAME` of the availability zone to be in")
	set.StringVar(&c.network, "network", "auto", "Id of the `NETWORK` to be on, or auto, or none")
	set.StringVar(&c.userData, "user-data", "", "`FILE` with user data for the guest; - is stdin")
	set.Var(c.metadata, "meta", "Metadata, `KEY=VALUE`. May be given several times")
	set.BoolVar(&c.configDrive, "config-drive", false, "Attach a config drive")
	set.BoolVar(&c.detach, "detach", false, "Do not wait: print the instance as soon as it is accepted")
}

func (c *instanceRun) run(ctx context.Context, s *session, args []string) error {
	if c.flavor == "" || c.image == "" {
		return usagef("-flavor and -image are needed; `kilonova flavor list` and `kilonova image list` show which there are")
	}
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	compute, err := connection.compute()
	if err != nil {
		return err
	}
	options, err := c.options(ctx, s, connection, compute, args[0])
	if err != nil {
		return err
	}
	created, err := servers.Create(ctx, compute, options, nil).Extract()
	if err != nil {
		return friendly(err)
	}
	return s.finish(ctx, connection, compute, created.ID, goal{"build", "ACTIVE"}, c.detach)
}

func (c *instanceRun) options(ctx context.Context, s *session, connection *connection, compute *gophercloud.ServiceClient, name string) (servers.CreateOptsBuilder, error) {
	flavor, err := findFlavor(ctx, compute, c.flavor)
	if err != nil {
		return nil, err
	}
	glance, err := connection.image()
	if err != nil {
		return nil, err
	}
	image, err := findImage(ctx, glance, c.image)
	if err != nil {
		return nil, err
	}
	userData, err := c.readUserData(s.In)
	if err != nil {
		return nil, err
	}
	options := servers.CreateOpts{Name: name, FlavorRef: flavor.ID, ImageRef: image.ID, AvailabilityZone: c.zone, UserData: userData, Networks: any(c.network)}
	if c.network != "auto" && c.network != "none" {
		options.Networks = []servers.Network{{UUID: c.network}}
	}
	if len(c.metadata) > 0 {
		options.Metadata = c.metadata
	}
	if c.configDrive {
		options.ConfigDrive = &c.configDrive
	}
	if c.key == "" {
		return options, nil
	}
	return keypairs.CreateOptsExt{CreateOptsBuilder: options, KeyName: c.key}, nil
}

func (c *instanceRun) readUserData(stdin io.Reader) ([]byte, error) {
	switch c.userData {
	case "":
		return nil, nil
	case "-":
		return io.ReadAll(stdin)
	}
	text, err := os.ReadFile(c.userData)
	if err != nil {
		return nil, fmt.Errorf("-user-data: %w", err)
	}
	return text, nil
}

// finish waits for an instance's goal unless detached, and prints it. With -json or -t it prints whole what it is then.
func (s *session) finish(ctx context.Context, c *connection, compute *gophercloud.ServiceClient, id string, g goal, detach bool) error {
	var server *servers.Server
	var err error
	if detach {
		server, err = servers.Get(ctx, compute, id).Extract()
		err = friendly(err)
	} else {
		server, err = s.wait(ctx, c, compute, id, g)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s of instance %s: %w", g.doing, id, err)
	case server == nil:
		return nil
	}
	view := viewInstance(server)
	return s.print(view, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s  %s  %s\n", view.ID, view.Name, view.state())
	})
}
