package agent

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// defaultDelivery is how long one attempt at a delivery may take.
const defaultDelivery = 10 * time.Second

func (r *resolver) notifications() {
	c, out, path := r.config.Server.Notifications, &r.rt.Server.Notifications, "server.notifications"
	out.Enabled = value(c.Enabled, true)
	out.NotifyOnStateChange = value(c.NotifyOnStateChange, string(notification.NoUpdates))
	switch notification.StateChange(out.NotifyOnStateChange) {
	case notification.NoUpdates, notification.OnVMState, notification.OnVMAndTaskStates:
	default:
		r.refuse(path+".notify_on_state_change", "%q is not known; \"vm_state\", \"vm_and_task_state\" or \"\" is right", out.NotifyOnStateChange)
	}
	if out.UsageAuditPeriod = value(c.UsageAuditPeriod, ""); out.UsageAuditPeriod != "" {
		if _, err := structs.ParseUsagePeriod(out.UsageAuditPeriod); err != nil {
			r.refuse(path+".usage_audit_period", "%v", err)
		}
	}
	for _, w := range c.Webhooks {
		own := r.sinkPath(path+".webhook", w.Name)
		out.Webhooks = append(out.Webhooks, WebhookRuntime{Name: w.Name, URL: r.sinkURL(own, w.URL, w.URLFile, notification.CheckWebhookURL),
			Secret: r.said(own, "secret", w.Secret, w.SecretFile), Events: r.patterns(own, w.Events),
			Timeout: r.duration(joinPath(own, "timeout"), w.Timeout, defaultDelivery, 100*time.Millisecond)})
	}
	for _, b := range c.AMQP {
		own := r.sinkPath(path+".amqp", b.Name)
		topics := b.Topics
		if len(topics) == 0 {
			topics = []string{"versioned_notifications"}
		}
		out.AMQP = append(out.AMQP, AMQPRuntime{Name: b.Name, URL: r.sinkURL(own, b.URL, b.URLFile, notification.CheckAMQPURL),
			Exchange: value(b.Exchange, "nova"), Topics: topics, Durable: value(b.Durable, false), Events: r.patterns(own, b.Events),
			Timeout: r.duration(joinPath(own, "timeout"), b.Timeout, defaultDelivery, 100*time.Millisecond)})
	}
}

func (r *resolver) sinkPath(path, name string) string {
	own := labelPath(path, name)
	if !nameForm.MatchString(name) {
		r.refuse(own, "cannot be a name; up to 128 letters, digits, dots, dashes and underscores, with a letter or digit at both ends, are right")
	}
	return own
}

// sinkURL is never in a problem's text: it may hold a password.
func (r *resolver) sinkURL(path string, text, file *string, check func(string) error) string {
	url := r.said(path, "url", text, file)
	switch {
	case text == nil && file == nil:
		r.refuse(path, "has no URL; url, or url_file with the path of a file that holds it, is right")
	case url != "" || file == nil:
		if err := check(url); err != nil {
			r.refuse(joinPath(path, "url"), "%v", err)
		}
	}
	return url
}

// said is a value that stands in the configuration itself or in a file of its own.
func (r *resolver) said(path, name string, text, file *string) string {
	own := joinPath(path, name+"_file")
	switch {
	case text != nil && file != nil:
		r.refuse(own, "stands beside %s; one of them is right", name)
		return *text
	case file == nil:
		return value(text, "")
	case !filepath.IsAbs(*file):
		r.refuse(own, "%q is relative; an absolute path is right", *file)
		return ""
	case !r.rt.Server.Enabled:
		return ""
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		r.refuse(own, "%s: %v", *file, withoutPath(err))
		return ""
	}
	kept := strings.TrimRight(string(content), "\r\n")
	if kept == "" {
		r.refuse(own, "%s is empty; a file that holds the %s is right", *file, name)
	}
	return kept
}

func (r *resolver) patterns(path string, patterns []string) []string {
	for _, p := range patterns {
		if p == "" || notification.CheckPattern(p) != nil {
			r.refuse(joinPath(path, "events"), "%q is no pattern of event types; \"instance.*\" or \"*.error\" is right", p)
		}
	}
	return patterns
}
