package libvirt

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// fenceMemory is how long a fencing record outlives the instance's last call. A call that was delayed for longer than
// this is not expected.
const fenceMemory = 30 * 24 * time.Hour

// fences remembers, for each instance, the highest generation seen and the last call completed, also when the guest is
// gone and when the driver starts again. It is no inventory: losing it loses no guest, and a guest's own metadata still says
// with which generation it was made.
type fences struct {
	dir string

	mu      sync.Mutex
	records map[string]fenceRecord // what is on disk, as far as it was read
}

type fenceRecord struct {
	Generation uint64 `json:"generation"`
	// Done is the last call that was completed, as method/operation.
	Done string `json:"done,omitempty"`
}

// openFences makes the folder and forgets records that nobody can need any more.
func openFences(stateDir string) (*fences, error) {
	f := &fences{dir: filepath.Join(stateDir, "fence"), records: map[string]fenceRecord{}}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > fenceMemory {
			err = os.Remove(filepath.Join(f.dir, entry.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return f, nil
}

func (f *fences) path(instanceID string) string { return filepath.Join(f.dir, instanceID) }

// read returns the record, or a zero one; always that for an id that cannot name a guest, nor a file. The caller holds mu.
func (f *fences) read(instanceID string) (fenceRecord, error) {
	if !isInstanceID(instanceID) {
		return fenceRecord{}, nil
	}
	if record, known := f.records[instanceID]; known {
		return record, nil
	}
	raw, err := os.ReadFile(f.path(instanceID))
	if errors.Is(err, fs.ErrNotExist) {
		return fenceRecord{}, nil
	}
	record := fenceRecord{}
	if err == nil {
		err = json.Unmarshal(raw, &record)
	}
	if err != nil {
		return record, driver.Errorf(driver.KindInternal, "fencing record of instance %s: %v; the file %s may be removed when "+
			"no call of an older generation can be under way", instanceID, err, f.path(instanceID))
	}
	f.records[instanceID] = record
	return record, nil
}

// write makes the record durable before it is believed. The caller holds mu.
func (f *fences) write(instanceID string, record fenceRecord) error {
	raw, err := json.Marshal(record)
	if err == nil {
		err = writeFileAtomic(f.path(instanceID), raw, 0o600)
	}
	if err != nil {
		return fileError(describe("write the fencing record of", instanceID), err)
	}
	f.records[instanceID] = record
	return nil
}

// check refuses, with ErrConflict, a generation lower than the highest seen.
func (f *fences) check(ref driver.InstanceRef) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	record, err := f.read(ref.InstanceID)
	if err == nil && ref.Generation < record.Generation {
		err = stale(ref, record.Generation)
	}
	return err
}

// admit is check that remembers a higher generation. made is the generation in the guest's own metadata, which counts as
// seen also when the records were lost; 0 for no guest.
func (f *fences) admit(ref driver.InstanceRef, made uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	record, err := f.read(ref.InstanceID)
	if err != nil {
		return err
	}
	if seen := max(record.Generation, made); ref.Generation < seen {
		return stale(ref, seen)
	}
	if ref.Generation == record.Generation {
		return nil
	}
	record.Generation = ref.Generation
	return f.write(ref.InstanceID, record)
}

func stale(ref driver.InstanceRef, seen uint64) error {
	return conflict("instance %s: generation %d is stale, this host has seen %d; the instance was placed anew since",
		ref.InstanceID, ref.Generation, seen)
}

// generation returns the highest generation seen, 0 when none was.
func (f *fences) generation(instanceID string) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	record, err := f.read(instanceID)
	return record.Generation, err
}

// done says whether this call is a repetition of the last one that was completed.
func (f *fences) done(ref driver.InstanceRef, method string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	record, err := f.read(ref.InstanceID)
	return ref.OperationID != "" && record.Done == method+"/"+ref.OperationID, err
}

// note remembers that the call is completed.
func (f *fences) note(ref driver.InstanceRef, method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	record, err := f.read(ref.InstanceID)
	if err != nil {
		return err
	}
	record.Done = method + "/" + ref.OperationID
	return f.write(ref.InstanceID, record)
}
