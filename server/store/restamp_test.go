package store_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

const ninety = 90 * models.Day

// setDays changes the tenant's retention.
func (b *bundle) setDays(t *testing.T, days int) {
	t.Helper()
	if err := b.db.SetTenant(context.Background(), b.tenant.ID, store.TenantChange{RetentionDays: &days, Ceiling: ninety}, entry); err != nil {
		t.Fatal(err)
	}
}

// hadCall enters a call of the age, ended or up.
func (b *bundle) hadCall(t *testing.T, age time.Duration, up bool) models.Call {
	t.Helper()
	n := b.newCall(t, "020 123 4567")
	n.At = b.at.Add(-age)
	call := b.create(t, n)
	if !up {
		b.advance(t, call, ended)
	}
	return call
}

// shorten takes steps until there is nothing to do, or only to wait; each turn is a
// replica of its own when killed is set.
func (b *bundle) shorten(t *testing.T, ceiling time.Duration, size int) (steps int, last store.RestampState) {
	t.Helper()
	ctx := context.Background()
	term := b.takeRestamp(t)
	for ; ; steps++ {
		done, err := b.step(ctx, term, ceiling, size)
		if err != nil {
			t.Fatal(err)
		}
		if done.State == store.RestampNothing || done.State == store.RestampWaits {
			if err := b.db.LeaveRestamp(ctx, term); err != nil {
				t.Fatal(err)
			}
			return steps, done.State
		}
	}
}

func (b *bundle) takeRestamp(t *testing.T) store.Term {
	t.Helper()
	term, had, err := b.db.TakeRestamp(context.Background(), uuid.New())
	if err != nil || !had {
		t.Fatalf("no lease: %v", err)
	}
	return term
}

func (b *bundle) step(ctx context.Context, term store.Term, ceiling time.Duration, size int) (store.Restamped, error) {
	done, err := b.db.Restamp(ctx, term, b.tenant.ID, ceiling, size, func([]store.Moved) {})
	if err == nil && done.State == store.RestampFresh {
		var total int64
		if total, err = b.db.CountCalls(ctx, b.tenant.ID); err == nil {
			err = b.db.BeginRestamp(ctx, term, b.tenant.ID, ceiling, total)
		}
	}
	return done, err
}

// lives is how long a call's record lives, whoever may see it; -1 when it is gone.
func (b *bundle) lives(t *testing.T, call models.Call) time.Duration {
	t.Helper()
	var expires time.Time
	var err error
	b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
		err = tx.QueryRow("SELECT expires_at FROM calls WHERE id = $1", call.ID).Scan(&expires)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	return expires.Sub(call.CreatedAt)
}

// calls counts those of which it is so.
func (b *bundle) calls(t *testing.T, where string) (n int) {
	t.Helper()
	b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
		if err := tx.QueryRow("SELECT count(*) FROM calls WHERE " + where).Scan(&n); err != nil {
			t.Fatal(err)
		}
	})
	return n
}

func (b *bundle) kept(t *testing.T) time.Duration {
	t.Helper()
	row, err := b.db.Tenant(context.Background(), b.tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(row.KeptMS) * time.Millisecond
}

func (b *bundle) restamp(t *testing.T) models.Restamp {
	t.Helper()
	row, err := b.db.RestampOf(context.Background(), b.tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// From 90 days to 30, and then to 0, and back: what each record's end becomes.
func TestShorten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	ages := []time.Duration{89 * models.Day, 31 * models.Day, 30*models.Day + time.Millisecond, 29 * models.Day, models.Day, time.Minute}
	var calls []models.Call
	for _, age := range ages {
		calls = append(calls, b.hadCall(t, age, false))
	}
	up := b.hadCall(t, time.Hour, true)
	other, _, _ := b.newTenant(t, "Other")
	if work, err := b.db.RestampWork(ctx, ninety); err != nil || len(work) != 0 {
		t.Fatalf("nothing is to be done: %v %v", work, err)
	}
	b.setDays(t, 30)
	if work, err := b.db.RestampWork(ctx, ninety); err != nil || len(work) != 1 || work[0] != b.tenant.ID {
		t.Fatalf("work: %v %v (other: %s)", work, err, other.ID)
	}
	if _, last := b.shorten(t, ninety, 3); last != store.RestampNothing {
		t.Fatalf("ends with %v", last)
	}
	for i, call := range append(calls, up) {
		if got := b.lives(t, call); got != 30*models.Day {
			t.Errorf("call %d of %v: lives %v", i, call.CreatedAt, got)
		}
	}
	if list, err := b.db.History(ctx, b.tenant.ID, b.user.ID, store.Page{Limit: 10}, store.Search{Words: "jansen"}); err != nil || len(list) != 4 {
		t.Errorf("%d calls are left, %v; want 3 and the one that is up", len(list), err)
	}
	b.asOwner(t, "CREATE TABLE odd AS SELECT w.word FROM call_words w JOIN calls c ON c.id = w.call_id WHERE w.expires_at <> c.expires_at")
	if odd := names(t, b.raw, "SELECT word FROM odd"); len(odd) != 0 {
		t.Errorf("words end at another time than their calls: %v", odd)
	}
	if r := b.restamp(t); r.Total != 7 || r.Done != 7 || r.Changed != 7 || r.FinishedAt == nil || r.KeptMS != (30*models.Day).Milliseconds() {
		t.Errorf("progress: %+v", r)
	}
	if b.kept(t) != 30*models.Day {
		t.Errorf("kept %v", b.kept(t))
	}

	b.setDays(t, 0)
	began := time.Now().Add(-time.Second)
	if _, last := b.shorten(t, ninety, 2); last != store.RestampWaits {
		t.Fatalf("ends with %v, want a wait for the call that is up", last)
	}
	if r := b.restamp(t); r.FinishedAt != nil || r.Changed != 4 {
		t.Errorf("progress while a call is up: %+v", r) // two had ended before
	}
	for i, call := range calls {
		if got, was := b.lives(t, call), 30*models.Day; got > was || i > 2 && call.CreatedAt.Add(got).Before(began) || call.CreatedAt.Add(got).After(time.Now().Add(time.Second)) {
			t.Errorf("call %d lives %v", i, got)
		}
	}
	if got := b.lives(t, up); got != models.LongestCall {
		t.Errorf("the call that is up lives %v", got)
	}
	if living, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, up.ID); err != nil || !living.DeleteAtEnd || living.Number.IsZero() {
		t.Fatalf("the call that is up: %+v %v", living, err)
	}
	n := b.newCall(t, "020 123 4568")
	n.At = time.Now().UTC().Truncate(time.Millisecond)
	later := b.create(t, n) // need not be waited for
	if last := b.advance(t, up, ended); last.Status != models.Disconnected {
		t.Errorf("its end: %+v", last)
	}
	if b.lives(t, up) != -1 {
		t.Error("its record is still there")
	}
	if _, last := b.shorten(t, ninety, 2); last != store.RestampNothing || b.restamp(t).FinishedAt == nil || b.kept(t) != 0 {
		t.Errorf("ends with %v, %+v, kept %v", last, b.restamp(t), b.kept(t))
	}
	if b.lives(t, later) != models.LongestCall {
		t.Errorf("a new call lives %v", b.lives(t, later))
	}
}

// Lengthening holds for new calls only, and is no work for anybody.
func TestLengthenTouchesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.setDays(t, 7)
	b.shorten(t, ninety, 100)
	old := b.hadCall(t, models.Day, false)
	b.setDays(t, 365)
	if work, err := b.db.RestampWork(ctx, ninety); err != nil || len(work) != 0 {
		t.Errorf("work: %v %v", work, err)
	}
	young := b.hadCall(t, models.Day, false)
	if b.kept(t) != ninety || b.lives(t, old) != 7*models.Day || b.lives(t, young) != ninety {
		t.Errorf("kept %v, old %v, young %v", b.kept(t), b.lives(t, old), b.lives(t, young))
	}
	b.as(t, "ctd_retention", b.tenant.ID, func(tx *sql.Tx) {
		if _, err := tx.Exec("UPDATE calls SET expires_at = expires_at + interval '1 ms' WHERE id = $1", old.ID); state(err) != "23514" {
			t.Errorf("an end was put off: %v", err)
		}
	})
}

// A lowered HISTORY_MAX_AGE is a shortening; a raised one touches nothing.
func TestCeilingChanges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	old, up := b.hadCall(t, models.Day, false), b.hadCall(t, time.Minute, true)
	const low = time.Hour // below the longest call: the one that is up has its end first
	if _, last := b.shorten(t, low, 10); last != store.RestampWaits {
		t.Fatalf("ends with %v", last)
	}
	if b.lives(t, old) != low || b.lives(t, up) != models.LongestCall || b.kept(t) != low {
		t.Errorf("ended %v, up %v, kept %v", b.lives(t, old), b.lives(t, up), b.kept(t))
	}
	lagging := b.hadCall(t, time.Minute, false) // by a replica that has the old ceiling still
	if b.lives(t, lagging) != low {
		t.Errorf("a replica with another ceiling: %v", b.lives(t, lagging))
	}
	b.advance(t, up, ended)
	if _, last := b.shorten(t, low, 10); last != store.RestampNothing || b.lives(t, up) != low {
		t.Errorf("ends with %v; it lives %v", last, b.lives(t, up))
	}
	if err := b.db.RaiseKept(ctx, 2*low); err != nil {
		t.Fatal(err)
	}
	b.shorten(t, 2*low, 10)
	n := b.newCall(t, "020 123 4567")
	n.MaxAge = 2 * low
	young := b.create(t, n)
	if b.lives(t, old) != low || b.lives(t, young) != 2*low || b.kept(t) != 2*low {
		t.Errorf("after raising: %v, new %v, kept %v", b.lives(t, old), b.lives(t, young), b.kept(t))
	}
	if err := b.db.RaiseKept(ctx, ninety); err != nil || b.kept(t) != ninety {
		t.Errorf("kept %v, %v", b.kept(t), err)
	}
	if work, err := b.db.RestampWork(ctx, ninety); err != nil || len(work) != 0 {
		t.Errorf("work: %v %v", work, err)
	}
}

// Killed after any of its steps, it is gone on with by another; a choice that
// changes under it is obeyed from then on.
func TestShortenIsContinued(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	var calls []models.Call
	for i := range 7 {
		calls = append(calls, b.hadCall(t, time.Duration(40+i)*models.Day, false))
	}
	b.setDays(t, 60)
	for step := 0; ; step++ {
		// Each step by a replica that dies right after it: its lease runs out.
		b.asOwner(t, "UPDATE leases SET until = '-infinity' WHERE name = 'restamp'")
		done, err := b.step(ctx, b.takeRestamp(t), ninety, 3)
		if err != nil {
			t.Fatal(err)
		}
		if done.State == store.RestampNothing {
			break
		}
		if step == 1 { // one batch has gone by
			if r := b.restamp(t); r.Done != 3 || r.FinishedAt != nil || b.kept(t) != ninety {
				t.Fatalf("%+v, kept %v", r, b.kept(t))
			}
			b.setDays(t, 50)
		}
		if step > 30 {
			t.Fatal("no end of it")
		}
	}
	for i, call := range calls {
		if got := b.lives(t, call); got != 50*models.Day {
			t.Errorf("call %d lives %v", i, got)
		}
	}
	b.setDays(t, 10)
	b.asOwner(t, "UPDATE leases SET until = '-infinity' WHERE name = 'restamp'")
	term := b.takeRestamp(t)
	for range 2 { // begun, and one batch
		if _, err := b.step(ctx, term, ninety, 3); err != nil {
			t.Fatal(err)
		}
	}
	b.setDays(t, 90) // second thoughts: what has been shortened stays so
	for {
		done, err := b.step(ctx, term, ninety, 3)
		if err != nil {
			t.Fatal(err)
		}
		if done.State == store.RestampNothing {
			break
		}
	}
	short := 0
	for _, call := range calls {
		switch b.lives(t, call) {
		case 10 * models.Day:
			short++
		case 50 * models.Day:
		default:
			t.Errorf("lives %v", b.lives(t, call))
		}
	}
	if short != 3 || b.kept(t) != ninety || b.restamp(t).FinishedAt == nil {
		t.Errorf("%d shortened, kept %v, %+v", short, b.kept(t), b.restamp(t))
	}
	// Who was too slow changes nothing.
	b.setDays(t, 5)
	slow := b.takeAgain(t)
	b.takeAgain(t)
	if _, err := b.step(ctx, slow, ninety, 3); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a lost lease: %v", err)
	}
	if _, err := b.db.RestampOf(ctx, b.tenant.ID); err != nil || b.restamp(t).KeptMS == (5*models.Day).Milliseconds() {
		t.Errorf("it began all the same: %v", err)
	}
}

func (b *bundle) takeAgain(t *testing.T) store.Term {
	t.Helper()
	b.asOwner(t, "UPDATE leases SET until = '-infinity' WHERE name = 'restamp'")
	return b.takeRestamp(t)
}
