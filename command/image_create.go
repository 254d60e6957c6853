package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

func init() {
	register(func() *definition {
		c := &imageCreate{properties: keyValues{}}
		return &definition{
			name: "image create", usage: "[options] NAME FILE", synopsis: "Upload an image", agent: true, output: true, min: 2, max: 2, flags: c.flags, run: c.run,
			prose: "Uploads a disk image from FILE (- is stdin). What could not be uploaded whole is\nremoved again.",
		}
	})
}

type imageCreate struct {
	format          string
	minDisk, minRAM int
	public          bool
	properties      keyValues
}

func (c *imageCreate) flags(set *flag.FlagSet) {
	set.StringVar(&c.format, "disk-format", "", "`FORMAT` of the file: qcow2, raw, vmdk, vhd, vhdx, vdi or iso. Default: told by the file's first bytes")
	set.IntVar(&c.minDisk, "min-disk", 0, "Smallest disk of a flavor that can hold it, in `GIB`")
	set.IntVar(&c.minRAM, "min-ram", 0, "Smallest memory of a flavor that can run it, in `MIB`")
	set.BoolVar(&c.public, "public", false, "Let all projects use it; for administrators")
	set.Var(c.properties, "property", "A property, `KEY=VALUE`. May be given several times")
}

func (c *imageCreate) run(ctx context.Context, s *session, args []string) error {
	file, total, err := openInput(args[1], s.In)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	content := bufio.NewReaderSize(file, 1<<20)
	if c.format == "" {
		head, _ := content.Peek(formatHead)
		c.format = guessFormat(head, args[1])
	}
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	glance, err := connection.image()
	if err != nil {
		return err
	}
	image, err := images.Create(ctx, glance, c.options(args[0])).Extract()
	if err != nil {
		return friendly(err)
	}
	if err := s.upload(ctx, glance, image.ID, content, total); err != nil {
		return errors.Join(fmt.Errorf("upload: %w", err), removeImage(ctx, glance, image.ID))
	}
	image, err = images.Get(ctx, glance, image.ID).Extract()
	if err != nil {
		return friendly(err)
	}
	view := viewImage(image)
	return s.print(view, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s  %s  %s  %s\n", view.ID, view.Name, view.Status, view.DiskFormat)
	})
}

func (c *imageCreate) options(name string) images.CreateOpts {
	visibility := images.ImageVisibilityPrivate
	if c.public {
		visibility = images.ImageVisibilityPublic
	}
	return images.CreateOpts{Name: name, DiskFormat: c.format, ContainerFormat: "bare", MinDisk: c.minDisk, MinRAM: c.minRAM, Visibility: &visibility, Properties: c.properties}
}

// openInput returns a file and its size; 0 where that is not known.
func openInput(path string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; a disk image is right", path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// upload sends the bytes and shows how far it is.
func (s *session) upload(ctx context.Context, glance *gophercloud.ServiceClient, id string, content io.Reader, total int64) error {
	p := s.newProgress()
	defer p.stop()
	p.say("uploading %s", bar(0, total))
	counted := &countingReader{Reader: content, notify: func(n int64) {
		if s.Terminal {
			p.say("uploading %s", bar(n, total))
		}
	}}
	if err := imagedata.Upload(ctx, glance, id, counted).ExtractErr(); err != nil {
		return friendly(err)
	}
	p.say("uploaded %s", size(counted.read))
	return nil
}

// removeImage removes what a failed upload left, even when the reason was an interrupt.
func removeImage(ctx context.Context, glance *gophercloud.ServiceClient, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := images.Delete(ctx, glance, id).ExtractErr(); err != nil {
		return fmt.Errorf("the unfinished image %s could not be removed: %w", id, friendly(err))
	}
	return nil
}

// formatHead is how many bytes guessFormat needs.
const formatHead = 32774

// guessFormat tells a disk image's format by its first bytes. The server looks for itself and refuses what is not so.
func guessFormat(head []byte, path string) string {
	for _, magic := range []struct {
		at     int
		text   string
		format string
	}{{0, "QFI\xfb", "qcow2"}, {0, "KDMV", "vmdk"}, {0, "# Disk DescriptorFile", "vmdk"}, {0, "vhdxfile", "vhdx"}, {0, "conectix", "vhd"},
		{64, "\x7f\x10\xda\xbe", "vdi"}, {32769, "CD001", "iso"}} {
		if len(head) >= magic.at+len(magic.text) && bytes.HasPrefix(head[magic.at:], []byte(magic.text)) {
			return magic.format
		}
	}
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".vhd" { // fixed ones have their mark at the end
		return "vhd"
	}
	return "raw"
}
