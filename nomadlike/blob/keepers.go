package blob

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Keepers are those of the servers that keep a blob when so many copies are wanted; 0 copies, or more than there are servers, are all of them. Every server comes to the
// same, and when a server comes or goes only what is its changes (rendezvous hashing).
func Keepers(sha string, servers []structs.ServerID, copies int) []structs.ServerID {
	if copies <= 0 || copies >= len(servers) {
		return servers
	}
	type ranked struct {
		id    structs.ServerID
		score [sha256.Size]byte
	}
	all := make([]ranked, len(servers))
	for i, id := range servers {
		all[i] = ranked{id, sha256.Sum256([]byte(sha + "/" + string(id)))}
	}
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(b.score[:], a.score[:]) })
	out := make([]structs.ServerID, copies)
	for i := range out {
		out[i] = all[i].id
	}
	return out
}
