package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	day        = 24 * time.Hour
	recordLife = 90 * day

	seedLanes = 2       // connections that fill
	seedChunk = 100_000 // rows of one statement
)

// What can be looked for in a history: half of all calls have this word in their
// name; numbers and words from these on are rare.
const (
	commonWord  = "klant"
	rareWords   = "bh" // of "aaaaa" to "bjjjj"
	rareNumbers = "+31206590000"
)

// seedSQL makes the calls $1 to $2, with the words of their names, and the timelines
// of those created before $9. $3 of all are due: they begin at $4, the others at $5,
// one each $6 seconds. Of the $7 owners the first call more than the last; $8 is
// from one to the next. Some of 20,000 words, and some of 300,000 numbers, are
// frequent, most are rare.
const seedSQL = `WITH made AS (
  INSERT INTO calls (id, tenant_id, user_id, device_id, device_label, grant_id, sign_in_label, number, name, number_masked, last_four,
      status, rank, reason, diagnosis, dispatch, replica_id, channel_id, created_at, caller_answered_at, connected_at, ended_at, expires_at)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid,
      '00000000-0000-7000-8000-000000000000', ('00000000-0000-7000-8001-' || person)::uuid, ('00000000-0000-7000-8002-' || person)::uuid,
      'Desk phone', ('00000000-0000-7000-8003-' || person)::uuid, 'Chromium', '+3120' || digits,
      CASE WHEN named < 0.5 THEN 'Klant ' || initcap(word) WHEN named < 0.7 THEN initcap(word) ELSE '' END,
      '+31 20 ' || substr(digits, 1, 3) || ' ' || substr(digits, 4, 1) || '***', right(digits, 4),
      CASE WHEN reason IS NULL THEN 'failed' ELSE 'disconnected' END, 4, reason,
      CASE reason WHEN 'hangUp' THEN 'hung-up' WHEN 'calleeBusy' THEN 'number-busy' ELSE 'number-unanswered' END, 'dispatched',
      '00000000-0000-7000-8005-000000000000', 'seed-' || lpad(to_hex(n), 12, '0'), at, at + interval '4 s',
      CASE WHEN reason = 'hangUp' THEN at + interval '9 s' END, at + interval '70 s', at + interval '90 days'
    FROM (
      SELECT n, named, digits, lpad(to_hex(person * $8::int), 12, '0') AS person, translate(lpad(word::text, 5, '0'), '0123456789', 'abcdefghij') AS word,
        CASE WHEN ended < 0.7 THEN 'hangUp' WHEN ended < 0.82 THEN 'calleeNoAnswer' WHEN ended < 0.9 THEN 'calleeBusy' WHEN ended < 0.94 THEN 'callerNoAnswer'
          WHEN ended < 0.98 THEN 'callerAbandon' WHEN ended < 0.999 THEN 'calleeFailure' END AS reason,
        date_trunc('milliseconds', CASE WHEN n < $3::int THEN $4::timestamptz ELSE $5::timestamptz END
          + (CASE WHEN n < $3::int THEN n ELSE n - $3::int END) * $6::float8 * interval '1 s') AS at
      FROM (
        SELECT n, random() AS named, random() AS ended, floor($7::int * power(random(), 1.5))::int AS person,
          floor(20000 * power(random(), 3))::int AS word, (2000000 + 17 * floor(300000 * power(random(), 3))::int)::text AS digits
        FROM generate_series($1::int, $2::int) n
      ) drawn
    ) call
    RETURNING tenant_id, id, name, created_at, expires_at
), words AS (
  INSERT INTO call_words (tenant_id, call_id, word, created_at, expires_at)
    SELECT tenant_id, id, word, created_at, expires_at FROM made, string_to_table(lower(name), ' ') word WHERE name <> ''
)
INSERT INTO call_events (tenant_id, call_id, rank, status, at)
  SELECT tenant_id, id, step, (ARRAY['callingCaller', 'callingCallee', 'connected', 'disconnected'])[step], created_at + step * interval '4 s'
  FROM made, generate_series(1, 4) step WHERE created_at < $9::timestamptz`

// fillCalls fills the tables of calls. They are spread evenly over 89 days: from
// the last that is due to the first that is not there is a day, so that nothing
// else falls due while we measure. Timelines there are only for what is going to
// be deleted; of the others nothing would read them.
func (s *stock) fillCalls(ctx context.Context) error {
	began := time.Now()
	indexes, err := s.data.dropIndexes(ctx)
	if err != nil {
		return fmt.Errorf("dropping indexes: %w", err)
	}
	now := began.UTC()
	step := 89 * day / time.Duration(s.rows-s.due)
	living, oldest := now.Add(-89*day), now.Add(-recordLife-time.Minute-time.Duration(s.due)*step)
	var filled atomic.Int64
	err = s.inLanes(ctx, (s.rows+seedChunk-1)/seedChunk, func(ctx context.Context, conn *pgx.Conn, n int) error {
		from, to := n*seedChunk, min(s.rows, (n+1)*seedChunk)
		_, err := conn.Exec(ctx, seedSQL, from, to-1, s.due, oldest, living, step.Seconds(), s.owners, stockTenants, living.Add(time.Duration(s.due)*step))
		if done := filled.Add(int64(to - from)); done%1_000_000 == 0 {
			progress("%s of %s calls filled in, %s", thousands(int(done)), thousands(s.rows), seconds(time.Since(began)))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("filling calls: %w", err)
	}
	err = s.inLanes(ctx, len(indexes), func(ctx context.Context, conn *pgx.Conn, n int) error {
		_, err := conn.Exec(ctx, indexes[n])
		return err
	})
	if err != nil {
		return fmt.Errorf("making the indexes again: %w", err)
	}
	progress("indexes made, %s", seconds(time.Since(began)))
	if err := s.settle(ctx); err != nil {
		return err
	}
	progress("%s calls are there, %s", thousands(s.rows), seconds(time.Since(began)))
	return nil
}

// inLanes does count things over some connections that set off no trigger: rows
// are made as they are to be.
func (s *stock) inLanes(ctx context.Context, count int, do func(ctx context.Context, conn *pgx.Conn, n int) error) error {
	var next atomic.Int64
	var work sync.WaitGroup
	faults := make([]error, seedLanes)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for lane := range seedLanes {
		work.Go(func() {
			faults[lane] = s.inLane(ctx, func(conn *pgx.Conn) error {
				for n := int(next.Add(1)) - 1; n < count; n = int(next.Add(1)) - 1 {
					if err := do(ctx, conn, n); err != nil {
						cancel()
						return err
					}
				}
				return nil
			})
		})
	}
	work.Wait()
	return errors.Join(faults...)
}

func (s *stock) inLane(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.Admin)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // its work is done
	for _, statement := range []string{
		"SET session_replication_role = replica", "SET synchronous_commit = off",
		"SET maintenance_work_mem = '256MB'", "SET max_parallel_maintenance_workers = 0",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return do(conn)
}

// dropIndexes takes away what is quicker to make at the end, and says how. Keys
// stay, and so do the indexes of living calls, which are empty: the server looks by them.
func (d *database) dropIndexes(ctx context.Context) (again []string, err error) {
	rows, err := d.conn.Query(ctx, `SELECT i.indexname, i.indexdef FROM pg_indexes i
		WHERE i.schemaname = 'public' AND i.tablename IN ('calls', 'call_words', 'call_events') AND i.indexdef NOT LIKE '%ended_at IS NULL%'
		AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexname::regclass)`)
	if err != nil {
		return nil, err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	if err != nil {
		return nil, err
	}
	for _, index := range indexes {
		again = append(again, index.Definition)
		if _, err := d.conn.Exec(ctx, "DROP INDEX "+pgx.Identifier{index.Name}.Sanitize()); err != nil {
			return nil, err
		}
	}
	return again, nil
}
