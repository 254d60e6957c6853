// Package lint holds the rules of this code that the compiler does not know, as tests. A rule that fails says what to do.
package lint
