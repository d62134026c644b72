package live

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

// The index hides from its millisecond on, never shows what Postgres did not give,
// and takes in what it lacked.
func TestLiving(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := endOfDay(time.Now()).Add(12 * time.Hour) // one key holds all
	const ms = time.Millisecond
	for _, row := range []struct {
		name     string
		indexed  time.Duration // from now, in whole ms; 0: the index lacks it
		expires  time.Duration // by Postgres
		hidden   bool
		repaired bool
	}{
		{"both say it lives", time.Hour, time.Hour, false, false},
		{"a millisecond before its end", ms, ms, false, false},
		{"the index says that it ends just now", 1, time.Second, true, false},
		{"the index says that it ended before", -ms, time.Second, true, false},
		{"Postgres says so, the index not yet", time.Second, 0, true, false},
		{"the index lacks it", 0, time.Second, false, true},
		{"the index lacks what has ended", 0, 0, true, false},
	} {
		r := setup(t)
		x := NewTTLIndex(r)
		e := Entry{uuid.New(), uuid.New(), now.Add(row.expires)}
		if row.indexed != 0 {
			if err := x.Add(ctx, Entry{e.User, e.Call, now.Add(row.indexed)}); err != nil {
				t.Fatal(err)
			}
		}
		hidden, err := x.Living(ctx, now, []Entry{e})
		if err != nil || hidden[e.Call] != row.hidden {
			t.Errorf("%s: hidden %v, %v, want %v", row.name, hidden[e.Call], err, row.hidden)
		}
		score, err := r.client.ZScore(ctx, x.histKey(e.User, e.Expires), e.Call.String()).Result()
		if row.repaired && (err != nil || int64(score) != e.Expires.UnixMilli()) {
			t.Errorf("%s: it was not repaired: %v, %v", row.name, score, err)
		}
		if row.indexed == 0 && !row.repaired && len(keys(t, r)) != 0 {
			t.Errorf("%s: it was entered", row.name)
		}
	}
}

// A page of many users and calls: each is judged by its own.
func TestLivingOfAPage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	x := NewTTLIndex(setup(t))
	now := endOfDay(time.Now()).Add(12 * time.Hour)
	ended := map[uuid.UUID]bool{}
	var page []Entry
	for i := range 100 {
		user := uuid.New()
		for _, earlier := range []time.Duration{0, 2 * time.Hour} {
			e := Entry{user, uuid.New(), now.Add(time.Hour + time.Duration(i%3)*models.Day)}
			page = append(page, e)
			if earlier > 0 && i%3 == 0 {
				ended[e.Call] = true
			}
			if i%5 == 0 && !ended[e.Call] {
				continue // lacking
			}
			if err := x.Add(ctx, Entry{user, e.Call, e.Expires.Add(-earlier)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the second time nothing is lacking
		hidden, err := x.Living(ctx, now, page)
		if err != nil || !maps.Equal(hidden, ended) {
			t.Errorf("%d hidden, %v, want %d", len(hidden), err, len(ended))
		}
	}
	if none, err := x.Living(ctx, now, nil); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %v, %v", none, err)
	}
}

// With Redis down nothing is hidden but what has ended by Postgres's own word.
func TestLivingWithoutRedis(t *testing.T) {
	t.Parallel()
	x := NewTTLIndex(open(t, "redis://127.0.0.1:1/0", "x:"))
	now := time.Now()
	living, over := Entry{uuid.New(), uuid.New(), now.Add(time.Second)}, Entry{uuid.New(), uuid.New(), now}
	hidden, err := x.Living(context.Background(), now, []Entry{living, over})
	if !errors.Is(err, ErrDown) || hidden[living.Call] || !hidden[over.Call] {
		t.Errorf("hidden %v, %v", hidden, err)
	}
}

// Of two ends the earlier holds, in whatever order they are written.
func TestAnEndIsNotPutOff(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	x := NewTTLIndex(r)
	e := Entry{uuid.New(), uuid.New(), endOfDay(time.Now()).Add(12 * time.Hour)}
	for _, end := range []time.Duration{time.Minute, 0, time.Hour} {
		if err := x.Add(ctx, Entry{e.User, e.Call, e.Expires.Add(end)}); err != nil {
			t.Fatal(err)
		}
	}
	for key, member := range map[string]any{x.histKey(e.User, e.Expires): e.member().Member, x.dueKey(e.Expires): e.dueMember().Member} {
		if score, err := r.client.ZScore(ctx, key, member.(string)).Result(); err != nil || int64(score) != e.Expires.UnixMilli() {
			t.Errorf("%s: %v, %v", key, score, err)
		}
	}
}
