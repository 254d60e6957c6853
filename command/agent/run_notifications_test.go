package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// An agent tells a webhook of its configuration, signed with the secret of a file; the metrics count it, and no secret is in its log.
func TestAgentNotifies(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get(notification.HeaderSignature) == "sha256="+notification.Sign([]byte("hunter2"), body) && r.URL.Query().Get("token") == "t0ken" {
			got = append(got, r.Header.Get(notification.HeaderEvent))
		}
		if len(got) == 1 { // so that something is logged
			w.WriteHeader(http.StatusBadGateway)
			got = append(got, "failed")
		}
	}))
	t.Cleanup(hook.Close)
	r := startAgent(t, `server {
		notifications {
			webhook "audit" {
				url         = "`+hook.URL+`/?token=t0ken"
				secret_file = "DIR/webhook.secret"
				events      = ["keypair.*.end"]
			}
		}
	}`)
	_, err := fsm.KeypairCreate.Propose(t.Context(), r.server, &structs.KeypairCreateRequest{Keypair: structs.Keypair{UserID: "u", Name: "k", PublicKey: "p"}})
	require.NoError(t, err)
	events := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(got, " ")
	}
	require.Eventually(t, func() bool { return events() == "keypair.import.end failed keypair.import.end" }, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool { return r.server.Stale().NotificationCursor("webhook.audit") != nil }, patience, 5*time.Millisecond)
	resp, err := http.Get(r.httpURL() + "/v1/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `kilonova_notifications_delivered_total{sink="webhook.audit"} 1`)
	require.Contains(t, string(text), `kilonova_notifications_failures_total{sink="webhook.audit"} 1`)
	said := r.log.take()
	require.Contains(t, said, "502 Bad Gateway")
	require.NotContains(t, said, "t0ken")
	require.NotContains(t, said, "hunter2")
}

// An agent audits the usage of the last period at its start, without any sink, and its client tells what it measures; the scheduler can weigh that.
func TestAgentAuditsAndMeasures(t *testing.T) {
	t.Parallel()
	r := startAgent(t, `server {
		notifications {
			usage_audit_period = "hour@30"
		}
		scheduler {
			metric_weights   = { "cpu.percent" = -1 }
			metrics_required = false
		}
	}
	client {
		cpu_metrics = true
	}`)
	require.Eventually(t, func() bool {
		for a := range r.server.Stale().UsageAudits() {
			return a.End.Time().UTC().Minute() == 30 && a.End.Sub(a.Begin) == time.Hour
		}
		return false
	}, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool { m := r.host().Metrics; return m != nil && m.IdleTime > 0 && m.Source == "linux" }, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		s := r.server.Stale().ClusterSettings()
		return s.MetricWeights["cpu.percent"] == -1 && s.MetricsOptional
	}, patience, 5*time.Millisecond)
}
