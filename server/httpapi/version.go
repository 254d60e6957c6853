package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const standardVersionHeader = "Openstack-Api-Version" // in http.Header's canonical form

func (v *Versioning) text(m Microversion) string {
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(int(m))
}

// asked returns the version string that the request's headers ask for, "" when none does. The standard header may list services;
// those of others are skipped, the last one of ours wins, and it wins over the legacy header (api-guide, Microversions).
func (v *Versioning) asked(h http.Header) string {
	lines := h[standardVersionHeader]
	for i := len(lines) - 1; i >= 0; i-- {
		parts := strings.Split(lines[i], ",")
		for j := len(parts) - 1; j >= 0; j-- {
			service, version, ok := strings.Cut(strings.TrimSpace(parts[j]), " ")
			if ok && strings.EqualFold(service, v.Type) {
				return strings.TrimSpace(version)
			}
		}
	}
	if v.LegacyHeader != "" {
		return strings.TrimSpace(h.Get(v.LegacyHeader))
	}
	return ""
}

// versionError is a refusal of the version itself. echo is what the answer's version headers say; "" leaves them out.
type versionError struct {
	status  int
	message string
	echo    string
}

// negotiate returns the microversion of a request.
func (v *Versioning) negotiate(h http.Header) (Microversion, *versionError) {
	asked := v.asked(h)
	switch asked {
	case "":
		return v.Min, nil
	case "latest":
		return v.Max, nil
	}
	major, minor, ok := parseVersion(asked)
	if !ok {
		return 0, &versionError{status: http.StatusBadRequest, message: v.malformed(asked)}
	}
	if major != v.Major || minor < int(v.Min) || minor > int(v.Max) {
		return 0, &versionError{status: http.StatusNotAcceptable, message: v.unacceptable(asked), echo: asked}
	}
	return Microversion(minor), nil
}

func (v *Versioning) malformed(asked string) string {
	if v.placementStyle() {
		return "Invalid microversion: invalid version string: " + asked
	}
	return fmt.Sprintf("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", asked)
}

func (v *Versioning) unacceptable(asked string) string {
	if v.placementStyle() {
		return "Unacceptable version header: " + asked
	}
	return fmt.Sprintf("Version %s is not supported by the API. Minimum is %s and maximum is %s.", asked, v.text(v.Min), v.text(v.Max))
}

// placementStyle tells services that never had a header of their own; their words and their Vary are those of the microversion library.
func (v *Versioning) placementStyle() bool { return v.LegacyHeader == "" }

// parseVersion reads MAJOR.MINOR without signs or leading zeros.
func parseVersion(s string) (major, minor int, ok bool) {
	a, b, found := strings.Cut(s, ".")
	if !found || !digits(a) || !digits(b) || a[0] == '0' || len(b) > 1 && b[0] == '0' {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b)
	return major, minor, err1 == nil && err2 == nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) < 10
}

// stamp puts the version on an answer: two Vary lines, one for each header that chose it.
func (v *Versioning) stamp(h http.Header, version string) {
	h[standardVersionHeader] = []string{v.Type + " " + version}
	if v.placementStyle() {
		h.Add("Vary", "openstack-api-version")
		return
	}
	h.Set(v.LegacyHeader, version)
	h.Add("Vary", "OpenStack-API-Version")
	h.Add("Vary", v.LegacyHeader)
}
