package blob

// syncFolder does nothing: NTFS journals its folders, and Windows has no call to sync one.
func syncFolder(string) error { return nil }
