package structs

// The names of what a project's images are limited in: Glance's among Keystone's unified limits.
const (
	ImageSizeTotal      = "image_size_total"      // MiB of data
	ImageStageTotal     = "image_stage_total"     // MiB of data that are staged for an import
	ImageCountTotal     = "image_count_total"     // images
	ImageCountUploading = "image_count_uploading" // images whose data are arriving
)

// ImageLimitNames are all of them.
var ImageLimitNames = []string{ImageSizeTotal, ImageStageTotal, ImageCountTotal, ImageCountUploading}

// ImageLimits are a project's limits by name. One that is absent, or -1, is none.
type ImageLimits map[string]int64

// Of returns a limit, -1 for none.
func (l ImageLimits) Of(name string) int64 {
	if n, ok := l[name]; ok {
		return n
	}
	return -1
}

// ImageUsage is what a project's images come to, by the names of the limits.
type ImageUsage map[string]int64
