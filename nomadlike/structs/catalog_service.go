package structs

import (
	"crypto/sha256"
	"encoding/hex"
)

// CatalogService is a service that clients find in the catalog. Those of this binary are there without a record; a record with the id of one of them changes
// what the catalog says of it.
type CatalogService struct {
	Meta
	ID          string `codec:"id"`
	Type        string `codec:"type"`
	Name        string `codec:"name,omitempty"`
	Description string `codec:"desc,omitempty"`
	Enabled     bool   `codec:"on"`
	Extra       Extra  `codec:"extra,omitempty"`
}

// CatalogServiceWriteRequest makes a service, or puts it in the place of the one of which Index is the ModifyIndex.
type CatalogServiceWriteRequest struct {
	Service CatalogService `codec:"s"`
	Index   uint64         `codec:"ix,omitempty"` // 0: a new one
}

// CatalogServiceDeleteRequest removes a service with its endpoints.
type CatalogServiceDeleteRequest struct {
	ID string `codec:"id"`
}

// OwnServiceID is the id of a service of this binary: the same on every server.
func OwnServiceID(typ, name string) string {
	sum := sha256.Sum256([]byte("service\x00" + typ + "\x00" + name))
	return hex.EncodeToString(sum[:16])
}

// The ids of services of this binary whose registered limits hold here: those of Compute are its quotas, those of Image are its limits.
var (
	ComputeServiceID = OwnServiceID("compute", "nova")
	ImageServiceID   = OwnServiceID("image", "glance")
)
