package structs

import (
	"crypto/sha256"
	"encoding/hex"
)

// ConsoleEndpoint is where a guest's remote console listens, for a proxy that connects to it.
type ConsoleEndpoint struct {
	Host    string `codec:"host"` // address or name
	Port    int    `codec:"port"`
	TLSPort int    `codec:"tls,omitempty"`  // 0 is none
	Path    string `codec:"path,omitempty"` // what the proxy asks for once it is connected; Nova's internal_access_path
}

// ConsoleEndpointRequest asks a host's client where a guest's console of a kind (the driver contract's words: vnc, spice, serial, mks) listens.
type ConsoleEndpointRequest struct {
	HostID     HostID     `codec:"h"`
	InstanceID InstanceID `codec:"i"`
	Kind       string     `codec:"k"`
}

// ConsoleToken lets whoever shows it use a console of an instance for a while. The token itself is nowhere in the state: the record has its hash, so that
// neither a snapshot nor the log opens a console.
type ConsoleToken struct {
	Meta
	Hash       string          `codec:"hash"` // ConsoleTokenHash of the token; the record's key
	InstanceID InstanceID      `codec:"i"`
	HostID     HostID          `codec:"h"`    // where the instance was, and is while the record is there
	Type       string          `codec:"type"` // Nova's word: novnc, spice-html5, spice-direct, serial, webmks
	Kind       string          `codec:"kind"` // the driver's word for it
	Endpoint   ConsoleEndpoint `codec:"at"`
	CreatedAt  Time            `codec:"created"`
	ExpiresAt  Time            `codec:"expires"`
}

// Valid reports whether the token still opens its console.
func (t *ConsoleToken) Valid(now Time) bool { return now < t.ExpiresAt }

// ConsoleTokenHash is what the state knows of a token.
func ConsoleTokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ConsoleTokenCreateRequest records a token: KindNotFound without the instance, KindConflict when the instance is no longer where its console was asked for.
type ConsoleTokenCreateRequest struct {
	Token ConsoleToken `codec:"t"`
}

// ConsoleTokenExpireRequest removes up to Limit tokens whose time is over.
type ConsoleTokenExpireRequest struct {
	Now   Time `codec:"now"`
	Limit int  `codec:"n"`
}
