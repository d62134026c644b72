package store_test

import (
	"context"
	"testing"
	"time"

	"clicktodial/server/store"
)

// What a measurement does not prove is not believed; what it proves hides no
// record before Postgres does.
func TestCertain(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, row := range map[string]struct{ skew, slack, want time.Duration }{
		"equal":                 {0, ms, 0},
		"within the doubt":      {ms, ms, 0},
		"behind, in the doubt":  {-ms, ms, 0},
		"just out of the doubt": {ms + 1, ms, 1},
		"we are behind":         {100 * ms, ms, 99 * ms},
		"we are ahead":          {-100 * ms, ms, -101 * ms},
	} {
		if got := store.Certain(row.skew, row.slack); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// A service whose clock is off judges by Postgres's.
func TestClock(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx := context.Background()
	for _, off := range []time.Duration{0, 10 * time.Second, -10 * time.Second} {
		ours := func() time.Time { return time.Now().Add(off) }
		if err := b.db.SetClock(ctx, ours); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		got := b.db.Clock(ours())
		if late := got.Sub(before); late < -2*time.Second || late > time.Second { // the doubt of a busy machine
			t.Errorf("a clock that is off by %v judges %v from Postgres's", off, late)
		}
	}
}
