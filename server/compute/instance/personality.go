package instance

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// personalityFile is a file to inject, as it is asked for up to microversion 2.56. Nova's schema lets either key be missing; its code does not.
type personalityFile struct {
	Path     *string `json:"path"`
	Contents *string `json:"contents"`
}

// injectedFiles judges the files by the limits, in Nova's order: how many, then the longest path, then the largest contents. A path counts by its
// characters, as Nova's code has it, and contents count decoded, as Nova's api-ref has it: its code counts the base64 text.
func injectedFiles(limits structs.QuotaLimits, in []personalityFile) ([]structs.InjectedFile, error) {
	var files []structs.InjectedFile
	var path, contents int64
	for _, f := range in {
		switch {
		case f.Path == nil:
			return nil, httpapi.BadRequest("Bad personality format: missing 'path'")
		case f.Contents == nil:
			return nil, httpapi.BadRequest("Bad personality format: missing 'contents'")
		}
		data, err := decodeBase64(*f.Contents)
		if err != nil {
			return nil, httpapi.BadRequest("Personality content for %s cannot be decoded", *f.Path)
		}
		files = append(files, structs.InjectedFile{Path: *f.Path, Contents: data})
		path, contents = max(path, int64(utf8.RuneCountInString(*f.Path))), max(contents, int64(len(data)))
	}
	over := func(limit, n int64) bool { return limit >= 0 && n > limit }
	switch {
	case over(limits.InjectedFiles, int64(len(files))):
		return nil, structs.Errorf(structs.KindQuota, "Personality file limit exceeded")
	case over(limits.InjectedPathBytes, path):
		return nil, structs.Errorf(structs.KindQuota, "Personality file path exceeds maximum %d", limits.InjectedPathBytes)
	case over(limits.InjectedFileBytes, contents):
		return nil, structs.Errorf(structs.KindQuota, "Personality file content exceeds maximum %d", limits.InjectedFileBytes)
	}
	return files, nil
}

// decodeBase64 decodes what the schema's format base64 lets through: it may be broken into lines.
func decodeBase64(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return -1
		}
		return c
	}, text))
}
