package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	shortenTo     = 80              // days: all of a stock's records are to end earlier, and none at once
	shortenStarts = 3 * time.Minute // until the first record is shortened: all are counted before
)

// shortening measures how a tenant's records come to end earlier, for some time,
// while calls go on, beside one bare UPDATE of as many rows under the same calls,
// and what each does to the calls. How long the whole takes follows.
func (b *bench) shortening(ctx context.Context, s *stock, quiet *silent, alone *paced) error {
	if len(alone.took) == 0 {
		return errNotAlone
	}
	var rows int
	var took time.Duration
	shortened, err := s.phase(ctx, quiet, "shorten", "shortening what is kept", func() (err error) {
		rows, took, err = s.shorten(ctx)
		return errors.Join(err, s.endShortening(ctx)) // else it goes on under what follows
	})
	if err != nil {
		return err
	}
	updated, err := s.phase(ctx, quiet, "update", "updating "+thousands(rows)+" calls", func() error { return s.bareUpdate(ctx, rows) })
	if err != nil {
		return err
	}
	rate, yard := float64(rows)/took.Seconds(), float64(rows)/updated.during.Seconds()
	b.results = append(b.results,
		result{
			what:   fmt.Sprintf("calls made to end earlier, %s, under %d calls/s", thousands(rows), pace),
			figure: fmt.Sprintf("%.0f rows/s (one run)", rate), yardstick: fmt.Sprintf("one bare UPDATE %.0f rows/s (one run)", yard),
			compared: fmt.Sprintf("%.0f %%", 100*rate/yard),
		},
		tailResult(alone, shortened, updated, "UPDATE"))
	b.notes = append(b.notes, fmt.Sprintf("Shortening from 90 to %d days: for %s, the count of the records before it left out, and one UPDATE of as many rows.", shortenTo, seconds(took))+
		clicksDuring(during{"alone", alone}, during{"shorten", shortened}, during{"UPDATE", updated}))
	return nil
}

// shorten has the server shorten for a while, and says how many records that were,
// and how long it took from the first of them.
func (s *stock) shorten(ctx context.Context) (rows int, took time.Duration, err error) {
	if _, err := s.data.conn.Exec(ctx, "UPDATE tenants SET retention_days = $1 WHERE id = $2", shortenTo, idOf(kindTenant, 0)); err != nil {
		return 0, 0, err
	}
	first := 0
	var began time.Time
	for asked := time.Now(); ; {
		changed, enough, err := s.shortened(ctx)
		switch {
		case err != nil:
			return 0, 0, err
		case began.IsZero() && changed > 0:
			first, began = changed, time.Now()
		case began.IsZero() && time.Since(asked) > shortenStarts:
			return 0, 0, fmt.Errorf("no record was shortened within %v", shortenStarts)
		case !began.IsZero() && changed > first && (enough || time.Since(began) > s.alone):
			return changed - first, time.Since(began), nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
}

// shortened says how many records were, and whether that is a quarter of all: the
// UPDATE needs as many.
func (s *stock) shortened(ctx context.Context) (changed int, quarter bool, err error) {
	err = s.data.conn.QueryRow(ctx, "SELECT coalesce(sum(changed), 0)::int, coalesce(bool_or(done * 4 >= total), false) FROM restamps").Scan(&changed, &quarter)
	return changed, quarter, err
}

// endShortening leaves the rest as it is.
func (s *stock) endShortening(ctx context.Context) error {
	_, err := s.data.conn.Exec(ctx, "UPDATE tenants SET retention_days = 90 WHERE id = $1", idOf(kindTenant, 0))
	if err == nil {
		_, err = s.data.conn.Exec(ctx, "UPDATE restamps SET finished_at = now()")
	}
	return err
}

// bareUpdate makes as many of the others end as much earlier, in one statement.
func (s *stock) bareUpdate(ctx context.Context, rows int) error {
	tag, err := s.data.conn.Exec(ctx, `UPDATE calls SET expires_at = created_at + $1 * interval '1 day' WHERE id = ANY (ARRAY(
		SELECT id FROM calls WHERE tenant_id = $2 AND expires_at > created_at + $1 * interval '1 day' AND ended_at IS NOT NULL ORDER BY created_at DESC LIMIT $3))`,
		shortenTo, idOf(kindTenant, 0), rows)
	if err == nil && tag.RowsAffected() != int64(rows) {
		err = fmt.Errorf("%d rows were updated instead of %d", tag.RowsAffected(), rows)
	}
	return err
}
