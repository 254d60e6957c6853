// Command bench puts load on a development agent with the fake driver and prints rates, latencies and memory.
//
// It starts the agent's binary itself (-bin), creates -n instances from -c concurrent clients, waits until all are ACTIVE, lists them, and
// deletes them. Figures depend on the machine, which is described with them.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	bin := flag.String("bin", "bin/kilonova", "agent's `PATH`")
	n := flag.Int("n", 1000, "how many instances")
	c := flag.Int("c", 32, "how many concurrent clients")
	hosts := flag.Int("hosts", 4, "how many simulated hosts")
	rounds := flag.Int("rounds", 1, "how often")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *bin, *n, *c, *hosts, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, n, c, hosts, rounds int) error {
	a, err := startAgent(ctx, bin, hosts)
	if err != nil {
		return err
	}
	defer a.stop()
	describeMachine(os.Stdout)
	fmt.Printf("agent: -dev -driver fake -hosts %d; %d instances, %d concurrent clients\n", hosts, n, c)
	l := &load{url: a.url, out: os.Stdout, patience: 2 * time.Minute, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c + 4}}}
	if err := l.login(ctx); err != nil {
		return err
	}
	for round := range rounds {
		if rounds > 1 {
			fmt.Printf("\nround %d\n", round+1)
		}
		if err := l.round(ctx, a, n, c); err != nil {
			return err
		}
	}
	return nil
}

// load is a client of the compute API, as plain as can be.
type load struct {
	url, token, image string
	http              *http.Client
	out               io.Writer     // of the figures
	patience          time.Duration // for all instances to be built, and to be gone
}

func (l *load) printf(format string, args ...any) { _, _ = fmt.Fprintf(l.out, format, args...) }

func (l *load) do(ctx context.Context, method, path string, body, into any, want int) (http.Header, error) {
	var rd io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		rd = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, rd)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", l.token)
	resp, err := l.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, data)
	}
	if into == nil {
		return resp.Header, nil
	}
	return resp.Header, json.Unmarshal(data, into)
}

type object = map[string]any

func (l *load) login(ctx context.Context) error {
	domain := object{"id": "default"}
	h, err := l.do(ctx, "POST", "/identity/v3/auth/tokens", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": "admin", "password": "kilonova", "domain": domain}}},
		"scope":    object{"project": object{"name": "admin", "domain": domain}}}}, nil, http.StatusCreated)
	if err != nil {
		return err
	}
	l.token = h.Get("X-Subject-Token")
	var images struct{ Images []struct{ ID, Name string } }
	if _, err := l.do(ctx, "GET", "/image/v2/images", nil, &images, http.StatusOK); err != nil {
		return err
	}
	if len(images.Images) == 0 {
		return fmt.Errorf("the agent has no image")
	}
	l.image = images.Images[0].ID
	return nil
}

// each runs f for 0..n-1 from c goroutines and returns the latencies and the first error.
func each(n, c int, f func(i int) error) ([]time.Duration, time.Duration, error) {
	took := make([]time.Duration, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	for range c {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || failed.Load() != nil {
					return
				}
				t := time.Now()
				if err := f(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				took[i] = time.Since(t)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return nil, 0, *err
	}
	return took, time.Since(start), nil
}

func percentiles(d []time.Duration) string {
	slices.Sort(d)
	at := func(p float64) time.Duration {
		return d[min(len(d)-1, int(p*float64(len(d))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v  p90 %v  p99 %v  max %v", at(.5), at(.9), at(.99), d[len(d)-1].Round(10*time.Microsecond))
}

func (l *load) round(ctx context.Context, a *agent, n, c int) error {
	ids := make([]string, n)
	start := time.Now()
	took, all, err := each(n, c, func(i int) error {
		var out struct{ Server struct{ ID string } }
		_, err := l.do(ctx, "POST", "/compute/v2.1/servers", object{"server": object{"name": fmt.Sprintf("load-%d", i), "flavorRef": "1", "imageRef": l.image,
			"networks": []any{}}}, &out, http.StatusAccepted)
		ids[i] = out.Server.ID
		return err
	})
	if err != nil {
		return err
	}
	l.printf("create, accepted (202)   %8.0f /s   %s\n", float64(n)/all.Seconds(), percentiles(took))
	if err := l.waitActive(ctx); err != nil {
		return err
	}
	total := time.Since(start)
	l.printf("create, POST to ACTIVE   %8.0f /s   %d instances in %v\n", float64(n)/total.Seconds(), n, total.Round(time.Millisecond))
	l.printf("memory with %d instances: agent %d MiB, driver process %d MiB resident\n", n, a.rss(), a.driverRSS())
	if err := l.lists(ctx, n); err != nil {
		return err
	}
	start = time.Now()
	took, all, err = each(n, c, func(i int) error {
		_, err := l.do(ctx, "DELETE", "/compute/v2.1/servers/"+ids[i], nil, nil, http.StatusNoContent)
		return err
	})
	if err != nil {
		return err
	}
	l.printf("delete, accepted (204)   %8.0f /s   %s\n", float64(n)/all.Seconds(), percentiles(took))
	if err := l.waitGone(ctx); err != nil {
		return err
	}
	l.printf("delete, to gone          %8.0f /s\n", float64(n)/time.Since(start).Seconds())
	l.printf("memory after deletes: agent %d MiB, driver process %d MiB resident\n", a.rss(), a.driverRSS())
	return nil
}

// lists measures reads. A page holds what the agent is willing to give, which may be fewer than n.
func (l *load) lists(ctx context.Context, n int) error {
	detail := fmt.Sprintf("/compute/v2.1/servers/detail?limit=%d", n)
	page, err := l.servers(ctx, detail)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		return errors.New("the list of instances is empty")
	}
	for _, q := range []struct{ what, path string }{
		{fmt.Sprintf("GET /servers/detail, %d", len(page)), detail},
		{"GET /servers/{id}", "/compute/v2.1/servers/" + page[0].ID}, {"GET /flavors", "/compute/v2.1/flavors"}} {
		took, _, err := each(200, 1, func(int) error {
			_, err := l.do(ctx, "GET", q.path, nil, nil, http.StatusOK)
			return err
		})
		if err != nil {
			return err
		}
		l.printf("%-25s one at a time   %s\n", q.what, percentiles(took))
	}
	return nil
}

// waitActive returns when no instance is being built any more and none has failed.
func (l *load) waitActive(ctx context.Context) error {
	if err := l.wait(ctx, "/compute/v2.1/servers/detail?limit=1&status=BUILD", "in BUILD"); err != nil {
		return err
	}
	return l.failed(ctx) // those that ended after the last look
}

func (l *load) waitGone(ctx context.Context) error {
	return l.wait(ctx, "/compute/v2.1/servers/detail?limit=1", "there")
}

// One look at what is waited for costs the agent little; one for failures goes through all instances, so there are fewer of them.
const (
	lookEvery   = 5 * time.Millisecond
	failedEvery = 100 * time.Millisecond
)

// shown is what is read of an instance.
type shown struct {
	ID, Name string
	Fault    struct{ Message string }
}

// wait returns when the list at path is empty, or with what is known when an instance has failed or patience is at its end. It looks at
// least once.
func (l *load) wait(ctx context.Context, path, state string) error {
	end := time.Now().Add(l.patience)
	var looked time.Time
	for {
		list, err := l.servers(ctx, path)
		if err != nil || len(list) == 0 {
			return err
		}
		if time.Since(looked) >= failedEvery {
			looked = time.Now()
			if err := l.failed(ctx); err != nil {
				return err
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("instance %s is still %s after %v", list[0].Name, state, l.patience)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failed says of which instance why it failed, when one did.
func (l *load) failed(ctx context.Context) error {
	list, err := l.servers(ctx, "/compute/v2.1/servers/detail?limit=1&status=ERROR")
	if err != nil || len(list) == 0 {
		return err
	}
	return fmt.Errorf("instance %s is in ERROR: %s", list[0].Name, list[0].Fault.Message)
}

func (l *load) servers(ctx context.Context, path string) ([]shown, error) {
	var out struct{ Servers []shown }
	_, err := l.do(ctx, "GET", path, nil, &out, http.StatusOK)
	return out.Servers, err
}
