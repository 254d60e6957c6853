package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// handler is the wrapper around all services.
type handler struct {
	core     nomadlike.Core
	services []*Service // longest prefix first
	router   *mux.Router
	opts     Options
	log      hclog.Logger
}

// NewHandler returns the handler of all services. It refuses, naming the row, a table that has a row without access rule, a row
// twice, an action on another path, or a schema that does not compile.
func NewHandler(core nomadlike.Core, services []*Service, opts Options) (http.Handler, error) {
	h := &handler{core: core, opts: opts, log: opts.Logger}
	if h.log == nil {
		h.log = hclog.NewNullLogger()
	}
	if h.opts.MaxLimit <= 0 {
		h.opts.MaxLimit = 1000
	}
	if h.opts.Patience <= 0 {
		h.opts.Patience = patience
	}
	h.opts.PublicURL = strings.TrimRight(opts.PublicURL, "/")
	prefixes := map[string]string{}
	for _, s := range services {
		if s.Faults == 0 {
			return nil, fmt.Errorf("httpapi: service %s has no fault style", s.Name)
		}
		if s.Prefix == "" || s.Prefix[0] != '/' || strings.HasSuffix(s.Prefix, "/") || strings.Contains(s.Prefix, "{") {
			return nil, fmt.Errorf("httpapi: service %s: prefix %q is not of the form /a/b", s.Name, s.Prefix)
		}
		if other, taken := prefixes[s.Prefix]; taken {
			return nil, fmt.Errorf("httpapi: services %s and %s share the prefix %s", other, s.Name, s.Prefix)
		}
		prefixes[s.Prefix] = s.Name
	}
	if _, err := PolicyRules(services); err != nil {
		return nil, err
	}
	router, err := buildRouter(services)
	if err != nil {
		return nil, err
	}
	h.router = router
	h.services = longestFirst(services)
	return h, nil
}

// call is one request on its way through the wrapper.
type call struct {
	h        *handler
	w        *recorder
	r        *http.Request
	id       string // req-<uuid>
	global   string // what the client calls the request, for the log
	service  *Service
	endpoint *endpoint
	vars     map[string]string
	token    *Token
	policy   *policy.Set
	version  Microversion
	route    string // for metrics
	started  time.Time
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{h: h, w: &recorder{ResponseWriter: w, control: http.NewResponseController(w), patience: h.opts.Patience}, r: r, id: newRequestID(), global: globalID(r.Header), route: "unmatched", started: time.Now()}
	hdr := w.Header()
	hdr["X-Openstack-Request-Id"] = []string{c.id}
	c.service = h.serviceOf(r.URL.EscapedPath())
	if c.service != nil && c.service.Name == "compute" {
		hdr["X-Compute-Request-Id"] = hdr["X-Openstack-Request-Id"]
	}
	defer c.finish()
	c.begin()
	c.serve()
}

// finish turns a panic into a 500, and logs and counts the answer.
func (c *call) finish() {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			defer panic(p) // the server's own way to cut the connection
		} else {
			c.h.log.Error("handler panicked", "request_id", c.id, "route", c.route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.fault(structs.Errorf(structs.KindInternal, "panic"))
		}
	}
	took := time.Since(c.started)
	name := "none"
	if c.service != nil {
		name = c.service.Name
	}
	if c.h.opts.Metrics != nil {
		c.h.opts.Metrics.Observe(name, c.route, knownMethod(c.r.Method), c.w.code(), took)
	}
	if c.h.log.IsDebug() {
		args := []any{"method", c.r.Method, "path", loggedPath(c.r.URL.Path), "status", c.w.code(), "took", took, "service", name, "request_id", c.id}
		if c.global != "" {
			args = append(args, "global_request_id", c.global)
		}
		if c.token != nil {
			args = append(args, "user_id", c.token.UserID, "project_id", c.token.ProjectID)
		}
		c.h.log.Debug("request", args...)
	}
}

// secretParts are parts of paths that are secrets: a console's token opens the console. They are kept out of the log whatever becomes of the request.
var secretParts = regexp.MustCompile(`(/os-console-auth-tokens/+)[^/]+`)

func loggedPath(path string) string { return secretParts.ReplaceAllString(path, "$1(hidden)") }

// knownMethod bounds a metric's label.
func knownMethod(m string) string {
	for _, k := range methods {
		if m == k {
			return m
		}
	}
	return "OTHER"
}

func (h *handler) serviceOf(path string) *Service {
	for _, s := range h.services {
		if hasPathPrefix(path, s.Prefix) {
			return s
		}
	}
	return nil
}

// serve judges the request in the order of Nova's filters: size, token, then the path, then what process does.
func (c *call) serve() {
	if c.service == nil {
		c.unknownPath()
		return
	}
	var match mux.RouteMatch
	if c.h.router.Match(c.r, &match) {
		c.endpoint, _ = match.Handler.(*endpoint)
		c.vars = match.Vars
	}
	var m *rows
	if c.endpoint != nil {
		c.service = c.endpoint.service
		m = c.endpoint.methods[c.r.Method]
	}
	if (m == nil || !m.raw) && c.r.ContentLength > c.service.maxBody() {
		c.fault(errTooLarge)
		return
	}
	if !c.authenticate(m) {
		return
	}
	if m == nil {
		c.unknownPath()
		return
	}
	c.route = c.endpoint.template
	if err := c.process(m); err != nil {
		c.fault(err)
	}
}

var errTooLarge = structs.Errorf(structs.KindTooLarge, "Request is too large.")

func (s *Service) maxBody() int64 {
	if s.MaxBody > 0 {
		return s.MaxBody
	}
	return 114688
}

// authenticate sets the token. Without one only rows that say so are served; on paths that are none, Compute, Image and Placement ask
// for the token first, as their filters do.
func (c *call) authenticate(m *rows) bool {
	if m != nil && m.tokenless(c.r) {
		return true
	}
	if m == nil && (c.service.Faults == KeystoneFaults || c.service.Faults == NativeFaults) {
		return true
	}
	if text := c.r.Header.Get("X-Auth-Token"); text != "" && c.h.opts.Auth != nil {
		t, err := c.h.opts.Auth.Verify(text)
		if err == nil && !t.permits(c.service, c.r) {
			c.unauthorized()
			return false
		}
		if err == nil && c.service.Bars != nil {
			if err := c.service.Bars(t); err != nil {
				c.fault(err)
				return false
			}
		}
		if err == nil {
			c.token, c.policy = c.h.underPolicy(c.service, t)
			return true
		}
		if structs.IsKind(err, structs.KindUnavailable) { // 401 would have the client throw away a good token
			c.fault(err)
			return false
		}
	}
	c.unauthorized()
	return false
}

// underPolicy returns the rules that a request to a service is judged by from its beginning to its end, and the token with what they say of its
// bearer. Tokens are shared: one that changes is a copy.
func (h *handler) underPolicy(s *Service, t *Token) (*Token, *policy.Set) {
	if !s.FollowsPolicy {
		return t, policy.Builtin
	}
	set := h.opts.Policy.Set()
	if set.RedefinesAdmin() {
		who, own := t.subject(), *t
		own.admin = noAdmin
		if set.IsAdmin(&who) {
			own.admin = isAdmin
		}
		t = &own
	}
	return t, set
}

// tokenless reports whether every row that the request could mean does without a token.
func (m *rows) tokenless(r *http.Request) bool {
	for _, list := range m.byAction {
		for _, row := range list {
			if t, ok := row.Rule.(tokenless); !ok || !t.WithoutToken(r) {
				return false
			}
		}
	}
	return true
}

// unauthorized is the token filter's answer, in Keystone's form whatever the service, as of keystonemiddleware.
func (c *call) unauthorized() {
	c.w.Header().Set("WWW-Authenticate", c.challenge())
	style := KeystoneFaults
	if c.service.Faults == NativeFaults {
		style = NativeFaults
	}
	f := fault{status: http.StatusUnauthorized, kind: structs.KindUnauthorized, message: "The request you have made requires authentication."}
	c.wrote(style.writeFault(c.w, f, c.id))
}

// fault answers with an error, unless an answer was begun: then the connection is all that can still be cut.
func (c *call) fault(err error) {
	if c.w.status != 0 {
		c.h.log.Debug("answer broken off", "request_id", c.id, "error", err)
		return
	}
	style := NativeFaults
	if c.service != nil {
		style = c.service.Faults
	}
	if c.r.Context().Err() != nil {
		c.h.log.Debug("client went away", "request_id", c.id, "error", err)
	}
	status := style.status(err)
	f := fault{status: status, kind: structs.KindOf(err), message: message(err, status), micro: c.version, accept: strings.Join(c.r.Header.Values("Accept"), ",")}
	var se *StatusError
	if errors.As(err, &se) {
		f.kind = kindOfStatus(status)
		for k, v := range se.Header {
			c.w.Header()[k] = v
		}
	}
	if status == http.StatusInternalServerError {
		f.message += "\n<request " + c.id + ">"
		c.h.log.Error("request failed", "request_id", c.id, "route", c.route, "error", err)
	}
	if status == http.StatusServiceUnavailable {
		c.h.log.Debug("request cannot be answered now", "request_id", c.id, "route", c.route, "error", err)
	}
	if status == http.StatusUnauthorized && c.w.Header().Get("WWW-Authenticate") == "" {
		c.w.Header().Set("WWW-Authenticate", c.challenge())
	}
	c.wrote(style.writeFault(c.w, f, c.id))
}

// wrote logs why an answer did not arrive. An encoding that failed is ours.
func (c *call) wrote(err error) {
	if err == nil {
		return
	}
	var ee *encodeError
	if errors.As(err, &ee) {
		c.fault(structs.Errorf(structs.KindInternal, "%w", err))
		return
	}
	c.h.log.Debug("client did not take the answer", "request_id", c.id, "error", err)
}

// challenge says where tokens are to be had.
func (c *call) challenge() string {
	url := c.h.opts.AuthURL
	if url == "" {
		url = c.rootURL() + "/identity"
	}
	return `Keystone uri="` + url + `"`
}

// rootURL is scheme://host as the client reached it.
func (c *call) rootURL() string {
	if c.h.opts.PublicURL != "" {
		return c.h.opts.PublicURL
	}
	scheme, host := "http", c.r.Host
	if c.r.TLS != nil {
		scheme = "https"
	}
	if c.h.opts.TrustForwarded {
		if p := c.r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
			scheme = p
		}
		if f := c.r.Header.Get("X-Forwarded-Host"); f != "" {
			host = f
		}
	}
	return (&url.URL{Scheme: scheme, Host: host}).String()
}
