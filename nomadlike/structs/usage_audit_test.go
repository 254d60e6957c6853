package structs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func anyPeriod(t *rapid.T) UsagePeriod {
	unit := rapid.SampledFrom([]UsageUnit{UsageHour, UsageDay, UsageMonth, UsageYear}).Draw(t, "unit")
	limits := usageOffsets[unit]
	return UsagePeriod{unit, rapid.IntRange(limits[0], limits[1]).Draw(t, "offset")}
}

// The last period was over before the moment, the next one was not; periods follow each other without a gap; and each is as long as its unit, from its offset on.
func TestUsagePeriods(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPeriod(t)
		now := time.Unix(rapid.Int64Range(0, 8e9).Draw(t, "now"), rapid.Int64Range(0, 1).Draw(t, "ns")).UTC()
		begin, end := p.Last(now)
		require.True(t, begin.Before(end) && end.Before(now), "%s at %s: %s to %s", p, now, begin, end)
		next, after := p.Last(end.Add(time.Nanosecond))
		require.Equal(t, [2]time.Time{begin, end}, [2]time.Time{next, after}, "it is the last one from its end on")
		_, prior := p.Last(end)
		require.Equal(t, begin, prior, "before its end it was not over")
		days := end.Sub(begin).Hours() / 24
		switch p.Unit {
		case UsageHour:
			require.Equal(t, time.Hour, end.Sub(begin))
			require.Equal(t, p.Offset, end.Minute())
			require.False(t, now.Sub(end) > time.Hour)
		case UsageDay:
			require.Equal(t, 1.0, days)
			require.Equal(t, p.Offset, end.Hour())
			require.False(t, now.Sub(end) > 24*time.Hour)
		case UsageMonth:
			require.True(t, days >= 28 && days <= 31)
			require.Equal(t, p.Offset, end.Day())
			require.False(t, now.Sub(end) > 31*24*time.Hour)
		case UsageYear:
			require.True(t, days >= 365 && days <= 366)
			require.Equal(t, time.Month(p.Offset), end.Month())
			require.False(t, now.Sub(end) > 366*24*time.Hour)
		}
		back, err := ParseUsagePeriod(p.String())
		require.NoError(t, err)
		require.Equal(t, p, back)
	})
}

func TestUsagePeriodsAsNova(t *testing.T) {
	t.Parallel()
	for _, q := range []struct{ period, at, begin, end string }{
		{"hour", "2012-07-05 10:00:00", "2012-07-05 08:00:00", "2012-07-05 09:00:00"},
		{"hour", "2012-07-05 10:00:01", "2012-07-05 09:00:00", "2012-07-05 10:00:00"},
		{"hour@10", "2012-07-05 08:02:01", "2012-07-05 06:10:00", "2012-07-05 07:10:00"},
		{"day", "2012-03-05 08:12:22", "2012-03-04 00:00:00", "2012-03-05 00:00:00"},
		{"day@6", "2012-03-05 04:12:22", "2012-03-03 06:00:00", "2012-03-04 06:00:00"},
		{"month", "2012-03-05 08:12:22", "2012-02-01 00:00:00", "2012-03-01 00:00:00"},
		{"month@15", "2012-03-05 08:12:22", "2012-01-15 00:00:00", "2012-02-15 00:00:00"},
		{"month", "2012-01-01 00:00:00", "2011-11-01 00:00:00", "2011-12-01 00:00:00"},
		{"year", "2012-03-05 08:12:22", "2011-01-01 00:00:00", "2012-01-01 00:00:00"},
		{"year@6", "2012-03-05 08:12:22", "2010-06-01 00:00:00", "2011-06-01 00:00:00"},
	} {
		p, err := ParseUsagePeriod(q.period)
		require.NoError(t, err)
		at, err := time.Parse(time.DateTime, q.at)
		require.NoError(t, err)
		begin, end := p.Last(at)
		require.Equal(t, q.begin+" to "+q.end, begin.Format(time.DateTime)+" to "+end.Format(time.DateTime), "%s at %s", q.period, q.at)
	}
	begin, end := UsagePeriod{}.Last(time.Date(2012, 3, 5, 0, 0, 0, 0, time.UTC))
	require.Equal(t, "2012-02-01 2012-03-01", begin.Format(time.DateOnly)+" "+end.Format(time.DateOnly), "the default is a month")
	for _, wrong := range []string{"", "week", "hour@", "hour@60", "day@-1", "month@0", "month@29", "year@13", "month@x", "Month"} {
		_, err := ParseUsagePeriod(wrong)
		require.True(t, IsKind(err, KindInvalid), wrong)
	}
}
