package store

import (
	"context"
	"time"
)

// Postgres decides by its own clock when a record ends. A replica's clock may
// differ by a quarter of a second before it is not ready any more, and whatever
// judges beside Postgres would hide a record too early by as much.

// clockTries is how often a measurement asks: the quickest answer tells most.
const clockTries = 5

// Clock is the service's now as Postgres's clock would show it, as far as is
// known: never later than it by more than half the quickest round trip.
func (d *DB) Clock(now time.Time) time.Time { return now.Add(time.Duration(d.ahead.Load())) }

// SetClock measures how far Postgres's clock is ahead of ours. What it was holds
// until it is measured again.
func (d *DB) SetClock(ctx context.Context, now func() time.Time) error {
	var skew time.Duration
	slack := time.Duration(-1)
	for range clockTries {
		before := now()
		got, err := d.ClockSkew(ctx, now)
		if err != nil {
			return err
		}
		if half := now().Sub(before) / 2; slack < 0 || half < slack {
			skew, slack = got, half
		}
	}
	d.ahead.Store(int64(certain(skew, slack)))
	return nil
}

// certain is what a measurement proves: nothing where it allows for equal clocks,
// else the least that Postgres's can be ahead.
func certain(skew, slack time.Duration) time.Duration {
	if skew.Abs() <= slack {
		return 0
	}
	return skew - slack
}
