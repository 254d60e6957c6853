package image

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// withoutEmptySuffixes returns the request with each range of the last 0 bytes ("-0") replaced by one that begins after the data: neither
// can be satisfied (RFC 9110, 14.1.2), and http.ServeContent, which does the rest, knows that of the second alone.
func withoutEmptySuffixes(r *http.Request, size int64) *http.Request {
	list, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok {
		return r
	}
	ranges, changed := strings.Split(list, ","), false
	for i, one := range ranges {
		length, ok := strings.CutPrefix(strings.TrimSpace(one), "-")
		if n, err := strconv.ParseInt(strings.TrimSpace(length), 10, 64); ok && err == nil && n == 0 {
			ranges[i], changed = strconv.FormatInt(size, 10)+"-", true
		}
	}
	if !changed {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Set("Range", "bytes="+strings.Join(ranges, ","))
	return r
}

// rangeWriter holds back http.ServeContent's 416, which is plain text, so that the service can answer one in its own form.
type rangeWriter struct {
	http.ResponseWriter
	refused bool
}

func (w *rangeWriter) WriteHeader(status int) {
	if w.refused = status == http.StatusRequestedRangeNotSatisfiable; !w.refused {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// notSatisfiable is the 416 for data of that size. It takes back the headers that describe the data.
func (w *rangeWriter) notSatisfiable(size int64) error {
	h := w.Header()
	err := httpapi.Statusf(http.StatusRequestedRangeNotSatisfiable, "No range asked for lies within the image's %d bytes.", size)
	if h.Get("Content-Range") == "" { // ServeContent could not read the ranges
		err.Message = "This is not a valid Range header: bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH is right."
	}
	for _, name := range []string{"Content-MD5", "Etag", "X-Content-Type-Options"} {
		h.Del(name)
	}
	err.Header = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", size)}}
	return err
}
