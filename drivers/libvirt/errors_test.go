package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestLibvirtErrors(t *testing.T) {
	t.Parallel()
	answer := func(code golibvirt.ErrorNumber, message string) error {
		return golibvirt.Error{Code: uint32(code), Message: message}
	}
	for _, test := range []struct {
		err       error
		kind      driver.Kind
		says      string
		retryable bool
	}{
		{answer(golibvirt.ErrNoDomain, "Domain not found"), driver.KindNotFound, "start x: libvirt: Domain not found", false},
		{fmt.Errorf("wrapped: %w", answer(golibvirt.ErrNoDomain, "gone")), driver.KindNotFound, "gone", false},
		{answer(golibvirt.ErrOperationInvalid, "domain is not running"), driver.KindConflict, "not running", false},
		{answer(golibvirt.ErrResourceBusy, "busy"), driver.KindConflict, "busy", true},
		{answer(golibvirt.ErrConfigUnsupported, "no IDE"), driver.KindInvalid, "no IDE", false},
		{answer(golibvirt.ErrNoSupport, "no"), driver.KindNotSupported, "no", false},
		{answer(golibvirt.ErrOperationTimeout, "late"), driver.KindTimeout, "late", true},
		{answer(golibvirt.ErrInternalError, "cannot set up guest memory 'pc.ram': Cannot allocate memory"), driver.KindExhausted, "too little free memory", false},
		{answer(golibvirt.ErrSystemError, "write: No space left on device"), driver.KindExhausted, "free space", false},
		{answer(golibvirt.ErrInternalError, "a\nb"), driver.KindInternal, "a; b", true},
		{answer(golibvirt.ErrInternalError, `Failed to get "write" lock`), driver.KindInternal, "another process has the disk open", true},
		{golibvirt.ErrInterrupted, driver.KindUnavailable, "connection to libvirtd was lost", true},
		{syscall.EINVAL, driver.KindUnavailable, "repeat the call", true},
		{golibvirt.ErrUnsupported, driver.KindNotSupported, "too old", false},
	} {
		err := libvirtError("start x", test.err)
		require.Equal(t, test.kind, driver.KindOf(err), test.err)
		require.ErrorContains(t, err, test.says)
		require.Equal(t, test.retryable, driver.Retryable(err), test.err)
	}
	require.NoError(t, libvirtError("x", nil))
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		require.Equal(t, ended, libvirtError("x", ended), "the caller's own end is no failure of libvirt's")
	}
	ours := conflict("mine")
	require.Equal(t, ours, libvirtError("x", ours), "an error that has a kind keeps it")
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	require.NoError(t, fileError("x", nil))
	require.ErrorIs(t, fileError("x", fmt.Errorf("write: %w", syscall.ENOSPC)), driver.ErrExhausted)
	require.ErrorContains(t, fileError("x", fs.ErrPermission), "as root")
	require.ErrorIs(t, fileError("x", errors.New("odd")), driver.ErrInternal)
	require.ErrorIs(t, fileError("x", context.Canceled), context.Canceled)
}

func TestUnreachableSaysWhatToDo(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, unreachable("/s", fs.ErrNotExist), "scripts/libvirtd/start")
	require.ErrorContains(t, unreachable("/s", fs.ErrPermission), "group libvirt")
	require.ErrorContains(t, unreachable("/s", errNoHandshake), "restart it")
}
