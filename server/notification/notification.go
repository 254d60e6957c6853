// Package notification makes Nova's versioned notifications of what was committed, and delivers them.
//
// What a commit means is worked out by a pure function (Translate): the same changes give the same notifications, with the same message ids, on every server and
// however often it is asked. Delivery is a duty of the leader (Runner): at least once, in order for each sink, from a cursor that is kept in the replicated state.
package notification

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Priority is a notification's priority, in capitals; topics end in it.
type Priority string

// The priorities that are used.
const (
	Info  Priority = "INFO"
	Error Priority = "ERROR"
)

// Notification is one versioned notification. Payload is an object as oslo.versionedobjects dumps it. The fields without a place in the JSON say whose it is.
type Notification struct {
	EventType   string         `json:"event_type"`
	Priority    Priority       `json:"priority"`
	PublisherID string         `json:"publisher_id"`
	Timestamp   string         `json:"timestamp"`
	MessageID   string         `json:"message_id"`
	Payload     map[string]any `json:"payload"`

	Index     uint64            `json:"-"` // of the commit
	Entry     uint64            `json:"-"` // of the log entry that made the change, or a later one of the commit where that is not known
	ProjectID structs.ProjectID `json:"-"` // whose instance or group it is about; "" when it belongs to no project
	UserID    structs.UserID    `json:"-"` // whose keypair it is about, or the instance's
}

// Bytes is the notification as JSON with sorted keys: equal notifications have equal bytes.
func (n *Notification) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("notification %s: %w", n.EventType, err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// hostKeys are the fields that tell a user on which machine its instance is.
var hostKeys = []string{"host", "node"}

// userEvents are the objects whose notifications a user may see of its own things.
var userEvents = []string{"instance.", "server_group.", "keypair."}

// BelongsTo reports whether it is about something of that project, or a keypair of that user.
func (n *Notification) BelongsTo(p structs.ProjectID, u structs.UserID) bool {
	if !slices.ContainsFunc(userEvents, func(prefix string) bool { return strings.HasPrefix(n.EventType, prefix) }) {
		return false
	}
	if n.ProjectID != "" {
		return n.ProjectID == p
	}
	return n.UserID != "" && n.UserID == u
}

// ForUser returns the notification as a member of its project may see it: without the names of hosts and without what drivers say.
func (n Notification) ForUser() Notification {
	n.PublisherID = binaryOf(n.PublisherID) + ":" + apiHost
	n.Payload = withoutHosts(n.Payload)
	return n
}

func withoutHosts(payload map[string]any) map[string]any {
	data, ok := payload[keyData].(map[string]any)
	if !ok {
		return payload
	}
	clean := maps.Clone(data)
	for _, k := range hostKeys {
		if _, there := clean[k]; there {
			clean[k] = nil
		}
	}
	if fault, ok := clean["fault"].(map[string]any); ok {
		inner, _ := fault[keyData].(map[string]any)
		clean["fault"] = exception(exceptionData{Name: text(inner["exception"]), Message: "the operation failed; the instance's fault says more", Function: text(inner["function_name"])})
	}
	out := maps.Clone(payload)
	out[keyData] = clean
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func binaryOf(publisher string) string {
	binary, _, _ := strings.Cut(publisher, ":")
	return binary
}

// The keys of an object's dump.
const (
	keyName      = "nova_object.name"
	keyNamespace = "nova_object.namespace"
	keyVersion   = "nova_object.version"
	keyData      = "nova_object.data"
)

// object is the dump of a versioned object.
func object(name, version string, data map[string]any) map[string]any {
	return map[string]any{keyName: name, keyNamespace: "nova", keyVersion: version, keyData: data}
}

// orNil is the JSON null for what is not set.
func orNil[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

func orNull(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

// instant is a time as payloads have it.
func instant(t structs.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Time().UTC().Format(time.RFC3339)
}

// stamp is a time as oslo.messaging puts it into the envelope.
func stamp(t structs.Time) string { return t.Time().UTC().Format("2006-01-02 15:04:05.000000") }

// namespace is that of message ids; a fixed one, so that every server makes the same.
var namespace = uuid.MustParse("5d3f9a3e-0a5c-5d0e-9c43-6b7a52f0a6c1")

// messageID names a notification by what it tells of: cluster, entity, the log index that wrote it, and its place among what that index wrote of the entity.
func messageID(cluster, entity string, index uint64, position int, event string) string {
	return uuid.NewSHA1(namespace, fmt.Appendf(nil, "%s/%s/%d/%d/%s", cluster, entity, index, position, event)).String()
}
