// Package awssign computes the signatures of requests in Amazon's ways: version 2 and version 4 of the query and REST APIs, and those of S3. It knows no HTTP and no
// clock: who compares a signature decides how old it may be.
package awssign

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what S3's first signature is made of
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Algorithm is what requests of version 4 name.
const Algorithm = "AWS4-HMAC-SHA256"

const terminator = "aws4_request"

// Request is what was signed.
type Request struct {
	Verb     string
	Host     string            // of version 2
	Path     string            // as it was signed
	Params   map[string]string // of the query; in version 2 of a form too
	Headers  map[string]string
	BodyHash string // of version 4: the SHA-256 of the body in hexadecimal, or what stands for it
}

// ErrForm says that a request has no signature that this package knows.
var ErrForm = errors.New("the request is not signed with version 2 or 4")

// Sign returns the signature that the request has when it was signed with the secret, and when it says that it was made: the zero time of one of version 2 that does
// not say it.
func Sign(secret string, r Request) (signature string, at time.Time, err error) {
	if version, there := r.Params["SignatureVersion"]; there {
		if version != "2" {
			return "", time.Time{}, ErrForm
		}
		if text := r.Params["Timestamp"]; text != "" {
			if at, err = ParseTime(text); err != nil {
				return "", time.Time{}, err
			}
		}
		return V2(secret, r), at, nil
	}
	return V4(secret, r)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// V2 is the signature of version 2 with HMAC-SHA256, the only method that is taken.
func V2(secret string, r Request) string {
	text := strings.Join([]string{r.Verb, r.Host, r.Path, query(r.Params, "Signature")}, "\n")
	return base64.StdEncoding.EncodeToString(mac([]byte(secret), text))
}

// V4 is the signature of version 4, of a request whose Authorization header or X-Amz- parameters say what was signed.
func V4(secret string, r Request) (signature string, at time.Time, err error) {
	part, err := parts(r)
	if err != nil {
		return "", at, err
	}
	date := r.Headers["X-Amz-Date"]
	if date == "" {
		date = r.Params["X-Amz-Date"]
	}
	scope := strings.Split(part["Credential"], "/") // access key, day, region, service, terminator
	if len(scope) != 5 || scope[4] != terminator || !strings.HasPrefix(date, scope[1]) {
		return "", at, ErrForm
	}
	if at, err = time.Parse("20060102T150405Z", date); err != nil {
		return "", at, errTime
	}
	signed := part["SignedHeaders"]
	canonical := ""
	if !strings.EqualFold(r.Verb, "POST") { // parameters of a POST are its body
		canonical = query(r.Params, "X-Amz-Signature")
	}
	request := strings.Join([]string{strings.ToUpper(r.Verb), r.Path, canonical, headers(r.Headers, signed), signed, r.BodyHash}, "\n")
	sum := sha256.Sum256([]byte(request))
	text := strings.Join([]string{Algorithm, date, strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")
	return hex.EncodeToString(mac(Key(secret, scope[1], scope[2], scope[3]), text)), at, nil
}

// parts are what a request of version 4 says of its signature: Credential and SignedHeaders.
func parts(r Request) (map[string]string, error) {
	auth := r.Headers["Authorization"]
	if !strings.HasPrefix(auth, Algorithm) {
		if r.Params["X-Amz-Algorithm"] != Algorithm {
			return nil, ErrForm
		}
		return map[string]string{"Credential": r.Params["X-Amz-Credential"], "SignedHeaders": r.Params["X-Amz-SignedHeaders"]}, nil
	}
	out := map[string]string{}
	for _, p := range strings.Split(strings.TrimPrefix(auth, Algorithm), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		out[name] = value
	}
	return out, nil
}

// Key is the key of version 4 for a day, a region and a service.
func Key(secret, day, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, text := range []string{day, region, service, terminator} {
		key = mac(key, text)
	}
	return key
}

// headers are the signed headers in the order in which they are named.
func headers(all map[string]string, signed string) string {
	lower := make(map[string]string, len(all))
	for k, v := range all {
		lower[strings.ToLower(strings.TrimSpace(k))] = strings.Join(strings.Fields(v), " ")
	}
	var b strings.Builder
	for _, name := range strings.Split(signed, ";") {
		if v, there := lower[name]; there {
			b.WriteString(name + ":" + v + "\n")
		}
	}
	if b.Len() == 0 {
		return "\n"
	}
	return b.String()
}

// query is the canonical query: sorted, and escaped as RFC 3986 says.
func query(params map[string]string, without string) string {
	pairs := make([]string, 0, len(params))
	for k, v := range params {
		if k != without {
			pairs = append(pairs, escape(k)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// S3 is the signature of what S3 signs, given as the very text: HMAC-SHA1 of its first way, or version 4's for s3, iam and sts.
func S3(secret, text string) (string, error) {
	if !strings.HasPrefix(text, "AWS4") {
		h := hmac.New(sha1.New, []byte(secret))
		h.Write([]byte(text))
		return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != Algorithm {
		return "", ErrForm
	}
	scope := strings.Split(lines[2], "/") // day, region, service, terminator
	if len(scope) != 4 || scope[3] != terminator || !slices.Contains([]string{"s3", "iam", "sts"}, scope[2]) {
		return "", ErrForm
	}
	return hex.EncodeToString(mac(Key(secret, scope[0], scope[1], scope[2]), text)), nil
}

// Equal compares signatures in constant time.
func Equal(a, b string) bool { return a != "" && hmac.Equal([]byte(a), []byte(b)) }

var errTime = errors.New("the request's time is none")

// ParseTime reads a request's time: ISO 8601 with or without its signs; without a zone it is UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{"20060102T150405Z", time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errTime
}
