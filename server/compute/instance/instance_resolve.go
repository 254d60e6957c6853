package instance

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/flavor"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// resolvePlace reads where the instance is to be: a zone; zone:host, zone:host:node or zone::node for administrators; or from 2.74 on a host and a
// hypervisor. A node is known by its host, because a host has one hypervisor.
func (s *service) resolvePlace(r *httpapi.Request, rd state.Reader, in *instanceCreate, ins *structs.Instance) error {
	zone, host, node := in.AvailabilityZone, "", ""
	if strings.Contains(zone, ":") {
		parts := strings.Split(zone, ":")
		switch len(parts) {
		case 2:
			zone, host = parts[0], parts[1]
		case 3:
			zone, host, node = parts[0], parts[1], parts[2]
		default:
			return httpapi.BadRequest("Invalid input received: Unable to parse availability_zone")
		}
	}
	if zone == "" {
		zone = s.DefaultZone
	}
	if host != "" || node != "" {
		if err := r.Allow(ruleForcedHost); err != nil {
			return err
		}
	}
	if in.Host != "" || in.Node != "" {
		if err := r.Allow(ruleRequestedHost); err != nil {
			return err
		}
		if host != "" || node != "" {
			return httpapi.BadRequest("One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.")
		}
		found, err := requestedHost(rd, in.Host, in.Node)
		if err != nil {
			return err
		}
		ins.RequestedHost = found
	}
	if host == "" && node != "" {
		host = node
		if h := hostByNode(rd, node); h != nil {
			host = h.Name
		}
	}
	if host != "" { // a zone that is not the host's is ignored, as Nova does
		ins.RequestedHost = host
		if h := rd.HostByName(host); h != nil && h.Zone != zone {
			zone = ""
		}
	}
	ins.PinnedZone = zone
	return nil
}

// requestedHost checks that the host, the hypervisor, or the hypervisor on the host exists.
func requestedHost(rd state.Reader, host, node string) (string, error) {
	if host == "" {
		h := hostByNode(rd, node)
		if h == nil {
			return "", httpapi.BadRequest("Compute host %s could not be found.", node)
		}
		return h.Name, nil
	}
	h := rd.HostByName(host)
	if h == nil || node != "" && base.NodeName(h) != node {
		missing := host
		if h != nil {
			missing = node
		}
		return "", httpapi.BadRequest("Compute host %s could not be found.", missing)
	}
	return h.Name, nil
}

func hostByNode(rd state.Reader, node string) *structs.Host {
	for h := range rd.Hosts() {
		if base.NodeName(h) == node {
			return h
		}
	}
	return nil
}

// checkZone refuses a zone of which no host takes instances, unless a host was named.
func (s *service) checkZone(rd state.Reader, ins *structs.Instance) error {
	if ins.PinnedZone == "" || ins.RequestedHost != "" {
		return nil
	}
	for h := range rd.Hosts() {
		if h.Zone == ins.PinnedZone && !h.Disabled {
			return nil
		}
	}
	return httpapi.BadRequest("The requested availability zone is not available")
}

func resolveFlavor(r *httpapi.Request, rd state.Reader, in *instanceCreate, ins *structs.Instance) error {
	f, err := flavorOf(r, rd, string(in.FlavorRef))
	if err == nil {
		ins.Flavor = *f
	}
	return err
}

// flavorOf returns a copy of a flavor that the caller may use, named by id or by a link to it.
func flavorOf(r *httpapi.Request, rd state.Reader, id string) (*structs.Flavor, error) {
	if u, err := url.Parse(id); err == nil { // a link to a flavor is as good as its id
		id = u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	}
	f := rd.Flavor(structs.FlavorID(id))
	if f == nil || !flavor.Sees(r, f) {
		return nil, httpapi.BadRequest("Flavor %s could not be found.", id)
	}
	f = f.Copy()
	f.Projects = nil // who may use it is no business of the instance
	return f, nil
}

// resolveImage finds the image and checks that the flavor can hold it as Nova does when it creates. What the caller may not see is not there.
func (s *service) resolveImage(r *httpapi.Request, in *instanceCreate, ins *structs.Instance) error {
	if in.ImageRef == "" {
		return httpapi.BadRequest("Missing imageRef attribute")
	}
	img, err := s.activeImage(r, in.ImageRef)
	if err != nil {
		return err
	}
	if err := imageFits(r, img, &ins.Flavor); err != nil {
		return err
	}
	if err := diskConfig(img, ins); err != nil {
		return err
	}
	switch drive := img.Properties["img_config_drive"]; drive {
	case "mandatory":
		ins.ConfigDrive = true
	case "", "optional":
	default:
		return httpapi.BadRequest("Invalid image metadata. Error: Field value %s is invalid", drive)
	}
	ins.ImageID, ins.ImageSHA512, ins.ImageProps, ins.ImageMinDisk = img.ID, img.SHA512, img.Properties, img.MinDiskGiB
	return nil
}

const gibibyte = int64(1) << 30

func imageFits(r *httpapi.Request, img *structs.Image, f *structs.Flavor) error {
	if img.MinMemoryMiB > f.MemoryMiB {
		return httpapi.BadRequest("Flavor's memory is too small for requested image.")
	}
	disk := f.RootGiB * gibibyte
	if disk == 0 { // such a flavor takes the image's size, which may be any
		if !r.Token.IsAdmin() {
			return httpapi.Forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
		}
		return nil
	}
	if size := max(img.Size, img.VirtualSize); size > disk {
		return httpapi.BadRequest("Flavor's disk is too small for requested image. Flavor disk is %d bytes, image is %d bytes.", disk, size)
	}
	if least := img.MinDiskGiB * gibibyte; least > disk {
		return httpapi.BadRequest("Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, "+
			"minimum size is %d bytes.", disk, least)
	}
	return nil
}

// diskConfig settles AUTO or MANUAL: what the request says, else what the image says, else MANUAL.
func diskConfig(img *structs.Image, ins *structs.Instance) error {
	said := img.Properties["hw_auto_disk_config"]
	if said == "" {
		said = img.Properties["auto_disk_config"]
	}
	if strings.EqualFold(said, "disabled") && ins.DiskConfig == "AUTO" {
		return httpapi.BadRequest("Requested image %s has automatic disk resize disabled.", img.ID)
	}
	if ins.DiskConfig == "" {
		ins.DiskConfig = "MANUAL"
		if auto, _ := base.ParseBool(said); auto {
			ins.DiskConfig = "AUTO"
		}
	}
	return nil
}

// blockDevice is an element of block_device_mapping or of block_device_mapping_v2.
type blockDevice struct {
	UUID            string          `json:"uuid"`
	VolumeID        string          `json:"volume_id"`
	SnapshotID      string          `json:"snapshot_id"`
	SourceType      string          `json:"source_type"`
	DestinationType string          `json:"destination_type"`
	BootIndex       *base.FlexInt   `json:"boot_index"`
	VolumeType      *string         `json:"volume_type"`
	NoDevice        json.RawMessage `json:"no_device"`
}

// checkDevices accepts the one mapping that says what happens anyway: the image onto the local root disk. Volumes need a volume service, which this
// cluster does not have.
func checkDevices(in *instanceCreate) error {
	if len(in.Devices) > 0 && len(in.DevicesV2) > 0 {
		return httpapi.BadRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
	}
	if len(in.Devices) > 0 {
		return errNoVolumes
	}
	roots := 0
	for i := range in.DevicesV2 {
		d := &in.DevicesV2[i]
		if err := d.check(in.ImageRef); err != nil {
			return err
		}
		roots++
	}
	if roots > 1 {
		return httpapi.BadRequest("Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.")
	}
	return nil
}

var errNoVolumes = httpapi.BadRequest("Block Device Mapping is Invalid: this cloud has no volume service, and instances have a root disk only; " +
	"map source_type image with boot_index 0 to destination_type local, or leave block_device_mapping_v2 out.")

func (d *blockDevice) check(imageRef string) error {
	invalid := func(details string) error { return httpapi.BadRequest("Block Device Mapping is Invalid: %s", details) }
	index := int64(-1)
	if d.BootIndex != nil {
		index = int64(*d.BootIndex)
	}
	switch {
	case d.SourceType == "blank" && d.UUID != "":
		return invalid("Invalid device UUID.")
	case d.SourceType != "blank" && d.UUID == "":
		return invalid("Missing device UUID.")
	case d.DestinationType == "local" && d.VolumeType != nil && *d.VolumeType != "":
		return invalid("Specifying a volume_type with destination_type=local is not supported.")
	case d.SourceType == "image" && d.DestinationType == "local":
		if imageRef == "" || index != 0 {
			return invalid("Mapping image to local is not supported.")
		}
		if !strings.EqualFold(d.UUID, imageRef) {
			return httpapi.BadRequest("Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.")
		}
		return nil
	}
	return errNoVolumes
}

type networkRequest struct {
	UUID    *string `json:"uuid"`
	Port    *string `json:"port"`
	FixedIP *string `json:"fixed_ip"`
}

// checkNetworks accepts no network, "none" and "auto": without a network service "auto" finds none to give. A network or port that is named cannot
// exist.
func checkNetworks(r *httpapi.Request, in *instanceCreate, most int64) error {
	if len(in.Networks) == 0 || in.Networks[0] == '"' {
		return nil
	}
	var asked []networkRequest
	if err := json.Unmarshal(in.Networks, &asked); err != nil {
		return httpapi.BadRequest("Bad networks format")
	}
	var ports []string
	for _, n := range asked {
		if n.Port != nil && *n.Port != "" {
			if slices.Contains(ports, *n.Port) {
				return httpapi.BadRequest("Port ID '%s' was specified twice: you cannot attach a port multiple times.", *n.Port)
			}
			if n.FixedIP != nil {
				return httpapi.BadRequest("Specified Fixed IP '%s' cannot be used with port '%s': the two cannot be specified together.", *n.FixedIP, *n.Port)
			}
			ports = append(ports, *n.Port)
			continue
		}
		if n.UUID == nil {
			return httpapi.BadRequest("Bad network format: missing 'uuid'")
		}
		if !base.IsUUID(*n.UUID) {
			return httpapi.BadRequest("Bad networks format: network uuid is not in proper format (%s)", *n.UUID)
		}
	}
	for _, n := range asked {
		switch {
		case n.Port != nil && *n.Port != "" && most > 1:
			return httpapi.BadRequest("Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.")
		case n.FixedIP != nil && most > 1:
			return httpapi.BadRequest("max_count cannot be greater than 1 if an fixed_ip is specified.")
		case n.Port != nil && *n.Port != "":
			return noNetworks(r, fmt.Sprintf("Port id %s could not be found.", *n.Port))
		default:
			return noNetworks(r, fmt.Sprintf("Network %s could not be found.", *n.UUID))
		}
	}
	return nil
}

func noNetworks(r *httpapi.Request, what string) error {
	advice := "leave networks out"
	if r.Version >= 37 {
		advice = `say "networks": "none"`
	}
	return httpapi.BadRequest("%s This cloud has no network service, and instances are made without networks: %s.", what, advice)
}
