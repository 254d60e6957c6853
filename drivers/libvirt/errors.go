package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// errLostConnection says that the connection ended under a call: whether libvirtd did what was asked is not known.
var errLostConnection = errors.New("the connection to libvirtd was lost")

// kinds maps the codes that say by themselves what went wrong. Every other code is classed by its message.
var kinds = map[golibvirt.ErrorNumber]driver.Kind{
	golibvirt.ErrNoDomain:             driver.KindNotFound,
	golibvirt.ErrNoDomainMetadata:     driver.KindNotFound,
	golibvirt.ErrOperationInvalid:     driver.KindConflict,
	golibvirt.ErrDomExist:             driver.KindConflict,
	golibvirt.ErrResourceBusy:         driver.KindConflict,
	golibvirt.ErrConfigUnsupported:    driver.KindInvalid,
	golibvirt.ErrXMLError:             driver.KindInvalid,
	golibvirt.ErrXMLDetail:            driver.KindInvalid,
	golibvirt.ErrXMLInvalidSchema:     driver.KindInvalid,
	golibvirt.ErrCPUIncompatible:      driver.KindInvalid,
	golibvirt.ErrInvalidArg:           driver.KindInvalid,
	golibvirt.ErrNoMemory:             driver.KindExhausted,
	golibvirt.ErrNoSupport:            driver.KindNotSupported,
	golibvirt.ErrOperationUnsupported: driver.KindNotSupported,
	golibvirt.ErrArgumentUnsupported:  driver.KindNotSupported,
	golibvirt.ErrOperationTimeout:     driver.KindTimeout,
	golibvirt.ErrAgentUnresponsive:    driver.KindUnavailable,
	golibvirt.ErrNoConnect:            driver.KindUnavailable,
	golibvirt.ErrAuthFailed:           driver.KindUnavailable,
	golibvirt.ErrAuthCancelled:        driver.KindUnavailable,
	golibvirt.ErrAuthUnavailable:      driver.KindUnavailable,
}

// libvirtError turns what a libvirt call returned into a driver's error. what names the call and its object, as in
// "start instance ID". Context errors pass unchanged: they are the caller's.
func libvirtError(what string, err error) error {
	var already *driver.Error
	var answer golibvirt.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &answer):
		kind, known := kinds[golibvirt.ErrorNumber(answer.Code)]
		if !known {
			kind = kindOfMessage(answer.Message)
		}
		failure := driver.Errorf(kind, "%s: libvirt: %s%s", what, oneLine(answer.Message), hint(answer.Message))
		failure.Retryable = failure.Retryable || golibvirt.ErrorNumber(answer.Code) == golibvirt.ErrResourceBusy
		return failure
	case errors.Is(err, golibvirt.ErrUnsupported):
		return driver.Errorf(driver.KindNotSupported, "%s: this libvirtd is too old for it", what)
	default:
		// go-libvirt reports a connection that ended in several ways (EINVAL, EPIPE, ErrInterrupted, ...), and has no
		// other errors of its own.
		return driver.Errorf(driver.KindUnavailable, "%s: %v; whether it was done is not known, repeat the call",
			what, errLostConnection)
	}
}

// kindOfMessage classes the failures that libvirt passes on as text from QEMU or the kernel.
func kindOfMessage(message string) driver.Kind {
	for _, sign := range []struct {
		text string
		kind driver.Kind
	}{
		{"Cannot allocate memory", driver.KindExhausted},
		{"No space left on device", driver.KindExhausted},
		{"Disk quota exceeded", driver.KindExhausted},
		{"Unable to find an unused port", driver.KindExhausted},
	} {
		if strings.Contains(message, sign.text) {
			return sign.kind
		}
	}
	return driver.KindInternal
}

// hint adds what an operator can do, for the failures that are known to puzzle.
func hint(message string) string {
	for _, sign := range []struct{ text, advice string }{
		{"Failed to get \"write\" lock", "another process has the disk open; look for a QEMU of the same instance with: ps ax | grep qemu"},
		{"Could not access KVM kernel module", "set virt_type to qemu, or let libvirt's user open /dev/kvm"},
		{"Permission denied", "QEMU's user must be able to read the image and every folder above it and above instances_dir"},
		{"Cannot allocate memory", "the host has too little free memory for this guest"},
		{"No space left on device", "free space on the file system of instances_dir"},
		{"specified dev doesn't exist", "the tap device of an interface is missing; the agent makes it before it starts the guest"},
		{"unable to map backing store", "the host has too few huge pages"},
	} {
		if strings.Contains(message, sign.text) {
			return " (" + sign.advice + ")"
		}
	}
	return ""
}

// oneLine keeps QEMU's several lines of complaint readable in a log and an API fault.
func oneLine(message string) string {
	return strings.Join(strings.FieldsFunc(message, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// fileError classes a failure on the host's own files.
func fileError(what string, err error) error {
	var already *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return driver.Errorf(driver.KindExhausted, "%s: %v; free space on the file system of instances_dir", what, err)
	case errors.Is(err, fs.ErrPermission):
		return driver.Errorf(driver.KindInternal, "%s: %v; run the agent as root, or give its user the folder", what, err)
	}
	return driver.Errorf(driver.KindInternal, "%s: %v", what, err)
}

// unreachable says that libvirtd cannot be spoken to, and what would cure it.
func unreachable(socket string, err error) *driver.Error {
	advice := "start it with: systemctl start libvirtd, or scripts/libvirtd/start where no init system runs it"
	switch {
	case errors.Is(err, fs.ErrPermission):
		advice = "run the agent as root, or put its user into the group libvirt"
	case errors.Is(err, errNoHandshake):
		advice = "look at its log, and restart it (guests run on)"
	}
	return driver.Errorf(driver.KindUnavailable, "libvirtd is not reachable at %s: %v; %s", socket, err, advice)
}

func notFound(instanceID string) *driver.Error {
	return driver.Errorf(driver.KindNotFound, "instance %s is not on this host", instanceID)
}

func conflict(format string, args ...any) *driver.Error {
	return driver.Errorf(driver.KindConflict, format, args...)
}

func isKind(err error, kind driver.Kind) bool { return err != nil && driver.KindOf(err) == kind }

func describe(verb, instanceID string) string { return fmt.Sprintf("%s instance %s", verb, instanceID) }
