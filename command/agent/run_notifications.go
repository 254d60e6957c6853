package agent

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// notificationSettings choose what is told, to sinks and to event streams.
func notificationSettings(n NotificationsRuntime) notification.Settings {
	return notification.Settings{NotifyOnStateChange: notification.StateChange(n.NotifyOnStateChange)}
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

// duties are what the leader does beside the core's own.
func (a *agent) duties() []cluster.Duty {
	if a.notifications = a.newNotifications(); a.notifications == nil {
		return nil
	}
	return []cluster.Duty{{Name: "notifications", Start: func(ctx context.Context, l cluster.Lead) (func(), error) {
		return a.notifications.Start(ctx, l), nil
	}}}
}
