package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

func built(t *testing.T, x *TTLIndex) bool {
	t.Helper()
	is, err := x.Built(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// A rebuild marks the index, for this Redis only; one that fails does not.
func TestRebuild(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	x := NewTTLIndex(r)
	e := Entry{uuid.New(), uuid.New(), time.Now().Add(models.Day)}
	broken := errors.New("broken")
	if built(t, x) {
		t.Error("nothing is built yet")
	}
	if _, err := x.Rebuild(ctx, func(func([]Entry) error) error { return broken }); !errors.Is(err, broken) || built(t, x) {
		t.Errorf("a broken one: %v, built %v", err, built(t, x))
	}
	ran, err := x.Rebuild(ctx, func(load func([]Entry) error) error { return load([]Entry{e}) })
	if !ran || err != nil || !built(t, x) {
		t.Fatalf("ran %v, %v, built %v", ran, err, built(t, x))
	}
	if hidden, err := x.Living(ctx, e.Expires, []Entry{{e.User, e.Call, e.Expires.Add(time.Millisecond)}}); err != nil || !hidden[e.Call] {
		t.Errorf("it does not hold what was entered: %v", err)
	}
	for _, key := range keys(t, r) {
		if ttl, err := r.client.PTTL(ctx, key).Result(); err != nil || ttl <= 0 {
			t.Errorf("%s lives for ever", key)
		}
	}
	if n, err := r.client.Exists(ctx, x.lockKey()).Result(); err != nil || n != 0 {
		t.Errorf("the lock is kept: %v", err)
	}
	again, err := x.Rebuild(ctx, func(func([]Entry) error) error { t.Error("it was built"); return nil })
	if again || err != nil {
		t.Errorf("again: %v, %v", again, err)
	}
	if err := r.client.Set(ctx, x.builtKey(), "run:0123", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if built(t, x) {
		t.Error("the mark of another Redis counts")
	}
}

// One replica rebuilds; the others go on. A lock that was lost is not kept, nor
// given back, and its holder stops.
func TestRebuildLock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	x, other := NewTTLIndex(r), NewTTLIndex(r)
	ran, err := x.Rebuild(ctx, func(func([]Entry) error) error {
		ran, err := other.Rebuild(ctx, func(func([]Entry) error) error { t.Error("two at once"); return nil })
		if ran || err != nil {
			t.Errorf("the other: %v, %v", ran, err)
		}
		return nil
	})
	if !ran || err != nil {
		t.Fatal(ran, err)
	}
	const mine, theirs = "mine", "theirs"
	if ours, err := x.lock(ctx, mine); !ours || err != nil {
		t.Fatal(ours, err)
	}
	if err := r.client.PExpire(ctx, x.lockKey(), time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	if err := x.script(ctx, keepLock, mine); err != nil {
		t.Errorf("keeping it: %v", err)
	}
	if ttl, err := r.client.PTTL(ctx, x.lockKey()).Result(); err != nil || ttl < lockKept/2 {
		t.Errorf("it was not kept: %v, %v", ttl, err)
	}
	if err := r.client.Set(ctx, x.lockKey(), theirs, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]func() error{
		"keep": func() error { return x.script(ctx, keepLock, mine) }, "give": func() error { return x.script(ctx, giveLock, mine) },
	} {
		if err := s(); !errors.Is(err, ErrLockLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := r.client.Get(ctx, x.lockKey()).Result(); err != nil || got != theirs {
		t.Errorf("the lock is %q, %v", got, err)
	}
	if r.Down() {
		t.Error("a lost lock is no outage")
	}
}
