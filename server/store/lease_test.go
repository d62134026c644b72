package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

func never(was models.Lease) { panic("a run was left behind") }

func TestLeaseIsHadByOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	for _, lease := range []store.Lease{store.PurgeLease, store.RestampLease} {
		var had atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, ok, err := b.db.TakeLease(ctx, lease, store.Want{Holder: uuid.New(), Every: time.Hour}, never)
				if err != nil {
					t.Error(err)
				}
				if ok {
					had.Add(1)
				}
			})
		}
		all.Wait()
		if had.Load() != 1 {
			t.Errorf("%d of 8 have the lease", had.Load())
		}
	}
}

func TestLeaseHasATime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	hourly := store.Want{Holder: uuid.New(), Every: time.Hour}
	atOnce := store.Want{Holder: uuid.New(), Every: time.Hour, AtOnce: true}
	type left struct{ calls, others int64 }
	var behind []left
	take := func(what string, w store.Want, want bool) store.Term {
		t.Helper()
		term, had, err := b.db.TakeLease(ctx, store.PurgeLease, w, func(was models.Lease) { behind = append(behind, left{was.Calls, was.Others}) })
		if err != nil || had != want {
			t.Fatalf("%s: had %v, %v", what, had, err)
		}
		return term
	}
	shift := func(column, by string) {
		b.asOwner(t, "UPDATE leases SET "+column+" = "+column+" + interval '"+by+"' WHERE name = 'purge'")
	}
	first := take("the first", hourly, true)
	take("while it is held", atOnce, false)
	for range 2 {
		if err := b.db.KeepLease(ctx, first, 3, 4); err != nil {
			t.Fatal(err)
		}
	}
	if was, err := b.db.ReleaseLease(ctx, first); err != nil || was.Calls != 6 || was.Others != 8 || !was.StartedAt.Equal(first.StartedAt) {
		t.Errorf("%+v %v", was, err)
	}
	if err := b.db.KeepLease(ctx, first, 1, 1); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("after its end: %v", err)
	}
	take("before it is due", hourly, false)
	second := take("at once", atOnce, true)
	if second.N != first.N+1 {
		t.Errorf("term %d after %d", second.N, first.N)
	}
	if err := b.db.KeepLease(ctx, first, 1, 1); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("an old term: %v", err)
	}
	if _, err := b.db.ReleaseLease(ctx, first); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("an old term: %v", err)
	}
	if err := b.db.KeepLease(ctx, second, 7, 1); err != nil {
		t.Fatal(err)
	}
	behind = nil
	shift("until", "-2 seconds")
	take("before its time has run out", hourly, false)
	shift("until", "-1 second")
	third := take("left behind, and not due", hourly, true)
	if len(behind) != 1 || behind[0] != (left{7, 1}) {
		t.Errorf("left behind: %v", behind)
	}
	shift("until", "1 hour")
	take("the clock was set back", atOnce, true)
	if err := b.db.KeepLease(ctx, third, 0, 0); !errors.Is(err, store.ErrLeaseLost) {
		t.Error(err)
	}
}

// The next run is due at its time, and when the clock was set back past it.
func TestLeaseIsDue(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	for _, c := range []struct {
		name, shift string
		want        bool
	}{
		{"at once", "0", false}, {"a second early", "-3599 seconds", false}, {"in time", "-3600 seconds", true}, {"late", "-2 days", true},
		{"the clock was set back a little", "1 second", true}, {"the clock was set back a lot", "10 years", true},
	} {
		b.asOwner(t, `UPDATE leases SET until = '-infinity', started_at = NULL, next_at = clock_timestamp() + interval '1 hour' + $1::interval WHERE name = 'purge'`, c.shift)
		_, had, err := b.db.TakeLease(ctx, store.PurgeLease, store.Want{Holder: uuid.New(), Every: time.Hour}, never)
		if err != nil || had != c.want {
			t.Errorf("%s: had %v, %v", c.name, had, err)
		}
	}
}
