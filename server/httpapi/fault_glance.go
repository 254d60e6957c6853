package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// glanceFault words a failure as Glance's WSGI library does: HTML for who accepts that, or anything, as browsers, curl and the glance client; JSON, whose code
// is text, for who asks for it; and text for who accepts neither. The clients take the message out of each in their own way, so that the form has to be right.
func glanceFault(f fault) (contentType string, body []byte) {
	status := strconv.Itoa(f.status) + " " + http.StatusText(f.status)
	const end = "<br /><br />\n\n\n"
	switch acceptedFault(f.accept) {
	case "text/html":
		return "text/html; charset=UTF-8", fmt.Appendf(nil, "<html>\n <head>\n  <title>%[1]s</title>\n </head>\n <body>\n  <h1>%[1]s</h1>\n  %[2]s\n </body>\n</html>",
			status, html.EscapeString(f.message)+end)
	case "application/json":
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(struct { // of strings: it cannot fail
			Message string `json:"message"`
			Code    string `json:"code"`
			Title   string `json:"title"`
		}{f.message + end, status, http.StatusText(f.status)})
		return "application/json", bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	}
	return "text/plain; charset=UTF-8", []byte(status + "\n\n" + untagged(f.message+end))
}

var (
	lineBreak = regexp.MustCompile(`(?i)<br.*?>`)
	anyTag    = regexp.MustCompile(`(?s)<.*?>`)
)

// untagged is a text whose lines end where tags say so.
func untagged(s string) string {
	s = strings.NewReplacer("\n", " ", "\r", "").Replace(s)
	return anyTag.ReplaceAllString(lineBreak.ReplaceAllString(s, "\n"), "")
}

// acceptedFault is the one of the two forms of a fault that an Accept header likes best, HTML before JSON when it likes both alike, or "" when it likes neither.
// None, and one that cannot be read, likes both (RFC 9110, 12.5.1). That is webob's choice but for the empty one, for which it makes text: the openstack client,
// which sends it with changes of images, takes no message out of text.
func acceptedFault(accept string) string {
	if strings.TrimSpace(accept) == "" {
		return "text/html"
	}
	best, most := "", 0.0
	for _, offer := range []string{"text/html", "application/json"} {
		q, ok := quality(accept, offer)
		if !ok {
			return "text/html"
		}
		if q > most {
			best, most = offer, q
		}
	}
	return best
}

// quality is what an Accept header gives for a type, by its most specific range; not ok when it is no Accept header.
func quality(accept, offer string) (float64, bool) {
	kind, _, _ := strings.Cut(offer, "/")
	given, specific := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil || !strings.Contains(mediaType, "/") {
			return 0, false
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
				return 0, false
			}
			delete(params, "q")
		}
		if rank := map[string]int{"*/*": 1, kind + "/*": 2, offer: 3}[mediaType]; rank > specific && len(params) == 0 {
			given, specific = q, rank
		}
	}
	return given, true
}
