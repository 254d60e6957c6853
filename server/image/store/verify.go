package store

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Verified reads r, which should have size bytes with that SHA-512. While they do not, the last of them are not given, but an error: nobody takes damaged data
// for whole.
func Verified(r io.ReadCloser, size int64, sha512Hex string) io.ReadCloser {
	return &verified{ReadCloser: r, left: size, want: sha512Hex, sum: sha512.New()}
}

type verified struct {
	io.ReadCloser
	left int64
	want string
	sum  hash.Hash
	err  error
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if v.left == 0 {
		v.err = io.EOF
		if hex.EncodeToString(v.sum.Sum(nil)) != v.want { // of no bytes at all
			v.err = damaged()
		}
		return 0, v.err
	}
	n, err := v.ReadCloser.Read(p[:min(int64(len(p)), v.left)])
	_, _ = v.sum.Write(p[:n]) // hashes never fail
	v.left -= int64(n)
	switch {
	case v.left == 0 && hex.EncodeToString(v.sum.Sum(nil)) != v.want:
		v.err = damaged()
		return 0, v.err
	case v.left > 0 && errors.Is(err, io.EOF):
		v.err = structs.Errorf(structs.KindUnavailable, "the store gave %d bytes too few", v.left)
		return n, v.err
	case v.left > 0 && err != nil:
		v.err = structs.Errorf(structs.KindUnavailable, "the store cannot be read: %w", err)
		return n, v.err
	}
	return n, nil
}

func damaged() error {
	return structs.Errorf(structs.KindUnavailable, "the data that the store gave are damaged: they have another SHA-512 than what was put")
}
