// Package imagecache is a compute host's store of root images: fetched from the servers once, checked, converted to a format
// that the host's driver takes, and kept while instances use them.
//
// Files lie flat in one directory: HASH.img are an image's bytes as the servers have them, HASH.FORMAT what they were
// converted to, HASH being the SHA-512 of the image's bytes. A file has such a name only when it is whole, checked and
// synced. partial/ holds what is on its way: HASH.part is resumed by the next Get, also after a crash; conversions that a
// crash broke off are removed by New. One process uses a directory at a time.
//
// Nothing is written down about who uses what. Within the process an Entry holds its file until Release; beyond it the
// caller tells Prune which images its instances use.
package imagecache
