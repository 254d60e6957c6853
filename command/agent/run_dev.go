package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
)

// devPassword is the password of a development agent's users, who can be reached from this machine only.
const devPassword = "kilonova"

// guestImageName is the name of the image that a development agent brings along.
const guestImageName = "kilonova-guest"

// startDev fills a new development cluster and says how to talk to it. One that has been filled before is left as it is.
func (a *agent) startDev(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := a.server.Read(ctx)
	if err != nil {
		return err
	}
	if !r.ClusterSettings().Bootstrapped {
		if err := a.fillDev(ctx); err != nil {
			return fmt.Errorf("cannot fill the development cluster: %w", err)
		}
	}
	ca := ""
	if a.rt.TLS.HTTP {
		ca = a.rt.TLS.CAFile
	}
	clouds, err := writeClouds(a.rt.DataDir, a.httpURL()+"/identity/v3", a.rt.Region, ca, []credential{
		{"kilonova-admin", "admin", devPassword, "admin"}, {"kilonova-demo", "demo", devPassword, "demo"}})
	if err != nil {
		return err
	}
	a.waitForHosts(ctx)
	a.sayReady(clouds)
	return nil
}

// waitForHosts gives the hosts a moment to register, so that the first instance finds them. A host that does not come is no reason not to be ready:
// a driver whose hypervisor is slow or down says so in the log.
func (a *agent) waitForHosts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sub, _ := a.server.Events().Subscribe(a.server.Stale().Index())
	for {
		up := 0
		for h := range a.server.Stale().Hosts() {
			if ok, _ := h.Schedulable(); ok {
				up++
			}
		}
		if up >= max(1, a.rt.Client.SimulatedHosts) {
			return
		}
		if _, _, err := sub.Next(ctx); err != nil {
			return
		}
	}
}

func (a *agent) sayReady(clouds string) {
	a.ui.Output(fmt.Sprintf(`Kilonova is ready: %s, driver %s, data in %s

  export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=kilonova-admin
  openstack server create --flavor m1.tiny --image %s --wait hello

Ctrl-C ends the agent; guests of a hypervisor go on.`, a.httpURL(), a.rt.Client.Drivers[0], a.rt.DataDir, clouds, guestImageName))
}

func (a *agent) fillDev(ctx context.Context) error {
	now := structs.TimeOf(time.Now())
	who, err := bootstrap.Request(bootstrap.Options{AdminPassword: devPassword, DemoPassword: devPassword, BcryptCost: 8, Now: now})
	if err != nil {
		return err
	}
	for i, size := range []struct {
		name        string
		vcpus       int
		mem, diskGB int64
	}{{"m1.tiny", 1, 128, 1}, {"m1.small", 1, 512, 5}, {"m1.medium", 2, 1024, 10}, {"m1.large", 4, 4096, 20}} {
		f := structs.Flavor{ID: structs.FlavorID(strconv.Itoa(i + 1)), Name: size.name, VCPUs: size.vcpus, MemoryMiB: size.mem, RootGiB: size.diskGB,
			RxTxFactor: 1, Public: true, CreatedAt: now}
		if _, err := fsm.FlavorCreate.Propose(ctx, a.server, &structs.FlavorCreateRequest{Flavor: f}); err != nil && !structs.IsKind(err, structs.KindConflict) {
			return err
		}
	}
	// The administrator's project may use the whole machine; demo has the default quota, so that quotas can be seen at work.
	admin := who.Users[0].DefaultProjectID
	if _, err := fsm.QuotaSet.Propose(ctx, a.server, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: admin, Limits: structs.UnlimitedQuota()}}); err != nil {
		return err
	}
	if err := a.importGuest(ctx, admin, now); err != nil {
		return err
	}
	// Last, for it marks the cluster as filled: an agent killed before begins again.
	_, err = fsm.IdentityUpsert.Propose(ctx, a.server, who)
	return err
}

// guestImage finds the guest image that `make guest-image` builds: named by the environment, in the working directory's build folder, or
// beside the program.
func guestImage() (string, error) {
	paths := []string{os.Getenv("KILONOVA_GUEST_IMAGE"), filepath.Join("build", "guest-image", "disk.qcow2")}
	if self, err := os.Executable(); err == nil {
		paths = append(paths, filepath.Join(filepath.Dir(self), "..", "build", "guest-image", "disk.qcow2"))
	}
	paths = append(paths, "/usr/share/kilonova/guest.qcow2")
	for _, p := range paths {
		if st, err := os.Stat(p); p != "" && err == nil && st.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", errors.New("no guest image was found: build it with `make guest-image`, or name one in KILONOVA_GUEST_IMAGE")
}

// importGuest puts the guest image into the image store. The fake driver boots anything: where there is no image it gets a sector of zeros.
func (a *agent) importGuest(ctx context.Context, owner structs.ProjectID, now structs.Time) error {
	img := structs.Image{ID: structs.ImageID(uuid.NewString()), Name: guestImageName, ProjectID: owner, Visibility: "public", Status: structs.ImageActive,
		DiskFormat: "qcow2", ContainerFormat: "bare", CreatedAt: now, UpdatedAt: now}
	w, err := a.server.Blobs().Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	path, err := guestImage()
	if err != nil {
		if a.rt.Client.Drivers[0] != "fake" {
			a.ui.Warn(err.Error() + ". The cluster starts without an image.")
			return nil
		}
		img.DiskFormat, img.VirtualSize = "raw", 512
		_, err = w.Write(make([]byte, 512))
	} else {
		err = copyFile(w, path)
	}
	if err != nil {
		return err
	}
	sums, err := w.Commit()
	if err != nil {
		return err
	}
	if img.Servers, err = a.server.Blobs().Spread(ctx, sums.SHA512); err != nil {
		return err
	}
	img.Size, img.SHA512, img.MD5 = sums.Size, sums.SHA512, sums.MD5
	_, err = fsm.ImageUpsert.Propose(ctx, a.server, &structs.ImageUpsertRequest{Image: img, Create: true})
	return err
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
