package command

import (
	"context"
	"io"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

func init() {
	registerParent("image", "Upload and show images", "Uploads disk images and shows those that there are.")
	register(func() *definition {
		return &definition{
			name: "image list", usage: "[options]", synopsis: "List images", agent: true, output: true, run: runImageList,
			prose: "Lists the images that the project may use.",
		}
	})
}

// imageView is an image as the command line prints it.
type imageView struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Status       string    `json:"status"`
	Visibility   string    `json:"visibility"`
	DiskFormat   string    `json:"disk_format"`
	Size         int64     `json:"size"`
	VirtualSize  int64     `json:"virtual_size"`
	MinDiskGiB   int       `json:"min_disk_gib"`
	MinMemoryMiB int       `json:"min_memory_mib"`
	Owner        string    `json:"owner"`
	Checksum     string    `json:"checksum"`
	Created      time.Time `json:"created_at"`
}

func viewImage(i *images.Image) imageView {
	return imageView{i.ID, i.Name, string(i.Status), string(i.Visibility), i.DiskFormat, i.SizeBytes, i.VirtualSize, i.MinDiskGigabytes, i.MinRAMMegabytes,
		i.Owner, i.Checksum, i.CreatedAt}
}

func runImageList(ctx context.Context, s *session, _ []string) error {
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	glance, err := connection.image()
	if err != nil {
		return err
	}
	pages, err := images.List(glance, images.ListOpts{}).AllPages(ctx)
	if err != nil {
		return friendly(err)
	}
	all, err := images.ExtractImages(pages)
	if err != nil {
		return err
	}
	views := make([]imageView, len(all))
	rows := [][]string{{"ID", "Name", "Status", "Visibility", "Format", "Size", "Created"}}
	for i := range all {
		v := viewImage(&all[i])
		views[i] = v
		rows = append(rows, []string{v.ID, v.Name, v.Status, v.Visibility, v.DiskFormat, size(v.Size), moment(v.Created)})
	}
	return s.print(views, func(w io.Writer) { table(w, rows) })
}
