package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kilonova-cloud/kilonova/command/ca"
)

func init() {
	registerParent("tls", "Make certificates for agents", "A small certificate authority for the cluster's own TLS.")
	registerParent("tls ca", "Make a certificate authority", "Makes the authority that signs the agents' certificates.")
	register(func() *definition {
		c := &tlsCACreate{}
		return &definition{
			name: "tls ca create", usage: "[options]", synopsis: "Make a certificate authority", flags: c.flags, run: c.run,
			prose: "Writes a new CA's certificate and key: kilonova-ca.pem is for ca_file of every\nagent, kilonova-ca-key.pem signs certificates and belongs on no agent. Existing\nfiles are not overwritten.",
		}
	})
}

const (
	caFile    = "kilonova-ca.pem"
	caKeyFile = "kilonova-ca-key.pem"
	day       = 24 * time.Hour
)

type tlsCACreate struct {
	dir, name string
	days      int
}

func (c *tlsCACreate) flags(set *flag.FlagSet) {
	set.StringVar(&c.dir, "dir", ".", "`DIRECTORY` to write to")
	set.StringVar(&c.name, "common-name", "Kilonova CA", "`NAME` in the certificate")
	set.IntVar(&c.days, "days", 1825, "How many `DAYS` it holds")
}

func (c *tlsCACreate) run(_ context.Context, s *session, _ []string) error {
	if c.days < 1 {
		return usagef("-days %d: 1 or more is right", c.days)
	}
	_, pair, err := ca.New(c.name, time.Duration(c.days)*day)
	if err != nil {
		return err
	}
	return writePair(s.Out, filepath.Join(c.dir, caFile), filepath.Join(c.dir, caKeyFile), pair)
}

// writePair writes both files or none, and tells their names.
func writePair(out io.Writer, certificate, key string, pair ca.Pair) error {
	for _, path := range []string{certificate, key} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists; remove it, or choose another -dir", path)
		}
	}
	if err := writeNew(key, pair.Key, 0o600); err != nil {
		return err
	}
	if err := writeNew(certificate, pair.Certificate, 0o644); err != nil {
		return errors.Join(err, os.Remove(key))
	}
	_, err := fmt.Fprintf(out, "%s\n%s\n", certificate, key)
	return err
}

func writeNew(path string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}
