package live

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

// What is due is given from its millisecond on, that of the day before first, and
// no more of it than asked for; what is forgotten does not come again.
func TestDueAndForget(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	x := NewTTLIndex(setup(t))
	noon := time.Now().UTC().Truncate(models.Day).Add(models.Day / 2)
	user := uuid.New()
	entry := func(at time.Time) Entry { return Entry{user, uuid.New(), at} }
	yesterday, before, now := entry(noon.Add(-models.Day)), entry(noon.Add(-time.Millisecond)), entry(noon)
	after, tomorrow := entry(noon.Add(time.Millisecond)), entry(noon.Add(models.Day))
	if err := x.Add(ctx, after, now, tomorrow, yesterday, before); err != nil {
		t.Fatal(err)
	}
	look := func(name string, at time.Time, limit int, want ...Entry) {
		t.Helper()
		got, err := x.Due(ctx, at, limit)
		same := func(a, b Entry) bool { return a.User == b.User && a.Call == b.Call && a.Expires.Equal(b.Expires) }
		if err != nil || !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	look("at its instant", noon, 10, yesterday, before, now)
	look("just before it", noon.Add(-time.Microsecond), 10, yesterday, before)
	look("just after midnight", noon.Truncate(models.Day), 10, yesterday)
	look("few at once", noon, 2, yesterday, before)
	look("a full first day", noon, 1, yesterday)
	if err := x.Forget(ctx, yesterday, before); err != nil {
		t.Fatal(err)
	}
	look("what was forgotten", noon, 10, now)
	if err := x.Forget(ctx); err != nil {
		t.Error("nothing to forget:", err)
	}
}

// What is forgotten is in no key; what is told of other calls stays.
func TestForget(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	x, f := NewTTLIndex(r), newFanout(t, r)
	expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	var gone, kept []Entry
	for i := range 3 * streamsAtOnce / 2 { // more users than one round trip reads
		user := uuid.New()
		for _, list := range []*[]Entry{&gone, &kept} {
			e := Entry{user, uuid.New(), expires}
			*list = append(*list, e)
			for range 3 {
				ev := step(models.Connected)
				ev.CallID = e.Call
				if i%5 == 0 { // most have no stream
					if err := f.Publish(ctx, user, ev); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if err := x.Add(ctx, append(gone, kept...)...); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again: no harm
		if err := x.Forget(ctx, gone...); err != nil {
			t.Fatal(err)
		}
	}
	all := dump(t, r)
	for _, e := range gone {
		if strings.Contains(all, e.Call.String()) {
			t.Fatal("what was forgotten is there")
		}
	}
	for i, e := range kept {
		want := 2 // the index and the queue
		if i%5 == 0 {
			want += 3
		}
		if n := strings.Count(all, e.Call.String()); n != want {
			t.Fatalf("another call of user %d is there %d times, want %d", i, n, want)
		}
	}
	if err := x.Forget(ctx); err != nil {
		t.Error("nothing to forget:", err)
	}
}

// dump is all that the test's keys hold, in sets by score and streams.
func dump(t *testing.T, r *Redis) string {
	t.Helper()
	ctx := context.Background()
	var all strings.Builder
	for _, key := range keys(t, r) {
		all.WriteString(key + "\n")
		kind, err := r.client.Type(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "zset":
			members, err := r.client.ZRange(ctx, key, 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(strings.Join(members, "\n"))
		case "stream":
			entries, err := r.client.XRange(ctx, key, "-", "+").Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				body, _ := entry.Values["e"].(string)
				all.WriteString(body)
			}
		}
	}
	return all.String()
}

// Of a user who never rests, nothing older than its time is kept.
func TestOldEventsGo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	f := newFanout(t, r)
	user := uuid.New()
	for _, age := range []time.Duration{eventsKept + time.Minute, eventsKept - time.Minute} {
		id := time.Now().Add(-age).UnixMilli()
		err := r.client.Do(ctx, "XADD", r.streamKey(user), id, "e", "{}").Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Publish(ctx, user, step(models.Connected)); err != nil {
		t.Fatal(err)
	}
	if n, err := r.client.XLen(ctx, r.streamKey(user)).Result(); err != nil || n != 2 {
		t.Errorf("%d events, %v, want 2", n, err)
	}
}
