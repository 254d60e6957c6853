package image

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// test judges one image by one query parameter.
type test func(*structs.Image) bool

// filter is all that a list asks of an image.
type filter []test

func (f filter) match(i *structs.Image) bool {
	for _, t := range f {
		if !t(i) {
			return false
		}
	}
	return true
}

// notFilters are parameters with another meaning.
var notFilters = []string{"limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "deleted"}

// newFilter reads every other parameter: an attribute's name, or any property's.
func newFilter(t *httpapi.Token, q url.Values) (filter, error) {
	var f filter
	if status := q.Get("member_status"); q.Has("member_status") && !slices.Contains([]string{"pending", "accepted", "rejected", "all"}, status) {
		return nil, httpapi.BadRequest("Invalid status: %s", status)
	}
	scope, err := visibilityFilter(t, q.Get("visibility"))
	if err != nil {
		return nil, err
	}
	f = append(f, scope)
	if !q.Has("os_hidden") {
		f = append(f, func(i *structs.Image) bool { return !i.Hidden })
	}
	for key, values := range q {
		if key == "visibility" || slices.Contains(notFilters, key) {
			continue
		}
		if key != "tag" {
			values = values[len(values)-1:]
		}
		for _, v := range values {
			one, err := newTest(key, v)
			if err != nil {
				return nil, err
			}
			f = append(f, one)
		}
	}
	return f, nil
}

// visibilityFilter leaves other projects' community images out unless they are asked for.
func visibilityFilter(t *httpapi.Token, want string) (test, error) {
	switch want {
	case "":
		return func(i *structs.Image) bool {
			return i.Visibility != "community" || t.ProjectID != "" && i.ProjectID == t.ProjectID
		}, nil
	case "all":
		return func(*structs.Image) bool { return true }, nil
	case "community", "public", "private", "shared":
		return func(i *structs.Image) bool { return i.Visibility == want }, nil
	}
	return nil, httpapi.BadRequest("Invalid visibility value: %s", want)
}

// texts are the attributes that can be compared with one of several words (in:).
var texts = map[string]func(*structs.Image) string{
	"id":               func(i *structs.Image) string { return string(i.ID) },
	"name":             func(i *structs.Image) string { return i.Name },
	"status":           func(i *structs.Image) string { return string(i.Status) },
	"container_format": func(i *structs.Image) string { return i.ContainerFormat },
	"disk_format":      func(i *structs.Image) string { return i.DiskFormat },
}

// words are the attributes that are compared as they are.
var words = map[string]func(*structs.Image) string{
	"owner":         func(i *structs.Image) string { return string(i.ProjectID) },
	"checksum":      func(i *structs.Image) string { return i.MD5 },
	"os_hash_value": func(i *structs.Image) string { return i.SHA512 },
	"os_hash_algo": func(i *structs.Image) string {
		if i.SHA512 == "" {
			return ""
		}
		return hashAlgorithm
	},
}

// numbers are the attributes with NAME_min and NAME_max.
var numbers = map[string]func(*structs.Image) int64{
	"size":         func(i *structs.Image) int64 { return i.Size },
	"virtual_size": func(i *structs.Image) int64 { return i.VirtualSize },
	"min_ram":      func(i *structs.Image) int64 { return i.MinMemoryMiB },
	"min_disk":     func(i *structs.Image) int64 { return i.MinDiskGiB },
}

func newTest(key, value string) (test, error) {
	if get := texts[key]; get != nil {
		return textTest(get, value)
	}
	if get := words[key]; get != nil {
		return func(i *structs.Image) bool { return get(i) == value }, nil
	}
	if get, bound := numbers[strings.TrimSuffix(strings.TrimSuffix(key, "_min"), "_max")], key; get != nil {
		return numberTest(get, bound, value)
	}
	switch key {
	case "created_at":
		return timeTest(key, value, func(i *structs.Image) structs.Time { return i.CreatedAt })
	case "updated_at":
		return timeTest(key, value, func(i *structs.Image) structs.Time { return i.UpdatedAt })
	case "protected":
		return boolTest(key, value, func(i *structs.Image) bool { return i.Protected })
	case "os_hidden":
		return boolTest(key, strings.ToLower(value), func(i *structs.Image) bool { return i.Hidden })
	case "tag":
		tag := strings.TrimSpace(value)
		return func(i *structs.Image) bool { return slices.Contains(i.Tags, tag) }, nil
	case "changes-since":
		return nil, httpapi.BadRequest(`The "changes-since" filter is no longer available on v2.`)
	}
	return func(i *structs.Image) bool {
		v, ok := i.Properties[key]
		return ok && v == value
	}, nil
}

func textTest(get func(*structs.Image) string, value string) (test, error) {
	op, rest, found := strings.Cut(value, ":")
	switch {
	case !found:
		return func(i *structs.Image) bool { return get(i) == value }, nil
	case op == "eq":
		return func(i *structs.Image) bool { return get(i) == rest }, nil
	case op == "in":
		list, err := splitList(rest)
		if err != nil {
			return nil, err
		}
		return func(i *structs.Image) bool { return slices.Contains(list, get(i)) }, nil
	}
	return nil, httpapi.BadRequest("Unable to filter by unknown operator '%s'.", op)
}

// splitList splits at commas; a value in double quotes may have commas, and \" and \\ in it.
func splitList(s string) ([]string, error) {
	bad := func() ([]string, error) {
		return nil, httpapi.BadRequest("Invalid filter value '%s'. Put commas between values, and values with commas in double quotes.", s)
	}
	var out []string
	for {
		var value string
		if rest, quoted := strings.CutPrefix(s, `"`); quoted {
			end := closingQuote(rest)
			if end < 0 {
				return bad()
			}
			value, s = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(rest[:end]), rest[end+1:]
			if s != "" && s[0] != ',' {
				return bad()
			}
		} else {
			end := strings.IndexByte(s, ',')
			if end < 0 {
				end = len(s)
			}
			if value, s = s[:end], s[end:]; strings.Contains(value, `"`) {
				return bad()
			}
		}
		out = append(out, value)
		if s == "" {
			return out, nil
		}
		s = s[1:]
	}
}

// closingQuote returns where a quoted value ends, -1 when it does not.
func closingQuote(s string) int {
	for n := 0; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case '"':
			return n
		}
	}
	return -1
}

func numberTest(get func(*structs.Image) int64, key, value string) (test, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return nil, httpapi.BadRequest("Unable to filter on a range with a non-numeric value.")
	}
	switch {
	case strings.HasSuffix(key, "_min"):
		return func(i *structs.Image) bool { return get(i) >= n }, nil
	case strings.HasSuffix(key, "_max"):
		return func(i *structs.Image) bool { return get(i) <= n }, nil
	}
	return func(i *structs.Image) bool { return get(i) == n }, nil
}

func boolTest(key, value string, get func(*structs.Image) bool) (test, error) {
	if value != "true" && value != "false" {
		return nil, httpapi.BadRequest("Invalid value '%s' for '%s' filter. Valid values are 'true' or 'false'.", value, key)
	}
	return func(i *structs.Image) bool { return get(i) == (value == "true") }, nil
}

// comparisons are the operators on times.
var comparisons = map[string]func(int) bool{
	"gt": func(c int) bool { return c > 0 }, "gte": func(c int) bool { return c >= 0 }, "lt": func(c int) bool { return c < 0 },
	"lte": func(c int) bool { return c <= 0 }, "eq": func(c int) bool { return c == 0 }, "neq": func(c int) bool { return c != 0 },
}

func timeTest(key, value string, get func(*structs.Image) structs.Time) (test, error) {
	op := "eq"
	at, err := parseTime(value)
	if err != nil {
		var rest string
		op, rest, _ = strings.Cut(value, ":")
		if at, err = parseTime(rest); err != nil {
			return nil, httpapi.BadRequest("Bad \"%s\" query filter format. Use ISO 8601 DateTime notation.", key)
		}
	}
	holds := comparisons[op]
	if holds == nil {
		return nil, httpapi.BadRequest("Unable to filter by unknown operator '%s'.", op)
	}
	return func(i *structs.Image) bool { return holds(seconds(get(i)).Compare(at)) }, nil
}

// parseTime reads ISO 8601 with or without zone (then UTC), time or fraction.
func parseTime(s string) (time.Time, error) {
	var t time.Time
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return t, err
}
