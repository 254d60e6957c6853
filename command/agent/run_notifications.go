package agent

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// notificationSettings choose what is told, to sinks and to event streams.
func notificationSettings(n NotificationsRuntime) notification.Settings {
	return notification.Settings{NotifyOnStateChange: notification.StateChange(n.NotifyOnStateChange), UsagePeriod: usagePeriod(n)}
}

// usagePeriod is the zero period, Nova's default, without an audit.
func usagePeriod(n NotificationsRuntime) structs.UsagePeriod {
	p, err := structs.ParseUsagePeriod(n.UsageAuditPeriod)
	if err != nil { // "": another one was refused when the configuration was read
		return structs.UsagePeriod{}
	}
	return p
}

// newNotifications makes what serves the sinks of the configuration; nil when there are none.
func (a *agent) newNotifications() *notification.Runner {
	n := a.rt.Server.Notifications
	if !n.Enabled || len(n.Webhooks)+len(n.AMQP) == 0 {
		return nil
	}
	var routes []notification.Route
	for _, w := range n.Webhooks {
		routes = append(routes, notification.Route{Events: w.Events, Sink: notification.NewWebhook(notification.WebhookConfig{
			Name: w.Name, URL: w.URL, Secret: []byte(w.Secret), Timeout: w.Timeout})})
	}
	for _, b := range n.AMQP {
		routes = append(routes, notification.Route{Events: b.Events, Sink: notification.NewAMQP(notification.AMQPConfig{
			Name: b.Name, URL: b.URL, Exchange: b.Exchange, Topics: b.Topics, Durable: b.Durable, Timeout: b.Timeout})})
	}
	return notification.NewRunner(notification.Config{Routes: routes, Settings: notificationSettings(n), Logger: a.logger.Named("notifications")})
}

// newAuditor makes what audits the usage; nil when it is off. It does so without sinks, too: for event streams and the log of audits.
func (a *agent) newAuditor() *notification.Auditor {
	n := a.rt.Server.Notifications
	if n.UsageAuditPeriod == "" {
		return nil
	}
	return notification.NewAuditor(notification.AuditConfig{Period: usagePeriod(n), Logger: a.logger.Named("usage-audit")})
}

// addDuties adds what the leader does beside the core's own.
func (a *agent) addDuties(cfg *cluster.Config) {
	if a.notifications = a.newNotifications(); a.notifications != nil {
		cfg.Duties = append(cfg.Duties, cluster.Duty{Name: "notifications", Start: func(ctx context.Context, l cluster.Lead) (func(), error) {
			return a.notifications.Start(ctx, l), nil
		}})
	}
	if auditor := a.newAuditor(); auditor != nil {
		cfg.KeepDeleted = auditor.Untold
		cfg.Duties = append(cfg.Duties, cluster.Duty{Name: "usage-audit", Start: func(ctx context.Context, l cluster.Lead) (func(), error) {
			return auditor.Start(ctx, l), nil
		}})
	}
}
