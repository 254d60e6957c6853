package fake

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Snapshot implements driver.Driver: it writes an empty disk of the guest's root size, which is a valid file of its format
// and sparse.
func (d *Driver) Snapshot(ctx context.Context, req *driver.SnapshotRequest) error {
	if req.Format != "raw" && req.Format != "qcow2" {
		return invalid("snapshot format %q: raw or qcow2 is right", req.Format)
	}
	if err := d.change(ctx, "snapshot", &req.InstanceRef, func(*guest) error { return nil }); err != nil {
		return err
	}
	d.mu.Lock()
	g := d.guests[req.InstanceID]
	if g == nil { // destroyed in between
		d.mu.Unlock()
		return missing(req.InstanceID)
	}
	size := diskSize(g)
	d.mu.Unlock()
	return writeDisk(req.Path, req.Format, size)
}

func diskSize(g *guest) int64 { return max(g.RootGiB, 1) << 30 }

// writeDisk makes the file appear whole or not at all.
func writeDisk(path, format string, size int64) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".fake-disk-*")
	if err != nil {
		return driver.Errorf(driver.KindInvalid, "write %s: %v", path, err)
	}
	defer os.Remove(f.Name()) // gone after the rename
	if format == "qcow2" {
		_, err = f.Write(emptyQcow2(size))
	} else {
		err = f.Truncate(size)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return driver.Errorf(driver.KindExhausted, "write %s: %v", path, err)
	}
	return nil
}

// emptyQcow2 is a version 2 image with nothing allocated: header, refcount table, refcount block and level 1 table, each a
// cluster or more.
func emptyQcow2(size int64) []byte {
	const (
		bits    = 16
		cluster = 1 << bits
		perL1   = cluster * (cluster / 8) // bytes of the disk that one level 1 entry stands for
	)
	l1 := int((size + perL1 - 1) / perL1)
	l1Clusters := (l1*8 + cluster - 1) / cluster
	clusters := 3 + l1Clusters
	b := make([]byte, clusters*cluster)
	be := binary.BigEndian
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 2)
	be.PutUint32(b[20:], bits)
	be.PutUint64(b[24:], uint64(size))
	be.PutUint32(b[36:], uint32(l1))
	be.PutUint64(b[40:], 3*cluster) // level 1 table
	be.PutUint64(b[48:], cluster)   // refcount table
	be.PutUint32(b[56:], 1)
	be.PutUint64(b[cluster:], 2*cluster)
	for i := range clusters {
		be.PutUint16(b[2*cluster+2*i:], 1)
	}
	return b
}

// qcow2Size reads how large the disk in the file is.
func qcow2Size(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 32)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:4]) != "QFI\xfb" {
		return 0, fmt.Errorf("%s is no qcow2 image", filepath.Base(path))
	}
	return int64(binary.BigEndian.Uint64(head[24:])), nil
}
