package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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
// How long the rebuild took is what the server logs of it; its start is not in that.
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
	of := s.of
	of.settings = append(slices.Clone(of.settings), "LOG_LEVEL=info")
	began := time.Now()
	if s.server, err = s.serveReplica(ctx, of, "rebuild", pbxURL, b.Redis); err != nil {
		return err
	}
	defer s.halt()
	if err := awaitEntries(ctx, redis, keys, entries); err != nil {
		return err
	}
	withStart := time.Since(began)
	rebuilt, err := s.server.awaitRebuilt(ctx)
	if err != nil {
		return err
	}
	s.halt()
	bare, err := bareEntries(redis, keys, entries)
	if err != nil {
		return err
	}
	rate, yard := rebuilt.rate(), float64(entries)/bare.Seconds()
	b.results = append(b.results, result{
		what:   fmt.Sprintf("index rebuilt, %s entries, by the server's log", thousands(rebuilt.Entries)),
		figure: fmt.Sprintf("%.0f /s (one run)", rate), yardstick: fmt.Sprintf("one pipelined ZADD each %.0f /s (one run)", yard),
		compared: fmt.Sprintf("%.0f %%", 100*rate/yard), goal: thousands(int(goalRebuild)) + " /s", met: rate >= goalRebuild,
	})
	b.notes = append(b.notes, fmt.Sprintf("The index: the server says that its rebuild took %d ms. All %s entries were there %s after the start of its process.",
		rebuilt.TookMS, thousands(entries), seconds(withStart)))
	return nil
}

// rebuilt is what a server logs of a rebuild.
type rebuilt struct {
	Message string `json:"msg"`
	Entries int    `json:"entries"`
	TookMS  int64  `json:"took_ms"`
}

// rate is entries a second.
func (r rebuilt) rate() float64 {
	return float64(r.Entries) / (time.Duration(r.TookMS) * time.Millisecond).Seconds()
}

// awaitRebuilt waits until the server has logged its rebuild.
func (p *process) awaitRebuilt(ctx context.Context) (r rebuilt, err error) {
	for end := time.Now().Add(rebuildPatience); time.Now().Before(end); {
		text, err := os.ReadFile(p.log.Name())
		if err != nil {
			return r, err
		}
		for line := range bytes.Lines(text) {
			if json.Unmarshal(line, &r) == nil && r.Message == "the index was rebuilt" {
				return r, nil
			}
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return r, err
		}
	}
	return r, errors.New("the server has logged no rebuild")
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

// awaitEntries waits until so many are there. An error when no more come.
func awaitEntries(ctx context.Context, redis *resp, keys []string, entries int) error {
	var count [][]string
	for _, key := range keys {
		count = append(count, []string{"ZCARD", key})
	}
	there, told := 0, time.Now()
	for grown := time.Now(); time.Since(grown) < rebuildPatience; {
		now, err := redis.ask(count...)
		if err != nil || now >= entries {
			return err
		}
		if now > there {
			there, grown = now, time.Now()
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			progress("%s entries of %s", thousands(there), thousands(entries))
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("of %d entries %d were there, and no more came for %v", entries, there, rebuildPatience)
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
