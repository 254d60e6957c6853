package imagecache

import (
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// freeBytes is what a volume has left for this user.
func freeBytes(dir string) (int64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, &os.PathError{Op: "GetDiskFreeSpaceEx", Path: dir, Err: err}
	}
	return int64(min(free, math.MaxInt64)), nil
}

// onDisk is a file's length: that it is sparse does not show here.
func onDisk(st fs.FileInfo) int64 { return st.Size() }

// syncFolder does nothing: NTFS journals its folders, and Windows has no call to sync one.
func syncFolder(string) error { return nil }
