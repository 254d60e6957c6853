package libvirt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// imageInfo is what qemu-img says of an image, as far as it matters here.
type imageInfo struct {
	VirtualSize    int64  `json:"virtual-size"` // bytes
	BackingFile    string `json:"backing-filename"`
	FormatSpecific struct {
		Data struct {
			DataFile string `json:"data-file"`
		} `json:"data"`
	} `json:"format-specific"`
}

// inspectImage reads an image's header in the stated format. An image that points at other files is refused: they would
// be files of the host, chosen by whoever made the image.
func (h *host) inspectImage(ctx context.Context, image *driver.Image) (*imageInfo, error) {
	if _, err := os.Stat(image.Path); err != nil {
		return nil, invalid("image %s: its file cannot be read: %v", image.ID, err)
	}
	raw, err := h.run(ctx, h.cfg.QemuImg, "info", "--output=json", "--force-share", "-f", image.Format, "--", image.Path)
	if err != nil {
		return nil, invalid("image %s: %s is no %s image: %v", image.ID, image.Path, image.Format, err)
	}
	info := &imageInfo{}
	if err := json.Unmarshal(raw, info); err != nil {
		return nil, driver.Errorf(driver.KindInternal, "image %s: qemu-img's answer is not understood: %v", image.ID, err)
	}
	if other := info.BackingFile + info.FormatSpecific.Data.DataFile; other != "" {
		return nil, invalid("image %s refers to another file (%s), which is not allowed; flatten it with: qemu-img convert", image.ID, other)
	}
	return info, nil
}

// rootBytes returns the size of the root disk. A disk smaller than its image would cut the image's end off.
func rootBytes(spec *driver.InstanceSpec, info *imageInfo) (int64, error) {
	if spec.RootGiB == 0 {
		return info.VirtualSize, nil
	}
	size := spec.RootGiB * gib
	if size < info.VirtualSize {
		return 0, invalid("a root disk of %d GiB is too small for image %s, which needs %d GiB; take a larger flavor",
			spec.RootGiB, spec.Image.ID, (info.VirtualSize+gib-1)/gib)
	}
	return size, nil
}

// makeDisks makes what is missing of the instance's disks. Each is written beside its name and renamed, so that a disk
// that exists is whole; a repetition after a crash goes on where it stopped.
func (h *host) makeDisks(ctx context.Context, spec *driver.InstanceSpec, f folder, owner fileOwner) error {
	info, err := h.inspectImage(ctx, spec.Image)
	if err != nil {
		return err
	}
	size, err := rootBytes(spec, info)
	if err != nil {
		return err
	}
	err = makeFile(f.rootDisk(), owner, func(path string) error {
		_, err := h.run(ctx, h.cfg.QemuImg, "create", "-q", "-f", "qcow2", "-F", spec.Image.Format, "-b", spec.Image.Path,
			"--", path, fmt.Sprint(size))
		return err
	})
	if err == nil && spec.EphemeralGiB > 0 {
		err = makeFile(f.ephemeral(), owner, func(path string) error {
			if err := sparse(path, spec.EphemeralGiB*gib); err != nil {
				return err
			}
			_, err := h.run(ctx, "mkfs.ext4", "-q", "-F", "-L", "ephemeral0", path)
			return err
		})
	}
	if err == nil && spec.SwapMiB > 0 {
		err = makeFile(f.swap(), owner, func(path string) error {
			if err := sparse(path, spec.SwapMiB*mib); err != nil {
				return err
			}
			_, err := h.run(ctx, "mkswap", path)
			return err
		})
	}
	return fileError(describe("make the disks of", spec.InstanceID), err)
}

// makeFile has make write a file beside path and renames it, unless path is there already.
func makeFile(path string, owner fileOwner, make func(path string) error) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := make(temporary); err != nil {
		return err
	}
	if err := owner.take(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func sparse(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close())
}

// run executes a program and returns what it printed. The error carries the program's own words. The program is killed
// when ctx ends.
func (h *host) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Env = append(os.Environ(), "LC_ALL=C")
	if command.Err != nil { // mkfs and mkswap are in folders that an ordinary user's PATH lacks
		for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
			if _, err := os.Stat(dir + program); err == nil {
				command.Path, command.Err = dir+program, nil
				break
			}
		}
	}
	// A killed program's children may hold the pipes open.
	command.WaitDelay = 2 * time.Second
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return nil, driver.Errorf(driver.KindInternal, "%s is not installed on this host (Debian: qemu-utils, e2fsprogs, util-linux)", program)
	case err != nil && strings.Contains(stderr.String(), "No space left on device"):
		return nil, fmt.Errorf("%s: %w", program, syscall.ENOSPC)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", program, err, oneLine(strings.TrimSpace(stderr.String())))
	}
	return stdout.Bytes(), nil
}

// configDriveDevice says how to show the agent's config drive to the guest: an ISO 9660 image as a CD, anything else
// (vfat) as a disk. "" when there is none.
func configDriveDevice(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", invalid("the config drive cannot be read: %v", err)
	}
	defer func() { _ = file.Close() }()
	const volumeDescriptors = 16 * 2048
	magic := make([]byte, 6)
	if _, err := file.ReadAt(magic, volumeDescriptors); err != nil && !errors.Is(err, io.EOF) {
		return "", invalid("the config drive cannot be read: %v", err)
	}
	if bytes.Equal(magic[1:], []byte("CD001")) {
		return "cdrom", nil
	}
	return "disk", nil
}
