package notification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// AMQPConfig is a message broker's part of the configuration.
type AMQPConfig struct {
	Name     string
	URL      string   // amqp:// or amqps://, with user and password
	Exchange string   // topic exchange; Nova's control exchange is "nova"
	Topics   []string // queues and routing keys are these, a dot and the priority
	Durable  bool     // exchange and queues outlive the broker's restart; must be as the other side declares them
	Timeout  time.Duration
}

// broker publishes as oslo.messaging's notifier does: envelope 2.0 to a topic exchange, with a queue of the routing key's name, so that what is published before
// somebody listens waits there.
type broker struct {
	cfg      AMQPConfig
	raw      net.Conn // below conn
	conn     *amqp.Connection
	channel  *amqp.Channel
	declared map[string]bool
}

// NewAMQP returns a sink that publishes to an AMQP 0-9-1 broker, whose URL CheckAMQPURL has no complaint about. It connects with the first notification.
func NewAMQP(cfg AMQPConfig) Sink { return &broker{cfg: cfg} }

// CheckAMQPURL says what is wrong with a broker's URL, without repeating it; nil when nothing is.
func CheckAMQPURL(text string) error {
	if _, err := amqp.ParseURI(text); err != nil {
		return errors.New("is no URL of a message broker; amqp://USER:PASSWORD@HOST:5672/VHOST is right")
	}
	return nil
}

func (b *broker) Name() string { return "amqp." + b.cfg.Name }

func (b *broker) Close() {
	if b.conn != nil {
		_ = b.conn.CloseDeadline(time.Now().Add(time.Second))
	}
	if b.raw != nil {
		_ = b.raw.Close()
	}
	b.raw, b.conn, b.channel, b.declared = nil, nil, nil, nil
}

func (b *broker) Deliver(ctx context.Context, n *Notification) error {
	body, err := envelope(n)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	if err := b.open(ctx); err != nil {
		b.Close()
		return err
	}
	// A broker that is out of memory or disk reads no more, and the library's writes know no context: only the end of the connection ends them.
	raw := b.raw
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	for _, topic := range b.cfg.Topics {
		if err := b.publish(ctx, topic+"."+strings.ToLower(string(n.Priority)), n, body); err != nil {
			b.Close() // whatever it was, the next attempt begins with a new connection
			return err
		}
	}
	return nil
}

// envelope is oslo.messaging's, version 2.0: the message as JSON in a string. _unique_id is what its receivers know duplicates by.
func envelope(n *Notification) ([]byte, error) {
	text, err := json.Marshal(struct {
		*Notification
		UniqueID string `json:"_unique_id"`
	}{n, strings.ReplaceAll(n.MessageID, "-", "")})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(text)})
}

func (b *broker) open(ctx context.Context) error {
	if b.conn != nil && !b.conn.IsClosed() && !b.channel.IsClosed() {
		return nil
	}
	b.Close()
	stop := func() bool { return true }
	conn, err := amqp.DialConfig(b.cfg.URL, amqp.Config{Heartbeat: 10 * time.Second, Locale: "en_US",
		Properties: amqp.Table{"product": "kilonova", "connection_name": "kilonova " + b.cfg.Name},
		Dial: func(network, addr string) (net.Conn, error) {
			raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			b.raw, stop = raw, context.AfterFunc(ctx, func() { _ = raw.Close() })
			return raw, raw.SetDeadline(time.Now().Add(b.cfg.Timeout)) // the library lifts it once the connection is open
		}})
	defer func() { stop() }()
	if err != nil {
		return fmt.Errorf("cannot connect to the message broker: %w", withoutURL(err))
	}
	b.conn = conn
	if b.channel, err = conn.Channel(); err != nil {
		return fmt.Errorf("the message broker gives no channel: %w", err)
	}
	if err := b.channel.Confirm(false); err != nil {
		return fmt.Errorf("the message broker does not confirm: %w", err)
	}
	if err := b.channel.ExchangeDeclare(b.cfg.Exchange, "topic", b.cfg.Durable, false, false, false, nil); err != nil {
		return fmt.Errorf("cannot declare exchange %s (durable %t): %w", b.cfg.Exchange, b.cfg.Durable, err)
	}
	b.declared = map[string]bool{}
	return nil
}

// publish returns nil when the broker has confirmed the message.
func (b *broker) publish(ctx context.Context, key string, n *Notification, body []byte) error {
	if !b.declared[key] {
		if _, err := b.channel.QueueDeclare(key, b.cfg.Durable, false, false, false, nil); err != nil {
			return fmt.Errorf("cannot declare queue %s (durable %t): %w", key, b.cfg.Durable, err)
		}
		if err := b.channel.QueueBind(key, key, b.cfg.Exchange, false, nil); err != nil {
			return fmt.Errorf("cannot bind queue %s: %w", key, err)
		}
		b.declared[key] = true
	}
	confirmed, err := b.channel.PublishWithDeferredConfirmWithContext(ctx, b.cfg.Exchange, key, false, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, MessageId: n.MessageID, Body: body})
	if err != nil {
		return fmt.Errorf("cannot publish: %w", err)
	}
	ack, err := confirmed.WaitContext(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("the message broker does not confirm in time: %w", err)
	case !ack:
		return errors.New("the message broker did not take the message")
	}
	return nil
}
