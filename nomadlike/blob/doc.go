// Package blob is one server's content-addressed store of image bytes.
//
// A blob is immutable and named by the lower-case hexadecimal SHA-512 of its bytes. It lies at sha512/ab/cdef... below the
// store's directory, with its CRC-32C in a file beside it, where "ab" are the first two digits of its name. Bytes become visible under that name only whole,
// hashed and synced to the disk: until then they are a file in staging/, which Open empties.
//
// One process uses a directory at a time (the agent's data directory is locked by its Raft log); within it a Store is safe
// for concurrent use.
package blob
