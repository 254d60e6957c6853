package command

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

func init() {
	registerParent("operator gossip", "Look after gossip", "Tools for the encryption of gossip.")
	register(func() *definition {
		return &definition{
			name: "operator gossip keygen", usage: "", synopsis: "Make a gossip key",
			prose: "Prints a new random key for `encrypt` in the server and client blocks: 32 bytes\nin base64. Every agent of a cluster needs the same.",
			run: func(_ context.Context, s *session, _ []string) error {
				key := make([]byte, 32)
				if _, err := rand.Read(key); err != nil {
					return err
				}
				_, err := fmt.Fprintln(s.Out, base64.StdEncoding.EncodeToString(key))
				return err
			},
		}
	})
}
