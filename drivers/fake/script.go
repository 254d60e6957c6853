package fake

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// script is a compiled Script. It is immutable but for the rules' counters.
type script struct {
	latency  map[string]time.Duration
	failures []*rule
	crashes  []*rule
}

type rule struct {
	When
	key     string // names a crash rule in the journal
	failure *driver.Error
	count   atomic.Int64
	spent   atomic.Bool
}

// methods are the names of driver.Driver's methods as the configuration writes them.
var methods = func() map[string]bool {
	t := reflect.TypeFor[driver.Driver]()
	m := make(map[string]bool, t.NumMethod())
	for i := range t.NumMethod() {
		m[snake(t.Method(i).Name)] = true
	}
	return m
}()

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func newScript(in Script) (*script, error) {
	s := &script{latency: make(map[string]time.Duration, len(in.Latency))}
	for method, text := range in.Latency {
		if !methods[method] {
			return nil, invalid("fake driver: latency: no method %q; a name such as create or live_migrate is right", method)
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, invalid("fake driver: latency of %s is %q: a duration such as 100ms is right", method, text)
		}
		s.latency[method] = d
	}
	for i, f := range in.Failures {
		r, err := newRule(fmt.Sprintf("failures[%d]", i), f.When)
		if err != nil {
			return nil, err
		}
		if f.Kind == "" {
			f.Kind = driver.KindInternal
		}
		if !f.Kind.Valid() {
			return nil, invalid("fake driver: failures[%d].kind is %q: one such as not_found or unavailable is right", i, f.Kind)
		}
		if f.Message == "" {
			f.Message = "scripted failure"
		}
		r.failure = driver.Errorf(f.Kind, "%s", f.Message)
		if f.Retryable != nil {
			r.failure.Retryable = *f.Retryable
		}
		s.failures = append(s.failures, r)
	}
	for i, c := range in.Crashes {
		r, err := newRule(fmt.Sprintf("crashes[%d]", i), c.When)
		if err != nil {
			return nil, err
		}
		s.crashes = append(s.crashes, r)
	}
	return s, nil
}

func newRule(name string, w When) (*rule, error) {
	switch {
	case w.Method != "*" && !methods[w.Method]:
		return nil, invalid("fake driver: %s.method is %q: the name of a method, such as create, or * is right", name, w.Method)
	case w.Nth < 0 || w.Every < 0 || w.Nth > 0 && w.Every > 0:
		return nil, invalid("fake driver: %s: nth %d and every %d: one of them, positive, or none is right", name, w.Nth, w.Every)
	case w.Point != "" && w.Point != "before" && w.Point != "after":
		return nil, invalid("fake driver: %s.point is %q: before or after is right", name, w.Point)
	}
	if w.Point == "" {
		w.Point = "before"
	}
	return &rule{When: w, key: fmt.Sprintf("%s/%s/%s/%d/%s", name, w.Method, w.Instance, w.Nth, w.Point)}, nil
}

// disarm switches off the crash rules that an earlier process has obeyed.
func (s *script) disarm(fired map[string]bool) {
	for _, r := range s.crashes {
		if r.Nth > 0 && fired[r.key] {
			r.spent.Store(true)
		}
	}
}

// fires counts a call and says whether the rule is for it.
func (r *rule) fires(method, instance string) bool {
	if r.Method != "*" && r.Method != method || r.Instance != "" && r.Instance != instance || r.spent.Load() {
		return false
	}
	n := int(r.count.Add(1))
	switch {
	case r.Nth > 0:
		return n == r.Nth
	case r.Every > 0:
		return n%r.Every == 0
	}
	return true
}

func first(rules []*rule, method, instance string) *rule {
	for _, r := range rules {
		if r.fires(method, instance) {
			return r
		}
	}
	return nil
}

// do runs a call under the script. effect holds d.mu and has its effect at once: it must not wait.
func (d *Driver) do(ctx context.Context, method, instance string, effect func() error) error {
	s := d.script.Load()
	if wait := s.latency[method]; wait > 0 {
		if err := d.sleep(ctx, wait); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	crash, failure := first(s.crashes, method, instance), first(s.failures, method, instance)
	if crash != nil && crash.Point == "before" {
		d.crash(crash)
	}
	if failure != nil && failure.Point == "before" {
		return failure.failure
	}
	if err := d.locked(effect); err != nil {
		return err
	}
	if crash != nil && crash.Point == "after" {
		d.crash(crash)
	}
	if failure != nil && failure.Point == "after" {
		return failure.failure
	}
	return nil
}

func (d *Driver) locked(effect func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config == nil {
		return driver.Errorf(driver.KindUnavailable, "the driver is not configured yet")
	}
	if !d.host.Powered {
		return driver.Errorf(driver.KindUnavailable, "the host has no power")
	}
	return effect()
}

func (d *Driver) sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// crash writes down that the rule has fired, so that the next process does not die of it again, and dies.
func (d *Driver) crash(r *rule) {
	d.mu.Lock()
	if r.Nth > 0 {
		r.spent.Store(true)
		d.host.fired(r.key)
		_ = d.putHostLocked() // dying anyway
	}
	d.mu.Unlock()
	d.logger.Warn("crashing as scripted", "rule", r.key)
	d.die()
}
