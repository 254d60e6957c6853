package structs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// UsagePeriod is Nova's instance_usage_audit_period: how long the periods are whose usage is told, and when in it they begin.
type UsagePeriod struct {
	Unit UsageUnit
	// Offset is the minute of an hour, the hour of a day, the day of a month or the month of a year at which a period begins; 0 is the first.
	Offset int
}

// UsageUnit is the length of a period.
type UsageUnit string

// The units that there are.
const (
	UsageHour  UsageUnit = "hour"
	UsageDay   UsageUnit = "day"
	UsageMonth UsageUnit = "month"
	UsageYear  UsageUnit = "year"
)

// usageOffsets are the least and the greatest offset of a unit. A month has no day beyond the 28th, which every month has.
var usageOffsets = map[UsageUnit][2]int{UsageHour: {0, 59}, UsageDay: {0, 23}, UsageMonth: {1, 28}, UsageYear: {1, 12}}

// ParseUsagePeriod reads a unit, or a unit, an @ and an offset, as "month@15".
func ParseUsagePeriod(text string) (UsagePeriod, error) {
	unit, offset, at := strings.Cut(text, "@")
	limits, known := usageOffsets[UsageUnit(unit)]
	if !known {
		return UsagePeriod{}, Errorf(KindInvalid, "%q is no period; hour, day, month or year is right, or one of them with an offset such as \"month@15\"", text)
	}
	p := UsagePeriod{Unit: UsageUnit(unit)}
	if !at {
		return p, nil
	}
	n, err := strconv.Atoi(offset)
	if err != nil || n < limits[0] || n > limits[1] {
		return UsagePeriod{}, Errorf(KindInvalid, "the offset of %q is wrong; a number from %d to %d is right", text, limits[0], limits[1])
	}
	p.Offset = n
	return p, nil
}

// String is what ParseUsagePeriod reads.
func (p UsagePeriod) String() string {
	if p.Offset == 0 {
		return string(p.Unit)
	}
	return fmt.Sprintf("%s@%d", p.Unit, p.Offset)
}

// begun is the newest beginning of a period that is not after t.
func (p UsagePeriod) begun(t time.Time) time.Time {
	t = t.UTC()
	first := max(p.Offset, usageOffsets[p.Unit][0])
	var at time.Time
	switch p.Unit {
	case UsageHour:
		at = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), first, 0, 0, time.UTC)
	case UsageDay:
		at = time.Date(t.Year(), t.Month(), t.Day(), first, 0, 0, 0, time.UTC)
	case UsageYear:
		at = time.Date(t.Year(), time.Month(first), 1, 0, 0, 0, 0, time.UTC)
	default:
		at = time.Date(t.Year(), t.Month(), max(first, 1), 0, 0, 0, 0, time.UTC)
	}
	if at.After(t) {
		return p.prior(at)
	}
	return at
}

// prior is the beginning of the period before the one that begins at t.
func (p UsagePeriod) prior(t time.Time) time.Time {
	switch p.Unit {
	case UsageHour:
		return t.Add(-time.Hour)
	case UsageDay:
		return t.AddDate(0, 0, -1)
	case UsageYear:
		return t.AddDate(-1, 0, 0)
	}
	return t.AddDate(0, -1, 0)
}

// Last is the last period that was over before t: its end is before t, and t is not later than the end of the one that follows. The zero UsagePeriod is Nova's
// default, a month.
func (p UsagePeriod) Last(t time.Time) (begin, end time.Time) {
	end = p.begun(t)
	if end.Equal(t) {
		end = p.prior(end)
	}
	return p.prior(end), end
}

// UsageAudit is one host's part of one run of the usage audit: Nova's task log. That of HostID "" tells of the instances that no host of the cluster has, and ends the run.
type UsageAudit struct {
	Meta
	Begin     Time         `codec:"b"` // of the period
	End       Time         `codec:"e"`
	HostID    HostID       `codec:"h,omitempty"`
	Host      string       `codec:"n,omitempty"` // its name
	Count     int64        `codec:"c,omitempty"` // of instances that were alive in the period
	Instances []InstanceID `codec:"i,omitempty"` // these; they are kept until the next run, for who tells of them
	At        Time         `codec:"at"`
}

// Message is what Nova's task log says of a run that is done.
func (a *UsageAudit) Message() string {
	return fmt.Sprintf("Instance usage audit ran for host %s, %d instances in 0.0 seconds.", a.Host, a.Count)
}

// AliveIn reports whether an instance was launched before end and not yet terminated at begin.
func (i *Instance) AliveIn(begin, end Time) bool {
	return !i.LaunchedAt.IsZero() && i.LaunchedAt < end && (i.TerminatedAt.IsZero() || i.TerminatedAt > begin)
}

// UsageAuditRequest is a part of a run: that of the hosts that are named, those that had theirs already excepted. Last is the run's end: a host that comes
// later has no instances.
type UsageAuditRequest struct {
	Begin Time     `codec:"b"`
	End   Time     `codec:"e"`
	Hosts []HostID `codec:"h,omitempty"`
	Last  bool     `codec:"l,omitempty"`
	Now   Time     `codec:"now"`
}

// UsageAuditPeriods is of how many periods the runs are kept.
const UsageAuditPeriods = 24

// Copy returns a deep copy.
func (a *UsageAudit) Copy() *UsageAudit {
	c := *a
	c.Instances = slices.Clone(a.Instances)
	return &c
}
