// Package request shows what becomes of what a request to create or to rebuild an instance brings along or refers to.
package request_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	aliceProject = "11111111111111111111111111111111"
	aliceUser    = "a1"
	imageID      = "70a599e0-31e7-49b7-b260-868f441e862b"
)

type people map[string]*httpapi.Token

func (p people) Verify(token string) (*httpapi.Token, error) {
	if t := p[token]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such token")
}

var everybody = people{
	"admin": {UserID: "a0", ProjectID: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Roles: []string{"admin", "manager", "member", "reader"}},
	"alice": {UserID: aliceUser, ProjectID: aliceProject, Roles: []string{"member", "reader"}},
}

// cloud has one host, one flavor and one image.
type cloud struct {
	tb   testing.TB
	core *coretest.Core
	srv  *httptest.Server
	log  bytes.Buffer // whole once srv is closed
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{tb: t, core: coretest.New()}
	h, err := httpapi.NewHandler(c.core, compute.Services(compute.Options{}, proxy.Services{}), httpapi.Options{Auth: everybody,
		Logger: hclog.New(&hclog.LoggerOptions{Output: &c.log, Level: hclog.Trace})})
	c.must(err)
	c.srv = httptest.NewServer(h)
	t.Cleanup(c.srv.Close)
	c.core.AddHost("host-1")
	c.core.Write(func(tx *state.Txn) {
		tx.PutProject(&structs.Project{ID: aliceProject, Name: "alice", DomainID: "default"})
	})
	_, err = fsm.FlavorCreate.Propose(t.Context(), c.core, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "1", Name: "tiny", VCPUs: 1, MemoryMiB: 64, RootGiB: 1,
		RxTxFactor: 1, Public: true, CreatedAt: 1}})
	c.must(err)
	_, err = fsm.ImageUpsert.Propose(t.Context(), c.core, &structs.ImageUpsertRequest{Create: true, Image: structs.Image{ID: imageID, Name: "cirros", Size: 1,
		Status: structs.ImageActive, Visibility: "public", CreatedAt: 1}})
	c.must(err)
	return c
}

func (c *cloud) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

// want asks and demands a status. It returns the answer's body.
func (c *cloud) want(status int, token, version, method, path, body string) string {
	c.tb.Helper()
	req, err := http.NewRequestWithContext(c.tb.Context(), method, c.srv.URL+compute.Prefix+path, strings.NewReader(body))
	c.must(err)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("OpenStack-API-Version", "compute "+version)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.srv.Client().Do(req)
	c.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	c.must(err)
	if resp.StatusCode != status {
		c.tb.Fatalf("%s %s at %s as %s: %d, want %d: %s", method, path, version, token, resp.StatusCode, status, text)
	}
	return string(text)
}

// refused is want for a fault whose message is said in full.
func (c *cloud) refused(status int, message, version, path, body string) {
	c.tb.Helper()
	var fault map[string]struct{ Message string }
	text := c.want(status, "alice", version, "POST", path, body)
	c.must(json.Unmarshal([]byte(text), &fault))
	for _, f := range fault {
		if f.Message != message {
			c.tb.Errorf("%q, want %q", f.Message, message)
		}
	}
}

// file is one element of personality.
func file(path, contents string) string {
	return fmt.Sprintf(`{"path": %q, "contents": %q}`, path, base64.StdEncoding.EncodeToString([]byte(contents)))
}

// create is the body that makes servers with such a personality, which is JSON; "" is none.
func create(version, personality, more string) string {
	if version > "2.36" {
		more += `, "networks": "none"`
	}
	return `{"server": {"name": "vm", "flavorRef": "1", "imageRef": "` + imageID + `"` + member(personality) + more + `}}`
}

func rebuild(personality string) string {
	return `{"rebuild": {"imageRef": "` + imageID + `"` + member(personality) + `}}`
}

func member(personality string) string {
	if personality == "" {
		return ""
	}
	return `, "personality": ` + personality
}

// boot makes a server with the files and returns its id.
func (c *cloud) boot(path, version, personality string) string {
	c.tb.Helper()
	var made struct{ Server struct{ ID string } }
	c.must(json.Unmarshal([]byte(c.want(202, "alice", version, "POST", path, create(version, personality, ""))), &made))
	c.core.Drive(nil)
	return made.Server.ID
}

// holds demands the files that an instance has: PATH=CONTENTS, one after the other.
func (c *cloud) holds(id, want string) {
	c.tb.Helper()
	var all []string
	for _, f := range c.core.Stale().Instance(structs.InstanceID(id)).Files {
		all = append(all, f.Path+"="+string(f.Contents))
	}
	if got := strings.Join(all, " "); got != want {
		c.tb.Errorf("files %q, want %q", got, want)
	}
}
