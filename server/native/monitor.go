package native

import (
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// MonitorService serves GET /v1/agent/monitor: the agent's log lines as they are written, from log_level on, until the caller goes away. Who reads too
// slowly misses lines rather than hold the agent up.
func MonitorService(logger hclog.InterceptLogger) *httpapi.Service {
	m := monitor{logger}
	return &httpapi.Service{Name: "native", Prefix: "/v1/agent/monitor", Faults: httpapi.NativeFaults, FollowsPolicy: true, Routes: []httpapi.Route{
		{Method: http.MethodGet, Path: "", Rule: httpapi.Admin("kilonova:agent:monitor"), Handler: m.stream, Raw: true}}}
}

type monitor struct{ logger hclog.InterceptLogger }

// logLines hands log lines to one reader.
type logLines chan []byte

func (l logLines) Write(p []byte) (int, error) {
	select {
	case l <- append([]byte(nil), p...):
	default:
	}
	return len(p), nil
}

func (m monitor) stream(r *httpapi.Request) (any, error) {
	name := r.Query().Get("log_level")
	if name == "" {
		name = "info"
	}
	level := hclog.LevelFromString(name)
	if level == hclog.NoLevel {
		return nil, structs.Errorf(structs.KindInvalid, "log_level %q is none; trace, debug, info, warn or error is right", name)
	}
	out := make(logLines, 512)
	sink := hclog.NewSinkAdapter(&hclog.LoggerOptions{Output: out, Level: level})
	m.logger.RegisterSink(sink)
	defer m.logger.DeregisterSink(sink)
	r.Writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	r.Writer.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(r.Writer)
	_ = flush.Flush()
	for {
		select {
		case line := <-out:
			if _, err := r.Writer.Write(line); err != nil {
				return httpapi.Written, nil
			}
			if flush.Flush() != nil {
				return httpapi.Written, nil
			}
		case <-r.Context().Done():
			return httpapi.Written, nil
		}
	}
}
