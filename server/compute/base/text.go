package base

// Last returns the last of a parameter's values: of a repeated one, Nova takes that.
func Last(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}
