package models_test

import (
	"testing"
	"time"

	"clicktodial/models"
)

// A day is 24 hours, whatever the clocks on the wall do.
func TestExpiry(t *testing.T) {
	t.Parallel()
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	local := func(text string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04:05.999999999", text, amsterdam)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const year, quarter = 8760 * time.Hour, 2160 * time.Hour
	for _, c := range []struct {
		name, created string
		days          int
		maxAge        time.Duration
		want          string
		atEnd         bool
	}{
		{"over no change of the clocks", "2026-06-01 12:00:00", 90, quarter, "2026-08-30 12:00:00", false},
		{"the clocks go forward: an hour later on the wall", "2026-01-20 12:00:00", 90, quarter, "2026-04-20 13:00:00", false},
		{"the clocks go back: an hour earlier", "2026-10-01 12:00:00", 90, quarter, "2026-12-30 11:00:00", false},
		{"a year: both", "2026-01-20 12:00:00", 365, year, "2027-01-20 12:00:00", false},
		{"a year with a 29 February", "2027-06-01 00:00:00", 365, year, "2028-05-31 00:00:00", false},
		{"the ceiling holds", "2026-01-20 12:00:00", 365, quarter, "2026-04-20 13:00:00", false},
		{"the ceiling is lower than a day", "2026-03-29 01:59:59.5", 1, time.Second, "2026-03-29 03:00:00.5", false},
		{"one day over the missing hour", "2026-03-28 12:00:00", 1, quarter, "2026-03-29 13:00:00", false},
		{"one day over the hour that comes twice", "2026-10-24 12:00:00", 1, quarter, "2026-10-25 11:00:00", false},
		{"0 days: until the longest call's end", "2026-03-29 00:30:00", 0, quarter, "2026-03-29 05:30:00", true},
		{"0 days and a low ceiling", "2026-03-29 00:30:00", 0, time.Minute, "2026-03-29 00:31:00", true},
		{"whole milliseconds", "2026-06-01 12:00:00.123999999", 90, quarter, "2026-08-30 12:00:00.123", false},
	} {
		at, atEnd := models.Expiry(local(c.created), c.days, c.maxAge)
		if !at.Equal(local(c.want)) || atEnd != c.atEnd || at.Location() != time.UTC {
			t.Errorf("%s: %v (%v), want %v (%v)", c.name, at.In(amsterdam), atEnd, c.want, c.atEnd)
		}
	}
}
