package image

import (
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const hashAlgorithm = "sha512"

// view is an image as Glance shows it: its properties beside its attributes. Paths begin with /v2 wherever the service is
// mounted: clients put them behind the endpoint less its version.
func view(i *structs.Image) map[string]any {
	v := make(map[string]any, len(i.Properties)+24)
	for k, p := range i.Properties {
		v[k] = p
	}
	path := imagesPath + "/" + string(i.ID)
	v["id"], v["self"], v["file"], v["schema"] = i.ID, path, path+"/file", "/v2/schemas/image"
	v["name"], v["owner"] = orNull(i.Name), orNull(string(i.ProjectID))
	v["disk_format"], v["container_format"] = orNull(i.DiskFormat), orNull(i.ContainerFormat)
	v["status"], v["visibility"] = i.Status, i.Visibility
	v["protected"], v["os_hidden"] = i.Protected, i.Hidden
	v["min_disk"], v["min_ram"] = i.MinDiskGiB, i.MinMemoryMiB
	v["created_at"], v["updated_at"] = isoTime(i.CreatedAt), isoTime(i.UpdatedAt)
	v["os_hash_algo"], v["size"], v["virtual_size"], v["checksum"], v["os_hash_value"] = nil, nil, nil, nil, nil
	if i.Staged() {
		v["size"] = i.Size
	}
	if i.HasData() {
		v["os_hash_algo"], v["size"], v["stores"] = hashAlgorithm, i.Size, strings.Join(i.StoreIDs(), ",")
		v["checksum"], v["os_hash_value"] = orNull(i.MD5), orNull(i.SHA512)
		if i.VirtualSize > 0 {
			v["virtual_size"] = i.VirtualSize
		}
	}
	v["tags"] = append([]string{}, i.Tags...)
	return v
}

const imagesPath = "/v2/images"

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// isoTime words a time in whole seconds, UTC.
func isoTime(t structs.Time) string { return t.Time().Format("2006-01-02T15:04:05Z") }

// seconds is a time as clients know it.
func seconds(t structs.Time) time.Time { return t.Time().Truncate(time.Second) }
