package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/api"
)

// deafClient is of an agent whose stream of events ends as soon as it begins.
func deafClient(t *testing.T) *api.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(server.Close)
	client, err := api.New(api.Config{Address: server.URL})
	require.NoError(t, err)
	return client
}

// growingText is a console.
type growingText struct {
	mu   sync.Mutex
	text string
}

func newText(text string) *growingText { return &growingText{text: text} }

func (g *growingText) get() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text
}

func (g *growingText) add(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text += text
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
