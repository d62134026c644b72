package store_test

import (
	"context"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/store"
)

func TestCountCalls(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for i := range 3 {
		b.hadCall(t, time.Duration(i)*models.Day, false)
	}
	for some := int64(1); some <= 4; some++ { // both sides of a whole number of looks
		if n, err := b.db.CountCallsBy(context.Background(), b.tenant.ID, some); err != nil || n != 3 {
			t.Errorf("%d at a time: %d, %v", some, n, err)
		}
	}
	for limit, more := range map[int64]bool{2: true, 3: false} {
		got, err := b.db.PreviewOf(context.Background(), b.tenant.ID, time.Hour, limit)
		if err != nil || got.More != more || got.EndsNow != 2 || !got.LastEndBefore.Equal(b.at.Add(ninety)) {
			t.Errorf("of %d: %+v, %v", limit, got, err)
		}
	}
}

// What a preview says is what happens.
func TestPreview(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	if got, err := b.db.PreviewRestamp(ctx, b.tenant.ID, 0); err != nil || got != (store.Shortening{}) {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
	for _, age := range []time.Duration{89 * models.Day, 31 * models.Day, 29 * models.Day, models.Day} {
		b.hadCall(t, age, false)
	}
	up := b.hadCall(t, time.Hour, true)
	b.age(t, b.hadCall(t, time.Hour, false)) // has ended, and is not purged yet
	rows := []struct {
		keep         time.Duration
		now, earlier int64
		after        time.Time
	}{
		{ninety, 0, 0, up.CreatedAt.Add(ninety)},
		{30 * models.Day, 2, 2, up.CreatedAt.Add(30 * models.Day)},
		{2 * models.Day, 3, 1, up.CreatedAt.Add(2 * models.Day)},
		{0, 4, 0, up.CreatedAt.Add(models.LongestCall)},
	}
	for _, row := range rows {
		got, err := b.db.PreviewRestamp(ctx, b.tenant.ID, row.keep)
		if err != nil || got.EndsNow != row.now || got.EndsEarlier != row.earlier || got.Live != 1 || got.More {
			t.Errorf("%v: %+v, %v", row.keep, got, err)
		}
		if !got.LastEndBefore.Equal(up.ExpiresAt) || !got.LastEndAfter.Equal(row.after) {
			t.Errorf("%v: last end %v, then %v, want %v", row.keep, got.LastEndBefore, got.LastEndAfter, row.after)
		}
	}
}
