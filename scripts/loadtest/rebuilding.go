package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

const (
	goalRebuild     = 100_000.0        // entries a second
	rebuildPatience = 15 * time.Second // without a new entry
	rebuildBatch    = 1000             // commands of the yardstick in one go
)

// rebuilding has a server start on an empty Redis, and waits until the index of
// all calls is there: in the due queue, which is written together with the users'.
func (b *bench) rebuilding(ctx context.Context, s *stock, pbxURL string) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	redis, err := dialRedis(b.Redis)
	if err != nil {
		return err
	}
	defer redis.close()
	entries, keys, err := s.dueKeys(ctx)
	if err != nil {
		return err
	}
	if _, err := redis.ask([]string{"FLUSHDB"}); err != nil { // all in it was of servers that have stopped
		return err
	}
	progress("rebuilding the index of %s calls", thousands(entries))
	row := result{what: "index rebuilt, entries", goal: thousands(int(goalRebuild)) + " /s"}
	began := time.Now()
	if s.server, err = s.serveReplica(ctx, s.of, "rebuild", pbxURL, b.Redis); err != nil {
		return err
	}
	there, err := awaitEntries(ctx, redis, keys, entries)
	if err != nil {
		return err
	}
	took := time.Since(began)
	s.halt()
	if there < entries {
		row.missing = fmt.Sprintf("of %d entries %d were there, and no more came for %v", entries, there, rebuildPatience)
		b.results = append(b.results, row)
		return nil
	}
	bare, err := bareEntries(redis, keys, entries)
	if err != nil {
		return err
	}
	rate, yard := float64(entries)/took.Seconds(), float64(entries)/bare.Seconds()
	row.figure, row.yardstick = fmt.Sprintf("%.0f /s (one run)", rate), fmt.Sprintf("one pipelined ZADD each %.0f /s (one run)", yard)
	row.compared, row.met = fmt.Sprintf("%.0f %%", 100*rate/yard), rate >= goalRebuild
	b.results = append(b.results, row)
	b.notes = append(b.notes, fmt.Sprintf("The index of %s calls was there %s after the start of a server on an empty Redis; that start is in it.", thousands(entries), seconds(took)))
	return nil
}

// dueKeys says how many calls are to be in the due queue, and its keys.
func (s *stock) dueKeys(ctx context.Context) (entries int, keys []string, err error) {
	var first, last time.Time
	err = s.data.conn.QueryRow(ctx, "SELECT count(*), min(expires_at), max(expires_at) FROM calls").Scan(&entries, &first, &last)
	for at := first.UTC().Truncate(day); err == nil && at.Before(last); at = at.Add(day) {
		keys = append(keys, s.of.prefix+"due:"+at.Format(time.DateOnly))
	}
	return entries, keys, err
}

// awaitEntries waits until so many are there, or no more come, and says how many are.
func awaitEntries(ctx context.Context, redis *resp, keys []string, entries int) (there int, err error) {
	var count [][]string
	for _, key := range keys {
		count = append(count, []string{"ZCARD", key})
	}
	told := time.Now()
	for grown := time.Now(); time.Since(grown) < rebuildPatience; {
		now, err := redis.ask(count...)
		if err != nil || now >= entries {
			return now, err
		}
		if now > there {
			there, grown = now, time.Now()
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			progress("%s entries of %s", thousands(there), thousands(entries))
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return there, err
		}
	}
	return there, nil
}

// bareEntries enters as many, once each, over one connection.
func bareEntries(redis *resp, keys []string, entries int) (time.Duration, error) {
	if _, err := redis.ask([]string{"FLUSHDB"}); err != nil {
		return 0, err
	}
	score := strconv.FormatInt(time.Now().UnixMilli(), 10)
	commands := make([][]string, 0, rebuildBatch)
	began := time.Now()
	for n := 0; n < entries; {
		commands = commands[:0]
		for ; n < entries && len(commands) < rebuildBatch; n++ {
			commands = append(commands, []string{"ZADD", keys[n*len(keys)/entries], score, idOf(kindCall, n).String()})
		}
		added, err := redis.ask(commands...)
		if err != nil {
			return 0, err
		}
		if added != len(commands) {
			return 0, fmt.Errorf("of %d entries %d were new", len(commands), added)
		}
	}
	return time.Since(began), nil
}
