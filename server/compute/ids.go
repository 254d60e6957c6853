package compute

import "github.com/google/uuid"

// isUUID reports whether s is a UUID in any of the spellings that Nova takes.
func isUUID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil
}

// derivedID names what has no id of its own by what it is: always the same UUID.
func derivedID(name string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String() }
