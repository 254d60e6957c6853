package native

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestStreamHasNoConsoleTokens: nobody is shown them, an administrator neither.
func TestStreamHasNoConsoleTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create("p1", "first")
	w.core.Drive(nil)
	admin, _ := w.open("/event/stream?all_projects=true", "admin")
	ins, at := w.core.Stale().Instance(id), structs.TimeOf(time.Now())
	_, err := fsm.ConsoleTokenCreate.Propose(t.Context(), w.core, &structs.ConsoleTokenCreateRequest{Token: structs.ConsoleToken{
		Hash: structs.ConsoleTokenHash("hunter2"), InstanceID: id, HostID: ins.HostID, CreatedAt: at, ExpiresAt: at.Add(time.Hour)}})
	require.NoError(t, err)
	w.create("p2", "last")
	w.core.Drive(nil)
	admin.until("last")
	assert.NotContains(t, admin.all.String(), structs.ConsoleTokenHash("hunter2"))
	assert.NotContains(t, admin.all.String(), "console_tokens")
	assert.Equal(t, 400, w.request(t.Context(), "GET", "/event/stream?table=console_tokens", "admin", "").StatusCode)
}
