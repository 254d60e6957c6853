package base

import "github.com/google/uuid"

// IsUUID reports whether s is a UUID in any of the spellings that Nova takes.
func IsUUID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil
}

// DerivedID names what has no id of its own by what it is: always the same UUID.
func DerivedID(name string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String() }
