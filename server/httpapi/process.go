package httpapi

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// process judges what comes after the token: version, content type, project in the path, body, schema, rule; then the handler.
func (c *call) process(m *rows) error {
	req := &Request{Request: c.r, Writer: c.w, Core: c.h.core, Token: c.token, RequestID: c.id, Service: c.service, rootURL: c.rootURL(), maxLimit: c.h.opts.MaxLimit, policy: c.policy}
	if !c.negotiate(req) {
		return nil
	}
	if err := c.contentType(m); err != nil {
		return err
	}
	if err := c.pathVars(req); err != nil {
		return err
	}
	value, err := c.readBody(m, req)
	if err != nil {
		return err
	}
	row, err := c.chooseRow(m, req, value)
	if err != nil {
		return err
	}
	req.Route = row
	if row.Query != nil {
		if err := req.checkQuery(row.Query); err != nil {
			return err
		}
	}
	if row.Body != nil {
		text := req.Body
		if len(text) == 0 {
			text = []byte("null")
		}
		words := useBody
		if c.service.Faults == KeystoneFaults {
			words = useKeystoneBody
		}
		if err := row.Body.validate(value, text, req.Version, words); err != nil {
			return err
		}
	}
	if t, ok := row.Rule.(tokenless); !ok || c.token != nil || !t.WithoutToken(c.r) {
		if _, later := row.Rule.(judged); !later {
			if err := req.Allow(row.Rule); err != nil {
				return err
			}
		}
	}
	answer, err := row.Handler(req)
	if err != nil {
		return err
	}
	if _, later := row.Rule.(judged); later && !req.judged {
		return structs.Errorf(structs.KindInternal, "nothing judged %s", row.Rule.Name())
	}
	return c.answer(row, answer)
}

// negotiate settles the microversion and stamps it on the answer; false when it has answered already.
func (c *call) negotiate(req *Request) bool {
	v := c.service.Versioning
	if v == nil {
		return true
	}
	version, refused := v.negotiate(c.r.Header)
	if refused != nil {
		if refused.echo != "" {
			v.stamp(c.w.Header(), refused.echo)
		}
		f := fault{status: refused.status, kind: structs.KindInvalid, message: refused.message}
		if refused.status == http.StatusNotAcceptable {
			f.version = v
		}
		c.wrote(c.service.Faults.writeFault(c.w, f, c.id))
		return false
	}
	req.Version, c.version = version, version
	v.stamp(c.w.Header(), v.text(version))
	return true
}

// contentType refuses what is declared as something else than JSON. Compute judges every request that declares a type, the others those
// with a body.
func (c *call) contentType(m *rows) error {
	declared := c.r.Header.Get("Content-Type")
	if declared == "" || m.raw || c.service.Faults != NovaFaults && c.r.ContentLength == 0 {
		return nil
	}
	t, _, err := mime.ParseMediaType(declared)
	if err == nil {
		switch {
		case t == "application/json" || t == "text/plain":
			return nil
		case strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"):
			return nil
		case strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "-json-patch"): // Glance's
			return nil
		}
	}
	return Statusf(http.StatusUnsupportedMediaType, "Unsupported Content-Type")
}

// pathVars decodes the path's variables and compares the project in it with the token's.
func (c *call) pathVars(req *Request) error {
	req.Vars = c.vars
	for k, v := range c.vars {
		if strings.Contains(v, "%") {
			d, err := url.PathUnescape(v)
			if err != nil {
				return errOutOfRange
			}
			c.vars[k] = d
		}
	}
	req.BaseURL = req.rootURL + c.service.Prefix
	if !c.service.ProjectInPath {
		return nil
	}
	if p, ok := c.vars[projectVar]; ok && segment(c.r.URL.EscapedPath(), len(c.service.Prefix)) == p {
		if c.token != nil && p != string(c.token.ProjectID) {
			return BadRequest("Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", p, c.token.ProjectID)
		}
		req.projectIn = true
		req.BaseURL += "/" + p
	}
	return nil
}

func withBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// readBody reads and decodes the body of a method that has one. The value is nil without one.
func (c *call) readBody(m *rows, req *Request) (any, error) {
	if m.raw || c.r.Body == nil {
		return nil, nil
	}
	if !withBody(c.r.Method) && !m.body {
		return nil, c.passOver()
	}
	limit := c.service.maxBody()
	body, err := readAll(http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, limit), c.r.ContentLength)
	if err != nil {
		return nil, c.unread(err)
	}
	c.arrived()
	if len(body) == 0 {
		return nil, nil
	}
	v, err := decodeJSON(body)
	if err != nil {
		return nil, errMalformed
	}
	req.Body, err = canonical(body, v)
	return v, err
}

func readAll(r io.Reader, size int64) ([]byte, error) {
	if size <= 0 {
		return io.ReadAll(r)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// chooseRow finds the row: for an action by the body's one key, then by the microversion. Outside its microversions a route is not there.
func (c *call) chooseRow(m *rows, req *Request, value any) (*Route, error) {
	list := m.byAction[""]
	if c.endpoint.action && c.r.Method == http.MethodPost {
		obj, ok := value.(map[string]any)
		if !ok || len(obj) != 1 {
			return nil, errMalformed
		}
		for key := range obj {
			if list, ok = m.byAction[key]; !ok {
				return nil, BadRequest("There is no such action: %s", key)
			}
		}
	}
	row := pick(list, req.Version)
	if row == nil {
		return nil, errOutOfRange
	}
	return row, nil
}

// answer encodes what a handler returned.
func (c *call) answer(row *Route, v any) error {
	status := row.Status
	if status == 0 {
		status = http.StatusOK
	}
	if v == any(Written) {
		return nil
	}
	if r, ok := v.(Reply); ok {
		v = r.Body
		if r.Status != 0 {
			status = r.Status
		}
	}
	if v == nil || status == http.StatusNoContent {
		writeEmpty(c.w, status)
		return nil
	}
	if c.r.Method == http.MethodHead {
		writeEmpty(c.w, status)
		return nil
	}
	c.wrote(encodeJSON(c.w, status, v))
	return nil
}

// unknownPath answers a path that no row has. Compute and what belongs to no service answer 404 for a wrong method too,
// as Nova's router does, with a body that is no fault of Nova's; the other services answer 405 and name the methods.
func (c *call) unknownPath() {
	if c.service != nil && c.service.Faults != NovaFaults {
		if c.endpoint != nil {
			c.wrongMethod()
			return
		}
		c.fault(errOutOfRange)
		return
	}
	const text = "The resource could not be found."
	if strings.Contains(c.r.Header.Get("Accept"), "json") {
		c.w.Header().Set("Content-Type", "application/json")
		c.wrote(encodeJSON(c.w, http.StatusNotFound, map[string]string{"message": text + "<br /><br />\n\n\n", "code": "404 Not Found", "title": "Not Found"}))
		return
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	c.wrote(writeBody(c.w, http.StatusNotFound, []byte("404 Not Found\n\n"+text+"\n\n   ")))
}

func (c *call) wrongMethod() {
	var allowed []string
	for m := range c.endpoint.methods {
		allowed = append(allowed, m)
	}
	slices.Sort(allowed)
	c.route = c.endpoint.template
	list := strings.Join(allowed, ", ")
	c.w.Header().Set("Allow", list)
	c.fault(Statusf(http.StatusMethodNotAllowed, "%s", fmt.Sprintf("The method %s is not allowed for this resource; these are: %s.", knownMethod(c.r.Method), list)))
}
