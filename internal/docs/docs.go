// Package docs keeps the generated pages of website/docs true, as tests: one fails while a page is not what the code makes of it. `make docs` writes them.
package docs
