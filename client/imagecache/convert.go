package imagecache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// qemuNames are QEMU's names of Glance's disk formats. What is plain bytes, whatever is on the disk, is raw.
var qemuNames = map[string]string{"raw": "raw", "iso": "raw", "ami": "raw", "aki": "raw", "ari": "raw", "qcow2": "qcow2",
	"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "ploop": "parallels"}

// writable are the formats that a conversion may make.
var writable = []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"}

// choose says in which of the formats wanted an image is handed out, and whether it must be converted for that.
func choose(have string, want []string) (format string, convert bool, err error) {
	if slices.Contains(want, have) {
		return have, false, nil
	}
	if qemuNames[have] == "raw" && slices.Contains(want, "raw") {
		return "raw", false, nil
	}
	for _, w := range want {
		if qemuNames[have] != "" && slices.Contains(writable, w) {
			return w, true, nil
		}
	}
	return "", false, structs.Errorf(structs.KindNotSupported, "an image of the disk format %q cannot be converted to any of the formats that the driver takes (%s)",
		have, strings.Join(want, ", "))
}

// convert makes path, the image in another format, from the image's bytes, which it fetches when they are not there.
func (c *Cache) convert(ctx context.Context, img Image, format, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	origin := c.originPath(img.SHA512)
	var source *Entry
	for source == nil {
		if err := c.flights.do(ctx, origin, func(ctx context.Context) error { return c.fetch(ctx, img) }); err != nil {
			return err
		}
		source = c.hold(origin, img, img.DiskFormat, false)
	}
	err := c.convertFile(ctx, img, origin, format, path)
	source.Release()
	if err == nil {
		c.dropOrigin(origin)
	}
	return err
}

// whole reports whether an image's bytes are there.
func (c *Cache) whole(path string, img Image) bool {
	st, err := os.Stat(path)
	return err == nil && st.Size() == img.Size
}

// dropOrigin removes an image's bytes when nobody holds them: the converted file serves from now on.
func (c *Cache) dropOrigin(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs[path] > 0 {
		return
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("cannot remove an image that was converted", "file", path, "error", err)
	}
}

func (c *Cache) convertFile(ctx context.Context, img Image, origin, format, path string) error {
	source, target := qemuNames[img.DiskFormat], qemuNames[format]
	if err := checkQCOW2(origin); err != nil {
		return structs.Errorf(structs.KindInvalid, "Image %s %s", img.ID, err.Error())
	}
	info, err := c.info(ctx, origin, img.DiskFormat)
	if err != nil {
		return err
	}
	if err := info.standsAlone(origin); err != nil {
		return structs.Errorf(structs.KindInvalid, "Image %s %s", img.ID, err.Error())
	}
	promise, err := c.promise(c.measure(ctx, origin, source, info.VirtualSize), "convert image "+img.ID+" to "+format)
	if err != nil {
		return err
	}
	defer promise.end()
	tmp := filepath.Join(c.cfg.Dir, partialFolder, filepath.Base(path)+".tmp")
	defer func() { _ = os.Remove(tmp) }() // not there any more when all went well
	began := time.Now()
	if _, err := c.qemuImg(ctx, "convert", "-f", source, "-O", target, origin, tmp); err != nil {
		return structs.Errorf(structs.KindOf(err), "Image %s cannot be converted from %s to %s: %w", img.ID, img.DiskFormat, format, err)
	}
	if err := c.settle(tmp, path); err != nil {
		return err
	}
	c.log.Info("converted an image", "image", img.ID, "from", img.DiskFormat, "to", format, "took", time.Since(began))
	return nil
}

// settle syncs a converted file, lets hypervisors read it, and gives it its name.
func (c *Cache) settle(tmp, path string) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return c.diskError(err)
	}
	err = errors.Join(os.Chmod(tmp, 0o644), f.Sync())
	if err := errors.Join(err, f.Close()); err != nil {
		return c.diskError(err)
	}
	return c.publish(tmp, path)
}

// measure estimates the bytes on disk that a conversion takes: what the source has allocated, of which qcow2's measure is
// close to that of every other target, all of them being sparse. When it cannot be told it is the size of the disk.
func (c *Cache) measure(ctx context.Context, path, source string, virtual int64) int64 {
	out, err := c.qemuImg(ctx, "measure", "--output=json", "-f", source, "-O", "qcow2", path)
	var m struct {
		Required int64 `json:"required"`
	}
	if err != nil || json.Unmarshal(out, &m) != nil || m.Required <= 0 {
		return virtual
	}
	return m.Required
}

// imageInfo is what we read of qemu-img info.
type imageInfo struct {
	VirtualSize    int64  `json:"virtual-size"`
	Backing        string `json:"backing-filename"`
	FormatSpecific struct {
		Data struct {
			DataFile string `json:"data-file"`
			Extents  []struct {
				File string `json:"filename"`
			} `json:"extents"`
		} `json:"data"`
	} `json:"format-specific"`
}

// standsAlone refuses an image that would make QEMU open another file than path.
func (i *imageInfo) standsAlone(path string) error {
	if i.Backing != "" || i.FormatSpecific.Data.DataFile != "" {
		return errors.New("names another file as its backing or data file and is not used")
	}
	for _, e := range i.FormatSpecific.Data.Extents {
		if e.File != path {
			return errors.New("keeps its data in another file and is not used")
		}
	}
	return nil
}

// info asks qemu-img about a file, of which the format is given and never guessed.
func (c *Cache) info(ctx context.Context, path, format string) (*imageInfo, error) {
	out, err := c.qemuImg(ctx, "info", "--output=json", "-f", qemuNames[format], path)
	if err != nil {
		return nil, err
	}
	info := &imageInfo{}
	if err := json.Unmarshal(out, info); err != nil {
		return nil, structs.Errorf(structs.KindInternal, "cannot read the answer of qemu-img info: %w", err)
	}
	return info, nil
}

// qemuImg runs qemu-img with the arguments as they are, within the time limit, and returns its output. An image that it
// refuses is KindInvalid, a full disk KindNoCapacity, the time limit KindTimeout, no qemu-img KindNotSupported.
func (c *Cache) qemuImg(ctx context.Context, args ...string) ([]byte, error) {
	tool := c.cfg.QemuImg
	if tool == "" {
		tool = "qemu-img"
	}
	limited, cancel := context.WithTimeout(ctx, c.cfg.ConvertTimeout)
	defer cancel()
	cmd := exec.CommandContext(limited, tool, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, structs.Errorf(structs.KindTimeout, "qemu-img %s took longer than %s", args[0], c.cfg.ConvertTimeout)
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return nil, structs.Errorf(structs.KindNotSupported, "%s is not on this host; install it (Debian: qemu-utils) or use images of a format that the driver takes: %w", tool, err)
	}
	said := lastLine(stderr.String())
	var exit *exec.ExitError
	switch {
	case strings.Contains(said, "No space left"):
		return nil, structs.Errorf(structs.KindNoCapacity, "the disk of the image cache %s is full: %s", c.cfg.Dir, said)
	case errors.As(err, &exit) && exit.Exited():
		return nil, structs.Errorf(structs.KindInvalid, "qemu-img %s: %s", args[0], said)
	}
	return nil, fmt.Errorf("qemu-img %s: %w: %s", args[0], err, said)
}

// lastLine returns the end of what a program said, short enough for a message.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	return s[:min(len(s), 300)]
}
