package instance

import (
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type consoleBody struct {
	Args struct {
		Length *base.FlexInt `json:"length"`
	} `json:"os-getConsoleOutput"`
}

// consoleOutput answers the end of an instance's serial console. No length, null and -1 ask for all of it.
func (s *service) consoleOutput(r *httpapi.Request) (any, error) {
	body, err := base.Decode[consoleBody](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	if ins.HostID == "" {
		return nil, httpapi.Conflict("Instance %s is not ready", ins.ID)
	}
	lines := s.ConsoleLineLimit
	if n := body.Args.Length; n != nil && *n >= 0 {
		if *n == 0 {
			return consoleAnswer(""), nil
		}
		if lines == 0 || int64(*n) < int64(lines) {
			lines = int(min(*n, 1<<31-1))
		}
	}
	out, err := r.Core.ConsoleOutput(r.Context(), ins, lines)
	switch {
	case structs.IsKind(err, structs.KindNotSupported):
		return nil, structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
	case structs.IsKind(err, structs.KindNotFound):
		return nil, httpapi.NotFound("Guest does not have a console available.")
	case err != nil:
		return nil, consoleFailure(r, ins, err)
	}
	return consoleAnswer(stripControls(out)), nil
}

// consoleFailure words why a host could not answer. It knows its name, its paths and its hypervisor's address, which are for administrators.
func consoleFailure(r *httpapi.Request, ins *structs.Instance, err error) error {
	switch k := structs.KindOf(err); {
	case r.Token.IsAdmin() || k == structs.KindInternal: // nobody is shown the latter
		return err
	case k == structs.KindConflict:
		return httpapi.Conflict("Instance %s is not ready", ins.ID)
	default:
		return structs.Errorf(k, "The console of instance %s cannot be read now.", ins.ID)
	}
}

func consoleAnswer(text string) any { return map[string]string{"output": text} }

// stripControls removes the control characters that Nova removes: all below space but tab and newline. What is not UTF-8 becomes U+FFFD.
func stripControls(b []byte) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' && c != '\n' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), "\ufffd"))
}
