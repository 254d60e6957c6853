package libvirt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folder is an instance's place on disk:
//
//	disk          the root disk, a qcow2 overlay on the image
//	disk.eph0     the ephemeral disk, raw, ext4 with the label ephemeral0
//	disk.swap     the swap disk, raw
//	console.log   what the serial console said, across stops and starts, bounded (consolelog.go)
//	vnc.sock      the VNC server of the running guest
//	operation     the id of the operation that made the disks
//	started       touched when the guest was started
//
// It exists from Create's first step until Destroy with DestroyDisks, and is renamed away before it is removed, so that
// no half of it is ever found under its name.
type folder string

// trashPrefix marks folders whose removal has begun.
const trashPrefix = ".trash-"

func newFolder(instancesDir, instanceID string) folder {
	return folder(filepath.Join(instancesDir, instanceID))
}

func (f folder) path() string       { return string(f) }
func (f folder) rootDisk() string   { return filepath.Join(string(f), "disk") }
func (f folder) ephemeral() string  { return filepath.Join(string(f), "disk.eph0") }
func (f folder) snapshot() string   { return filepath.Join(string(f), "snapshot.new") }
func (f folder) swap() string       { return filepath.Join(string(f), "disk.swap") }
func (f folder) consoleLog() string { return filepath.Join(string(f), "console.log") }
func (f folder) vncSocket() string  { return filepath.Join(string(f), "vnc.sock") }
func (f folder) operation() string  { return filepath.Join(string(f), "operation") }
func (f folder) started() string    { return filepath.Join(string(f), "started") }

// prepare makes the folder and an empty console log, both of the user that QEMU runs as: QEMU itself creates the VNC
// socket, and opens the log where no virtlogd does it.
func (f folder) prepare(owner fileOwner) error {
	// 0711: QEMU's user must get through to its own folder, and nobody need list the others.
	if err := os.MkdirAll(filepath.Dir(f.path()), 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(f.path(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	log, err := os.OpenFile(f.consoleLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	return errors.Join(owner.take(f.path()), owner.take(f.consoleLog()))
}

// madeBy returns the operation that made the folder's disks, or "" when there is none.
func (f folder) madeBy() (string, error) {
	raw, err := os.ReadFile(f.operation())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(raw), err
}

// startedAt returns when the guest was last started by a driver, or zero.
func (f folder) startedAt() time.Time {
	info, err := os.Stat(f.started())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// noteStart makes startedAt the present, unless the start was noted already.
func (f folder) noteStart() error {
	file, err := os.OpenFile(f.started(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// remove deletes the folder with everything in it. A missing one is success.
func (f folder) remove() error {
	trash := filepath.Join(filepath.Dir(f.path()), trashPrefix+filepath.Base(f.path()))
	if err := os.RemoveAll(trash); err != nil {
		return err
	}
	if err := os.Rename(f.path(), trash); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(trash)
}

// emptyTrash finishes removals that an earlier process began.
func emptyTrash(instancesDir string) error {
	entries, err := os.ReadDir(instancesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var failed error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), trashPrefix) {
			failed = errors.Join(failed, os.RemoveAll(filepath.Join(instancesDir, entry.Name())))
		}
	}
	return errors.Join(err, failed)
}

// fileOwner is the user and group that QEMU runs as; nobody in particular when known is false.
type fileOwner struct {
	known    bool
	uid, gid int
}

// take gives a file to QEMU's user. It does nothing when that is not known, or is who we are.
func (o fileOwner) take(path string) error {
	if !o.known || o.uid == os.Getuid() && o.gid == os.Getgid() {
		return nil
	}
	return os.Chown(path, o.uid, o.gid)
}

// writeFileAtomic replaces a file so that a reader, and a machine that lost its power, sees the old or the new content.
func writeFileAtomic(path string, content []byte, mode fs.FileMode) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	if _, err = temporary.Write(content); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err = errors.Join(temporary.Chmod(mode), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary.Name(), path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
