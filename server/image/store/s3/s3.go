// Package s3 keeps the bytes of images in a bucket of an S3-compatible server, each under the SHA-512 of its bytes. Images with the same bytes share one object.
// An object goes some time after the last image that names it: the leader sweeps the bucket.
package s3

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// Options are a store's settings.
type Options struct {
	ID          string
	Description string
	Endpoint    string // URL of the server
	Bucket      string
	Region      string
	AccessKey   string
	SecretKey   string
	PathStyle   bool   // the bucket is in the path and not in the host's name
	Prefix      string // before every object's name
	// Timeout is how long the server may take to answer at all; 0 is 30 s.
	Timeout time.Duration
	// PartSize is how many bytes go at once and are held in memory meanwhile; 0 is 16 MiB.
	PartSize uint64
}

// Store is a bucket. It is safe for concurrent use.
type Store struct {
	opts   Options
	client *minio.Client
}

// CheckEndpoint judges the URL of a server.
func CheckEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New(`is no URL of an S3 server, such as "https://s3.example.org"`)
	}
	return nil
}

// New returns a store; it connects when it is used.
func New(o Options) (*Store, error) {
	if err := CheckEndpoint(o.Endpoint); err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "%q %w", o.Endpoint, err)
	}
	u, _ := url.Parse(o.Endpoint)
	o.Timeout, o.PartSize = cmp.Or(o.Timeout, 30*time.Second), cmp.Or(o.PartSize, 16<<20)
	t, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	t.ResponseHeaderTimeout, t.MaxIdleConnsPerHost, t.Proxy = o.Timeout, 4, nil
	look := minio.BucketLookupDNS
	if o.PathStyle {
		look = minio.BucketLookupPath
	}
	// One try more than none: whoever asks tries again, and an upload's client waits.
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https", Region: cmp.Or(o.Region, "us-east-1"),
		BucketLookup: look, Transport: t, MaxRetries: 2})
	if err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "S3 store %q: %w", o.ID, err)
	}
	return &Store{o, c}, nil
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Sweeper = (*Store)(nil)
)

// Info describes the store.
func (s *Store) Info() store.Info {
	return store.Info{ID: s.opts.ID, Description: s.opts.Description, Type: "s3", Properties: map[string]any{
		"s3_store_large_object_size": s.opts.PartSize >> 20, "s3_store_large_object_chunk_size": s.opts.PartSize >> 20, "s3_store_thread_pools": 1}}
}

// key is the name of the object with these bytes.
func (s *Store) key(sha512 string) string { return s.opts.Prefix + sha512 }

// parts is the most that S3 takes in one upload.
const parts = 10000

// partSize is how many bytes go at once: of a large image more, since there are only so many parts.
func (s *Store) partSize(size int64) uint64 {
	const mib = 1 << 20
	return max(s.opts.PartSize, (uint64(size)/parts/mib+1)*mib)
}

// Put uploads the bytes, also when they are there: an object that was just put is one that no sweep takes. Bytes that are damaged on the way out of the servers'
// store make no object.
func (s *Store) Put(ctx context.Context, core nomadlike.Core, sums nomadlike.BlobSums) ([]structs.ServerID, error) {
	r, size, err := core.Blobs().Open(ctx, sums.SHA512)
	if err != nil {
		return nil, err
	}
	checked := store.Verified(r, size, sums.SHA512)
	defer func() { _ = checked.Close() }()
	_, err = s.client.PutObject(ctx, s.opts.Bucket, s.key(sums.SHA512), struct{ io.Reader }{checked}, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: s.partSize(size), NumThreads: 1, DisableContentSha256: false})
	if err != nil {
		return nil, s.failure(ctx, "take the image", err)
	}
	return nil, nil
}

// Open reads an image's object from its start.
func (s *Store) Open(ctx context.Context, _ nomadlike.Core, i *structs.Image) (io.ReadCloser, int64, error) {
	if i.Size == 0 { // a range of nothing is no range
		return store.Verified(io.NopCloser(strings.NewReader("")), 0, i.SHA512), 0, nil
	}
	core := minio.Core{Client: s.client}
	r, info, _, err := core.GetObject(ctx, s.opts.Bucket, s.key(i.SHA512), minio.GetObjectOptions{})
	if err != nil {
		return nil, 0, s.failure(ctx, "give the image", err)
	}
	if info.Size != i.Size {
		_ = r.Close()
		return nil, 0, structs.Errorf(structs.KindUnavailable, "the store %q has %d bytes of image %s and should have %d", s.opts.ID, info.Size, i.ID, i.Size)
	}
	return store.Verified(r, i.Size, i.SHA512), i.Size, nil
}

// failure words an error: what is not there is KindNotFound, all else KindUnavailable, since the image and the request are right.
func (s *Store) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if own := new(structs.Error); errors.As(err, &own) {
		return own
	}
	r := minio.ToErrorResponse(err)
	if r.StatusCode == http.StatusNotFound && r.Code != "NoSuchBucket" {
		return structs.Errorf(structs.KindNotFound, "the store %q does not have the image", s.opts.ID)
	}
	return structs.Errorf(structs.KindUnavailable, "the store %q cannot %s now: %s", s.opts.ID, what, cmp.Or(r.Code, "it does not answer"))
}

// sweepAge is how long an object stays at least: an upload puts its object before its image names it.
const sweepAge = time.Hour

// Sweep removes the objects that were put more than age ago and that no image names, and uploads that were broken off before. None is removed while data arrive
// anywhere: they could be the same.
func (s *Store) Sweep(ctx context.Context, core nomadlike.Core, age time.Duration) (removed int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	age = cmp.Or(age, sweepAge)
	old := time.Now().Add(-age)
	for o := range s.client.ListObjectsIter(ctx, s.opts.Bucket, minio.ListObjectsOptions{Prefix: s.opts.Prefix, Recursive: true}) {
		if o.Err != nil {
			return removed, s.failure(ctx, "list its images", o.Err)
		}
		sha := strings.TrimPrefix(o.Key, s.opts.Prefix)
		if len(sha) != 128 || o.LastModified.After(old) { // what is not ours is left alone
			continue
		}
		rd, err := core.Read(ctx)
		if err != nil || busy(rd) {
			return removed, err
		}
		if s.named(rd, sha) {
			continue
		}
		if err := s.client.RemoveObject(ctx, s.opts.Bucket, o.Key, minio.RemoveObjectOptions{}); err != nil {
			return removed, s.failure(ctx, "remove an image", err)
		}
		removed++
	}
	return removed, s.endUploads(ctx, core, old)
}

// endUploads removes what uploads left that were broken off before.
func (s *Store) endUploads(ctx context.Context, core nomadlike.Core, old time.Time) error {
	var left []string
	for u := range s.client.ListIncompleteUploads(ctx, s.opts.Bucket, s.opts.Prefix, true) { // to its end, or it would wait for us for ever
		if u.Err == nil && u.Initiated.Before(old) { // not every server can list them
			left = append(left, u.Key)
		}
	}
	for _, key := range left {
		rd, err := core.Read(ctx)
		if err != nil || busy(rd) {
			return err
		}
		if err := s.client.RemoveIncompleteUpload(ctx, s.opts.Bucket, key); err != nil {
			return s.failure(ctx, "end an upload", err)
		}
	}
	return nil
}

// busy reports whether data may be on their way into a store.
func busy(rd state.Reader) bool {
	for i := range rd.Images() {
		if i.Status == structs.ImageSaving || i.Status == structs.ImageImporting || i.TaskID != "" {
			return true
		}
	}
	return false
}

// named reports whether an image has its data in the object.
func (s *Store) named(rd state.Reader, sha512 string) bool {
	for i := range rd.Images() {
		if i.SHA512 == sha512 && i.InStore(s.opts.ID) {
			return true
		}
	}
	return false
}
