package base

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

func TestPasswords(t *testing.T) {
	t.Parallel()
	p := NewPasswords(bcrypt.MinCost, 2, 0)
	for _, password := range []string{"", "short", strings.Repeat("x", 72), strings.Repeat("x", 73), strings.Repeat("x", MaxPassword), "\x00after a zero"} {
		hash, err := p.Hash(t.Context(), password)
		require.NoError(t, err)
		for other, want := range map[string]bool{password: true, password + "y": false, "z" + password: false} {
			got, err := p.Matches(t.Context(), hash, other, 0)
			require.NoError(t, err)
			assert.Equal(t, want, got, "%d bytes", len(password))
		}
	}
	_, err := p.Hash(t.Context(), strings.Repeat("secret", MaxPassword))
	require.ErrorContains(t, err, "4096")
	require.NotContains(t, err.Error(), "secret")
	got, err := p.Matches(t.Context(), nil, "no password is checked against this", 0)
	require.NoError(t, err)
	assert.False(t, got, "who has no password matches none")
	_, err = p.Matches(t.Context(), []byte("$2a$"), "x", 0)
	require.Error(t, err)
}

// As many hash at once as have a turn, as many wait as the queue has room for, and the rest are told to come back.
func TestPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(bcrypt.MinCost, 1, 3)
	done, err := p.turn(t.Context())
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			ok, err := p.Matches(context.Background(), nil, "x", 0)
			assert.NoError(t, err)
			assert.False(t, ok)
		})
	}
	require.Eventually(t, func() bool { return p.waiting.Load() == 3 }, 10*time.Second, time.Millisecond)
	_, err = p.Matches(t.Context(), nil, "x", 0)
	require.ErrorIs(t, err, ErrBusy)
	done()
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done, err = p.turn(t.Context())
	require.NoError(t, err)
	defer done()
	_, err = p.Hash(ctx, "x")
	require.ErrorIs(t, err, ErrBusy, "whoever goes away waits no longer")
}
