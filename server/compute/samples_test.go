package compute_test

import (
	"slices"
	"strings"
	"testing"
)

// TestSamples sends each request of Nova's API samples and compares the answers with Nova's. testdata/samples-missing.txt names the samples that
// are not right yet; the list can only get shorter: a sample that is right may not be on it, and one that is not must be.
func TestSamples(t *testing.T) {
	t.Parallel()
	files := sampleFiles(t)
	missing := map[string]string{}
	for _, f := range lines(t, "testdata/samples-missing.txt") {
		if len(f) != 2 || strings.TrimSpace(f[1]) == "" || !files[f[0]] {
			t.Fatalf("%q is not a sample, a tab and a reason", f)
		}
		missing[f[0]] = f[1]
	}
	seen := map[string]bool{}
	for _, rows := range sampleTables {
		for _, row := range rows {
			cases := row.cases(files)
			if len(cases) == 0 {
				t.Errorf("there is no sample for %s %s %s", row.folder, row.req, row.resp)
			}
			for _, c := range cases {
				for _, f := range c.files {
					seen[f] = true
				}
				listed := slices.ContainsFunc(c.files, func(f string) bool { return missing[f] != "" })
				t.Run(c.name(), func(t *testing.T) {
					t.Parallel()
					wrong := c.try(t)
					if listed && len(wrong) == 0 {
						t.Errorf("%s is right: take it out of samples-missing.txt", c.files)
					}
					report := t.Errorf
					if listed {
						report = t.Logf
					}
					if len(wrong) > 0 {
						report("%s as %s: %s", c.ask, c.files, strings.Join(wrong, "; "))
					}
				})
			}
		}
	}
	for f := range files {
		if !seen[f] && missing[f] == "" {
			t.Errorf("%s is neither tried nor in samples-missing.txt", f)
		}
	}
}
