package nomadlike

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// NewUUID returns a random UUID. Only proposers call it, never the state machine.
func NewUUID() string { return uuid.NewString() }

// NewHexID returns 32 random hexadecimal digits, the form of Keystone's ids.
func NewHexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return hex.EncodeToString(b[:])
}
