package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"clicktodial/server/live"
)

const (
	goalPurge = 0.5 // of the bare DELETE's rate
	goalTail  = 1.5 // times the p99 of a call without it
)

// callsAlone adds to alone how clicks fare with nothing beside them: before, between
// and after what is measured, because the machine does not stay as it is.
func (s *stock) callsAlone(ctx context.Context, quiet *silent, alone *paced) error {
	if err := s.warmTokens(ctx, s.server); err != nil {
		return err
	}
	name := fmt.Sprintf("alone-%d", len(alone.took))
	p, err := s.phase(ctx, quiet, name, "calls alone", func() error { return sleep(ctx, s.alone) })
	if err == nil {
		alone.add(p)
	}
	return err
}

var errNotAlone = errors.New("there are no calls alone to compare with")

// purging measures the purge of what is due while calls go on, beside one bare
// DELETE of as many rows under the same calls, and what each does to the calls.
func (b *bench) purging(ctx context.Context, s *stock, quiet *silent, alone *paced) error {
	if len(alone.took) == 0 {
		return errNotAlone
	}
	if err := s.indexDue(ctx); err != nil {
		return fmt.Errorf("the due queue: %w", err)
	}
	purged, err := s.phase(ctx, quiet, "purge", "purging "+thousands(s.due)+" calls", func() error { return s.purge(ctx) })
	if err != nil {
		return err
	}
	left, err := s.data.countEnding(ctx, time.Now())
	if err == nil && left > 0 {
		err = fmt.Errorf("the purge left %d calls that were due", left)
	}
	if err != nil {
		return err
	}
	if err := s.callsAlone(ctx, quiet, alone); err != nil {
		return err
	}
	until, err := s.data.nextEnd(ctx, s.due)
	if err != nil {
		return err
	}
	deleted, err := s.phase(ctx, quiet, "delete", "deleting "+thousands(s.due)+" calls", func() error { return s.bareDelete(ctx, until) })
	if err != nil {
		return err
	}
	if err := s.callsAlone(ctx, quiet, alone); err != nil {
		return err
	}
	b.purgeResults(s, alone, purged, deleted)
	return nil
}

// phase does something on a settled database while calls go on.
func (s *stock) phase(ctx context.Context, quiet *silent, name, says string, do func() error) (*paced, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	progress("%s", says)
	before := quiet.taken.Load()
	p, err := s.whilePaced(ctx, name, do)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", says, err)
	}
	progress("that took %s", seconds(p.during))
	if quiet.taken.Load()-before < int64(len(p.took)) {
		return nil, errors.New("calls that were accepted did not reach the PBX")
	}
	return p, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// indexDue enters what fell due since yesterday: what Redis would still hold of
// it, had these calls been made over the API.
func (s *stock) indexDue(ctx context.Context) error {
	redis, err := live.Open(s.Redis, s.of.prefix)
	if err != nil {
		return err
	}
	defer redis.Close() //nolint:errcheck // it has been written
	rows, err := s.data.conn.Query(ctx, "SELECT user_id, id, expires_at FROM calls WHERE expires_at <= now() AND expires_at >= date_trunc('day', now()) - interval '1 day'")
	if err != nil {
		return err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e live.Entry, err error) {
		var user, call [16]byte
		err = row.Scan(&user, &call, &e.Expires)
		e.User, e.Call = uuid.UUID(user), uuid.UUID(call)
		return e, err
	})
	if err != nil {
		return err
	}
	const batch = 500
	index := live.NewTTLIndex(redis)
	for len(entries) > 0 {
		n := min(batch, len(entries))
		if err := index.Add(ctx, entries[:n]...); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// purge runs the command.
func (s *stock) purge(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.Server, "purge", "--once", "--json")
	cmd.Env = s.environ(s.of.environ()...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return nil
}

// bareDelete deletes as many of what is left, in one statement: with the tables'
// own triggers and keys, and nothing else.
func (s *stock) bareDelete(ctx context.Context, until time.Time) error {
	tag, err := s.data.conn.Exec(ctx, "DELETE FROM calls WHERE expires_at <= $1", until)
	if err == nil && tag.RowsAffected() != int64(s.due) {
		err = fmt.Errorf("%d rows were deleted instead of %d", tag.RowsAffected(), s.due)
	}
	return err
}

// nextEnd says by when so many of the calls that are left will have ended their time.
func (d *database) nextEnd(ctx context.Context, calls int) (until time.Time, err error) {
	err = d.conn.QueryRow(ctx, "SELECT max(expires_at) FROM (SELECT expires_at FROM calls ORDER BY expires_at LIMIT $1) first", calls).Scan(&until)
	return until, err
}

// countEnding counts the calls that have ended their time then.
func (d *database) countEnding(ctx context.Context, then time.Time) (n int, err error) {
	err = d.conn.QueryRow(ctx, "SELECT count(*) FROM calls WHERE expires_at <= $1", then).Scan(&n)
	return n, err
}

func (b *bench) purgeResults(s *stock, alone, purged, deleted *paced) {
	rate := func(p *paced) float64 { return float64(s.due) / p.during.Seconds() }
	share := rate(purged) / rate(deleted)
	b.results = append(b.results,
		result{
			what:   fmt.Sprintf("purge of %s calls among %s, under %d calls/s", thousands(s.due), thousands(s.rows), pace),
			figure: fmt.Sprintf("%.0f rows/s (one run)", rate(purged)), yardstick: fmt.Sprintf("one bare DELETE %.0f rows/s (one run)", rate(deleted)),
			compared: fmt.Sprintf("%.0f %%", 100*share), goal: fmt.Sprintf("at least %.0f %%", 100*goalPurge), met: share >= goalPurge,
		},
		tailResult(alone, purged, deleted, "DELETE"))
	b.notes = append(b.notes, fmt.Sprintf("Purge and DELETE: once each, on a database vacuumed before (autovacuum off), each call with its timeline. A p99 is the median of those of each %d calls.", tailClicks)+
		clicksDuring(during{"alone", alone}, during{"purge", purged}, during{"DELETE", deleted}))
}

// tailResult is what something does to the clicks, beside its yardstick.
func tailResult(alone, measured, yardstick *paced, statement string) result {
	longer := measured.p99() / alone.p99()
	return result{
		what: "  p99 of an accepted call during it", figure: fmt.Sprintf("%.2f ms", measured.p99()),
		yardstick: fmt.Sprintf("alone %.2f ms; during the bare %s %.2f ms", alone.p99(), statement, yardstick.p99()),
		compared:  fmt.Sprintf("%+.0f %%", 100*(longer-1)), goal: fmt.Sprintf("under %.0f %% more", 100*(goalTail-1)),
		met: longer < goalTail && measured.refused == 0,
	}
}

// during is how clicks fared during something.
type during struct {
	name string
	*paced
}

func clicksDuring(all ...during) string {
	note := fmt.Sprintf(" %d calls/s went on:", pace)
	for _, p := range all {
		note += fmt.Sprintf("\n  %-7s %s, %d calls accepted, %d not: %s", p.name, seconds(p.during), len(p.took), p.refused, tail(p.took))
	}
	return note
}
