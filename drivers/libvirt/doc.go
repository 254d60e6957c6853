// Package libvirt runs guests under QEMU and KVM through libvirtd. It is a driver as plugins/driver describes it, and
// speaks libvirt's RPC protocol over the daemon's unix socket; no C library is linked.
//
// # What belongs to this driver
//
// A guest is a persistent libvirt domain kilonova-<instance id> whose uuid is the instance id, and a folder
// <instances_dir>/<instance id> with its disks, console log and VNC socket. The domain's metadata carries generation,
// operation, names and folder (metadata.go), so that nothing need be remembered elsewhere: whatever dies between two
// steps, the domain or the folder says how far it came. A domain whose metadata names another folder belongs to somebody
// else, an agent with another instances_dir on the same libvirtd, say; this driver neither lists nor touches it.
//
// # What can fail, and what happens
//
//   - libvirtd stops, or is killed: guests run on. Calls fail at once with ErrUnavailable, the fingerprint says unhealthy
//     and what to do; link.go dials again, events.go compares what it knew with what is there and says what changed.
//   - libvirtd hangs: go-libvirt's calls take no context, so each runs under a deadline that closes the connection
//     (ErrTimeout) and so ends every call that waits on it.
//   - The driver dies: guests are libvirtd's children, not ours. Recover finds them.
//   - The machine loses power: definitions and disks are on disk; Recover reports the guests as powered off.
//
// # Fencing
//
// The highest generation seen for an instance is in state_dir/fence (fence.go) and outlives the guest, so that a call that
// was delayed in the network cannot bring a removed guest back.
package libvirt
