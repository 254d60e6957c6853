package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// AccessRule is a request that a token may make. The zero rule is none.
type AccessRule struct {
	Service string // a service's type: compute, identity, image, placement
	Method  string
	// Path is that of the request, with or without what comes before the service's version. * and {name} stand for a part or a piece of one, ** for anything.
	Path string
}

// AccessRequest is a request as access rules see it.
type AccessRequest struct {
	Service string // type
	Method  string
	Paths   []string // the same path in its spellings, escaped
}

// MaxAccessPath bounds the paths that are compared with rules, in bytes: no path of an API is as long.
const MaxAccessPath = 4096

// AllowsAccess reports whether one of the rules is for the request.
func AllowsAccess(rules []AccessRule, q AccessRequest) bool {
	return slices.ContainsFunc(rules, func(a AccessRule) bool {
		return a.Service != "" && a.Service == q.Service && a.Method == q.Method && slices.ContainsFunc(q.Paths, func(p string) bool { return matchesPath(a.Path, p) })
	})
}

// separator is a slash that separates; one that a path has escaped is part of a name.
const separator rune = -1

// Pieces of patterns.
const (
	somePart rune = -2 - iota // one or more of anything but separators
	anything                  // any number of anything
)

// pathRunes are what an escaped path says.
func pathRunes(escaped string) (out []rune, ok bool) {
	for i, part := range strings.Split(escaped, "/") {
		if i > 0 {
			out = append(out, separator)
		}
		name, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		out = append(out, []rune(name)...)
	}
	return out, true
}

// patternRunes reads a rule's path. A brace without its fellow stands for itself.
func patternRunes(pattern string) []rune {
	var out []rune
	for pattern != "" {
		switch end := strings.IndexByte(pattern, '}'); {
		case strings.HasPrefix(pattern, "**"):
			out, pattern = append(out, anything), pattern[2:]
		case pattern[0] == '*':
			out, pattern = append(out, somePart), pattern[1:]
		case pattern[0] == '{' && end > 0:
			out, pattern = append(out, somePart), pattern[end+1:]
		case pattern[0] == '/':
			out, pattern = append(out, separator), pattern[1:]
		default:
			r, size := utf8.DecodeRuneInString(pattern)
			out, pattern = append(out, r), pattern[size:]
		}
	}
	return out
}

// matchesPath compares a whole path. It takes time in proportion to the two lengths' product.
func matchesPath(pattern, escaped string) bool {
	if len(escaped) > MaxAccessPath {
		return false
	}
	path, ok := pathRunes(escaped)
	if !ok {
		return false
	}
	at := make([]bool, len(path)+1) // which beginnings of the path the pattern up to here stands for
	at[0] = true
	for _, p := range patternRunes(pattern) {
		next := make([]bool, len(path)+1)
		for i := range at {
			switch p {
			case anything:
				next[i] = at[i] || i > 0 && next[i-1]
			case somePart:
				next[i] = i > 0 && path[i-1] != separator && (at[i-1] || next[i-1])
			default:
				next[i] = i > 0 && path[i-1] == p && at[i-1]
			}
		}
		at = next
	}
	return at[len(path)]
}

// permits reports whether a token is for a request: one without access rules is for all. Whoever has a token may ask what it is.
func (t *Token) permits(s *Service, r *http.Request) bool {
	if t.AccessRules == nil {
		return true
	}
	path := r.URL.EscapedPath()
	q := AccessRequest{Service: strings.TrimSuffix(s.Name, "-versions"), Method: r.Method, Paths: []string{path}}
	if q.Service == "identity" && q.Method == http.MethodGet && path == s.Prefix+"/auth/tokens" {
		return true
	}
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		q.Paths = append(q.Paths, path[1+i:]) // clients know /v2.1/servers, where Nova is not below /compute
	}
	return AllowsAccess(t.AccessRules, q)
}
