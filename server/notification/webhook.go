package notification

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// WebhookConfig is a webhook's part of the configuration.
type WebhookConfig struct {
	Name    string
	URL     string
	Secret  []byte        // of the signature; empty: none is sent
	Timeout time.Duration // of one request
}

// webhook posts each notification as JSON.
type webhook struct {
	cfg    WebhookConfig
	client *http.Client
}

// The headers of a webhook's requests. The signature is "sha256=" and the hex HMAC-SHA256 of the body with the secret.
const (
	HeaderEvent     = "X-Kilonova-Event"
	HeaderDelivery  = "X-Kilonova-Delivery"
	HeaderSignature = "X-Kilonova-Signature"
)

// NewWebhook returns a sink that posts to a URL, which CheckWebhookURL has no complaint about.
func NewWebhook(cfg WebhookConfig) Sink {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = 1, 1
	return &webhook{cfg: cfg, client: &http.Client{Transport: transport, Timeout: cfg.Timeout,
		// A redirect would send the signed body to whom nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// CheckWebhookURL says what is wrong with a webhook's URL, without repeating it; nil when nothing is.
func CheckWebhookURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is no URL of a web server; https://HOST/PATH is right")
	}
	return nil
}

func (w *webhook) Name() string { return "webhook." + w.cfg.Name }

func (w *webhook) Close() { w.client.CloseIdleConnections() }

func (w *webhook) Deliver(ctx context.Context, n *Notification) error {
	body, err := n.Bytes()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the webhook's URL cannot be used") // the error would repeat it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "kilonova")
	req.Header.Set(HeaderEvent, n.EventType)
	req.Header.Set(HeaderDelivery, n.MessageID)
	if len(w.cfg.Secret) > 0 {
		req.Header.Set(HeaderSignature, "sha256="+Sign(w.cfg.Secret, body))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	return judge(resp.StatusCode)
}

// Sign returns the hex HMAC-SHA256 of a body.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// judge: a client error says that the notification itself is not wanted, and one that is repeated for ever would keep back all that come after it.
func judge(status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return fmt.Errorf("%w: the webhook answered %d %s", ErrRefused, status, http.StatusText(status))
	}
	return fmt.Errorf("the webhook answered %d %s", status, http.StatusText(status))
}

// withoutURL drops the URL, which may have a password or a token in it.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}
