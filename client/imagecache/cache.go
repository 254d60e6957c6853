package imagecache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	partialFolder = "partial"
	partSuffix    = ".part"
	originSuffix  = ".img"
	// FormatNone in a driver's formats says that it needs no image file at all (the fake driver).
	FormatNone = "none"
)

// Config is what a Cache needs. Zero values of the durations and numbers mean the defaults named.
type Config struct {
	// Dir is made when missing.
	Dir string
	// Fetch opens an image's bytes. An error that wraps ErrBusy is no failure: it is asked again a little later, for as long as a Get waits.
	Fetch func(ctx context.Context, ask Ask) (*Stream, error)
	// Fetched is told the SHA-512 of an image whose bytes have come whole and can be had by OpenOrigin. It must not wait; nil tells nobody.
	Fetched func(sha512 string)
	// QemuImg is the program that converts; "" is qemu-img in PATH, looked up when first needed.
	QemuImg string
	// ConvertTimeout bounds one conversion; 0 is 30 minutes.
	ConvertTimeout time.Duration
	// Attempts is how often in a row Fetch may bring no byte before Get gives up; 0 is 5.
	Attempts int
	// Backoff is the pause after the first fruitless attempt, doubled after each further one; 0 is 200 ms. While the source is busy the pauses grow to ten times that.
	Backoff time.Duration
	// Stall is how long a stream may bring nothing before it counts as broken; 0 is 30 s.
	Stall time.Duration
	// ReserveBytes of the file system are never used; 0 is 64 MiB, negative is none.
	ReserveBytes int64
	// Logger may be nil.
	Logger hclog.Logger
}

// Ask is what the cache wants of Config.Fetch.
type Ask struct {
	SHA512 string
	Size   int64 // of the whole
	Offset int64 // where to begin
	// Avoid are the sources (Stream.From) that this fetch has used already: their streams broke off, or with Sure, some of them brought wrong bytes.
	Avoid []string
	// Sure asks for bytes that can be relied on: what came before was not the image.
	Sure bool
}

// Stream is an image's bytes from the offset on that was asked for.
type Stream struct {
	io.ReadCloser
	Size int64  // of the whole; negative when the source does not say
	From string // names a source that is asked only once in a fetch; "" is one that may be asked again
}

// ErrBusy says that a source has no time now.
var ErrBusy = errors.New("busy")

// Image is what the cache must know of an image; ImageOf takes it from the stored entity.
type Image struct {
	ID          string
	SHA512      string // lower-case hex
	Size        int64  // bytes of the file
	DiskFormat  string // Glance's word
	VirtualSize int64  // bytes of the disk inside, 0 when not known
}

// ImageOf takes what the cache must know from an image's metadata.
func ImageOf(i *structs.Image) Image {
	return Image{ID: string(i.ID), SHA512: i.SHA512, Size: i.Size, DiskFormat: i.DiskFormat, VirtualSize: i.VirtualSize}
}

// Cache is safe for concurrent use.
type Cache struct {
	cfg     Config
	log     hclog.Logger
	flights group
	room    func(dir string) (int64, error) // free bytes of dir's file system; replaced in tests

	mu      sync.Mutex
	refs    map[string]int  // by path: entries not yet released. Guards the removal of files too
	pending int64           // bytes promised to fetches and conversions and not yet written
	inUse   map[string]bool // what Prune was last told, at told; nil before
	told    time.Time
}

// Entry is an image on this host's disk. It stays until Release.
type Entry struct {
	Path        string // read-only; "" when Format is FormatNone
	Format      string // one of those wanted
	SHA512      string // of the image's bytes as the servers have them, not of the converted file
	VirtualSize int64  // bytes of the disk inside
	release     func()
}

// Release lets Prune remove the file again, unless the caller names its image as in use. Further calls do nothing.
func (e *Entry) Release() { e.release() }

// New returns the cache in cfg.Dir and removes what crashed conversions left there.
func New(cfg Config) (*Cache, error) {
	if cfg.Fetch == nil {
		return nil, errors.New("image cache: Config.Fetch is not set")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("image cache: %w", err)
	}
	cfg.Dir = dir
	cfg.ConvertTimeout = orDefault(cfg.ConvertTimeout, 30*time.Minute)
	cfg.Backoff = orDefault(cfg.Backoff, 200*time.Millisecond)
	cfg.Stall = orDefault(cfg.Stall, 30*time.Second)
	cfg.Attempts = orDefault(cfg.Attempts, 5)
	cfg.ReserveBytes = max(orDefault(cfg.ReserveBytes, 64<<20), 0)
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(filepath.Join(dir, partialFolder), 0o700); err != nil {
		return nil, fmt.Errorf("image cache: %w", err)
	}
	// The hypervisor may run as another user: it must reach the files, which carry modes of their own.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("image cache: %w", err)
	}
	c := &Cache{cfg: cfg, log: cfg.Logger, room: freeBytes, refs: map[string]int{}}
	return c, c.clearPartial()
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// clearPartial removes conversions that a crash broke off, and whatever else is no fetch that can go on.
func (c *Cache) clearPartial() error {
	left, err := os.ReadDir(filepath.Join(c.cfg.Dir, partialFolder))
	if err != nil {
		return fmt.Errorf("image cache: %w", err)
	}
	for _, e := range left {
		if sha, ok := strings.CutSuffix(e.Name(), partSuffix); ok && validHash(sha) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.cfg.Dir, partialFolder, e.Name())); err != nil {
			return fmt.Errorf("image cache: %w", err)
		}
		c.log.Info("removed an unfinished conversion", "file", e.Name())
	}
	return nil
}

// validHash reports whether sha can be part of a path.
func validHash(sha string) bool {
	return len(sha) == 128 && strings.Trim(sha, "0123456789abcdef") == ""
}

func (c *Cache) originPath(sha string) string { return filepath.Join(c.cfg.Dir, sha+originSuffix) }
func (c *Cache) partPath(sha string) string {
	return filepath.Join(c.cfg.Dir, partialFolder, sha+partSuffix)
}

// Get returns the image in one of the formats wanted, in the driver's order of preference: as it is when its own format is
// among them, else converted to the first that can be written. It fetches what is not there; Gets of one image at the same
// time share the work, which ends when the last of them does. FormatNone among the formats fetches nothing.
//
// Errors: KindInvalid for an image that is not active or that names other files, KindNoCapacity for a disk without room (with
// the figures), KindUnavailable when the bytes cannot be had whole, KindNotSupported when no format can be made here,
// KindTimeout when a conversion took too long, and ctx's own.
func (c *Cache) Get(ctx context.Context, img Image, wantFormats []string) (*Entry, error) {
	if slices.Contains(wantFormats, FormatNone) {
		return &Entry{Format: FormatNone, SHA512: img.SHA512, VirtualSize: img.VirtualSize, release: func() {}}, nil
	}
	if !validHash(img.SHA512) || img.Size < 0 {
		return nil, structs.Errorf(structs.KindInvalid, "Image %s has no data: its SHA-512 is %q. Wait until it is active.", img.ID, img.SHA512)
	}
	format, convert, err := choose(img.DiskFormat, wantFormats)
	if err != nil {
		return nil, err
	}
	path, make := c.originPath(img.SHA512), func(ctx context.Context) error {
		err := c.fetch(ctx, img)
		if err == nil && c.cfg.Fetched != nil {
			c.cfg.Fetched(img.SHA512)
		}
		return err
	}
	if convert {
		path = filepath.Join(c.cfg.Dir, img.SHA512+"."+format)
		make = func(ctx context.Context) error { return c.convert(ctx, img, format, path) }
	}
	for {
		if e := c.hold(path, img, format, convert); e != nil {
			return c.finish(ctx, e, img, convert)
		}
		if err := c.flights.do(ctx, path, make); err != nil {
			return nil, err
		}
	}
}

// OpenOrigin opens an image's bytes, as the servers have them, for reading: whole and once checked. The file stays until the reader is closed, and counts as used.
// KindNotFound when it is not here, as with an image that was converted.
func (c *Cache) OpenOrigin(sha512 string) (r io.ReadSeekCloser, size int64, err error) {
	none := structs.Errorf(structs.KindNotFound, "this host has no image with the SHA-512 %q", sha512)
	if !validHash(sha512) {
		return nil, 0, none
	}
	path := c.originPath(sha512)
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, none
	}
	if err != nil {
		return nil, 0, c.diskError(err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, c.diskError(err)
	}
	c.refs[path]++
	c.used(path)
	return &origin{File: f, letGo: sync.OnceFunc(func() { c.letGo(path) })}, st.Size(), nil
}

// origin is an original file that is held while it is read.
type origin struct {
	*os.File
	letGo func()
}

func (o *origin) Close() error {
	defer o.letGo()
	return o.File.Close()
}

// hold returns an entry for a file that is there and keeps Prune away from it, or nil.
func (c *Cache) hold(path string, img Image, format string, converted bool) *Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || !converted && st.Size() != img.Size {
		return nil
	}
	c.refs[path]++
	c.used(path)
	var once sync.Once
	return &Entry{Path: path, Format: format, SHA512: img.SHA512, release: func() { once.Do(func() { c.letGo(path) }) }}
}

func (c *Cache) letGo(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs[path]--; c.refs[path] <= 0 {
		delete(c.refs, path)
	}
	c.used(path)
}

// used notes the time of use, which Prune goes by: the file's modification time.
func (c *Cache) used(path string) {
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("cannot note the use of a cached image", "file", path, "error", err)
	}
}

// finish fills in the disk's size and refuses what a hypervisor must not open.
func (c *Cache) finish(ctx context.Context, e *Entry, img Image, converted bool) (*Entry, error) {
	size, err := c.virtualSize(ctx, e, img, converted)
	if err != nil {
		e.Release()
		return nil, err
	}
	e.VirtualSize = size
	return e, nil
}

func (c *Cache) virtualSize(ctx context.Context, e *Entry, img Image, converted bool) (int64, error) {
	if !converted {
		if err := checkQCOW2(e.Path); err != nil {
			return 0, structs.Errorf(structs.KindInvalid, "Image %s %s", img.ID, err.Error())
		}
	}
	if img.VirtualSize > 0 {
		return img.VirtualSize, nil
	}
	if e.Format == "raw" || e.Format == "iso" {
		st, err := os.Stat(e.Path)
		if err != nil {
			return 0, fmt.Errorf("image cache: %w", err)
		}
		return st.Size(), nil
	}
	info, err := c.info(ctx, e.Path, e.Format)
	if err != nil {
		return 0, err
	}
	return info.VirtualSize, nil
}
