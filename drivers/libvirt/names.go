package libvirt

import (
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"
)

// domainPrefix begins the name of every domain that the driver defines.
const domainPrefix = "kilonova-"

// domainName is a function of the instance id alone: whoever knows the instance finds the domain.
func domainName(instanceID string) string { return domainPrefix + instanceID }

// isInstanceID says whether an id can name a guest of ours: a uuid in its canonical form, which libvirt keeps unchanged.
func isInstanceID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// instanceOf returns the instance id of a domain, or "" when the domain is not one of this driver's kind.
func instanceOf(domain golibvirt.Domain) string {
	id := uuid.UUID(domain.UUID).String()
	if domain.Name != domainName(id) {
		return ""
	}
	return id
}

// isMachineType says whether the name is of a machine that this driver can lay out devices for.
func isMachineType(name string) bool {
	return name == "pc" || name == "q35" || strings.HasPrefix(name, "pc-i440fx-") || strings.HasPrefix(name, "pc-q35-")
}

// isQ35 tells PCI Express machines, which have SATA and no IDE, from the older ones, where it is the other way.
func isQ35(machine string) bool { return machine == "q35" || strings.HasPrefix(machine, "pc-q35-") }
