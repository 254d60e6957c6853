package command

import (
	"fmt"
	"strings"
	"time"
)

func compareText(a, b string) int { return strings.Compare(a, b) }

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func yesNo(yes bool) string { return pick(yes, "yes", "no") }

// shortID is enough of a UUID for people; options ask for whole ones.
func shortID(id string) string {
	short, _, _ := strings.Cut(id, "-")
	return short
}

// moment writes a time for people; the zero time is "".
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// span writes how long something took or has taken.
func span(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// size writes bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, i := float64(n), 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}

// keyValues is a flag of KEY=VALUE that may be given several times.
type keyValues map[string]string

func (k keyValues) String() string { return "" }

// Set takes one of them.
func (k keyValues) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q: KEY=VALUE is right", text)
	}
	k[key] = value
	return nil
}

// number writes a count; 0 is "".
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func joined(list []string) string { return strings.Join(list, ", ") }
