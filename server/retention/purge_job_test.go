package retention_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/testdb"
)

// At its end and an interval and 5 seconds, a record has gone for the database's
// owner; before its end it is there.
func TestPurgeTakesWhatIsDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	log := &strings.Builder{}
	job := b.job(nil)
	job.Log = slog.New(slog.NewTextHandler(log, nil))
	b.enter(time.Hour)
	const soon = 700 * time.Millisecond
	begins := b.enter(90*models.Day - soon).ExpiresAt // the first to end
	var ends time.Time
	for range 2 {
		ends = b.enter(90*models.Day - soon).ExpiresAt
	}
	if done, err := job.Once(t.Context()); err != nil || done.Calls != 0 {
		t.Fatalf("%+v %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- job.Run(ctx) }()
	for left := 4; left != 1; {
		before := time.Now()
		left = b.left("true")
		if left < 4 && time.Now().Before(begins.Add(-5*time.Millisecond)) {
			t.Fatalf("%d are left, %v before the first ends", left, time.Until(begins))
		}
		if left > 1 && before.After(ends.Add(job.Interval+5*time.Second)) {
			t.Fatalf("%d are left, %v after their end", left, time.Since(ends))
		}
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Fatal("Run does not end")
	}
	if !strings.Contains(log.String(), "purged") || strings.Contains(log.String(), "4567") || strings.Contains(log.String(), "Jan") {
		t.Errorf("log: %s", log)
	}
	if done, err := job.Once(t.Context()); err != nil || done.Calls != 0 {
		t.Errorf("%+v %v", done, err)
	}
	if c := b.chain(); c.Calls != 3 {
		t.Errorf("%+v", c)
	}
}

// Any number of purgers at once: nothing twice, nothing left.
func TestPurgersAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const due, living = 4321, 50
	b.calls(due, living)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var told atomic.Int64
	for range 3 {
		job := b.job(nil)
		job.DB, job.Interval = b.open(b.url), time.Millisecond
		job.Deleted = func(calls, _ int64) { told.Add(calls) }
		all.Go(func() { _ = job.Run(ctx) }) // it ends with ctx
	}
	b.eventually("all is gone", func() bool { return b.left("true") == living })
	cancel()
	all.Wait()
	if n := told.Load(); n != due {
		t.Errorf("%d were deleted, of %d", n, due)
	}
	if c := b.chain(); c.Calls != due || c.Interrupted > 1 { // the one that was told to stop
		t.Errorf("%+v", c)
	}
}

func (b *bundle) eventually(what string, is func() bool) {
	b.t.Helper()
	for end := time.Now().Add(deadline); !is(); {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s", what)
		}
	}
}

// A process that dies at whatever step: another makes up for it within the lease's
// time, and the evidence is of what was deleted, no more and no less.
func TestPurgerDies(t *testing.T) {
	t.Parallel()
	for _, at := range retention.Steps {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			due := retention.CallBatch() + 10
			b.calls(due, 1)
			index := live.NewTTLIndex(testdb.Redis(t))
			dying := b.job(index)
			dying.Interval = time.Hour
			seen := 0
			dying.After(func(step string) {
				if step == at {
					seen++
					runtime.Goexit() // what is deferred runs, as the end of a process ends its transactions; nothing else does
				}
			})
			died := make(chan struct{})
			go func() {
				defer close(died)
				_, _ = dying.Once(t.Context()) // it does not come back
			}()
			<-died
			if seen != 1 {
				t.Fatalf("the step was seen %d times", seen)
			}
			began := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			other := b.job(index)
			other.Interval = time.Hour // but for the one that died, no run would be due
			ended := make(chan struct{})
			if at != "the evidence was left" {
				go func() { defer close(ended); _ = other.Run(ctx) }()
				b.eventually("another makes up for it", func() bool { return b.left("true") == 1 && b.chain().Runs == 2 })
				if took := time.Since(began); took > 3*time.Second+time.Second+5*time.Second {
					t.Errorf("it took %v", took)
				}
				cancel()
				<-ended
			}
			if c := b.chain(); int(c.Calls) != due || b.left("true") != 1 {
				t.Errorf("%+v, %d are left", c, b.left("true"))
			}
		})
	}
}

// The line to Postgres goes down within a batch: it is undone whole, or done whole
// when its end was sent already; another replica does the rest, and what the evidence
// counts is what went.
func TestPurgerLosesItsLine(t *testing.T) {
	t.Parallel()
	const due = 20
	for _, tc := range []struct {
		name, table, when string
		done              int64 // of the batch
	}{
		{"while it deletes", "calls", "BEFORE DELETE ON calls FOR EACH STATEMENT", 0},
		{"while it ends", "leases", "BEFORE UPDATE ON leases FOR EACH ROW WHEN (NEW.calls > OLD.calls)", due},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.calls(due, 1)
			b.asOwner(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END'`)
			b.asOwner("CREATE TRIGGER wait " + tc.when + " EXECUTE FUNCTION wait()")
			line := testdb.NewLine(t, b.url)
			job := b.job(nil)
			job.DB = b.open(line.URL)
			ended := make(chan error, 1)
			go func() { _, err := job.Once(t.Context()); ended <- err }()
			asleep := func() bool {
				var n int
				err := b.raw.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'").Scan(&n)
				return err == nil && n == 1
			}
			b.eventually("it is within the batch", asleep)
			line.Cut()
			if err := <-ended; err == nil {
				t.Error("no error")
			}
			b.eventually("Postgres has seen that, too", func() bool { return !asleep() })
			b.asOwner("DROP TRIGGER wait ON " + tc.table) // waits for the end of whoever has the table
			if n := b.left("true"); n != due+1-int(tc.done) {
				t.Errorf("%d are left, of %d: half a batch", n, due+1)
			}
			other := b.job(nil)
			other.Patience = deadline
			if done, err := other.Once(t.Context()); err != nil || done.Calls != due-tc.done {
				t.Errorf("%+v %v", done, err)
			}
			if c := b.chain(); c.Calls != due || c.Interrupted != 1 || c.Runs != 2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// A batch that is too much for its time is made smaller.
func TestBatchesGetSmaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const due = 300
	b.calls(due, 1)
	// 250 rows take longer than a batch may, 50 do not.
	b.asOwner(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.012); RETURN OLD; END'`)
	b.asOwner("CREATE TRIGGER slow BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION slow()")
	if done, err := b.job(nil).Once(t.Context()); err != nil || done.Calls != due {
		t.Errorf("%+v %v", done, err)
	}
	if c := b.chain(); c.Calls != due || c.Runs != 1 || c.Interrupted != 0 {
		t.Errorf("%+v", c)
	}
}

// What is told to stop stops, says so in its evidence, and frees the lease.
func TestPurgeIsStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due := 3 * retention.CallBatch()
	b.calls(due, 1)
	ctx, cancel := context.WithCancel(t.Context())
	job := b.job(nil)
	job.Deleted = func(int64, int64) { cancel() }
	done, err := job.Once(ctx)
	if err == nil || !done.Interrupted || done.Calls == 0 || done.Calls >= int64(due) {
		t.Errorf("%+v %v", done, err)
	}
	if c := b.chain(); c.Calls != done.Calls || c.Interrupted != 1 {
		t.Errorf("%+v", c)
	}
	if rest, err := b.job(nil).Once(t.Context()); err != nil || rest.Calls+done.Calls != int64(due) {
		t.Errorf("%+v %v", rest, err)
	}
}

// Once waits for another's run, as long as it has patience.
func TestOnceWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.calls(5, 0)
	first, second := b.job(nil), b.job(nil)
	under, on := make(chan struct{}), make(chan struct{})
	first.After(func(step string) {
		if step == retention.Steps[0] {
			close(under)
			<-on
		}
	})
	ended := make(chan error, 1)
	go func() { _, err := first.Once(t.Context()); ended <- err }()
	<-under
	if _, err := second.Once(t.Context()); fault.Code(err) != "purge-busy" {
		t.Errorf("without patience: %v", err)
	}
	second.Patience = deadline
	waits := 0
	second.Waiting = func() { waits++; close(on) }
	if done, err := second.Once(t.Context()); err != nil || done.Calls != 0 || waits != 1 {
		t.Errorf("%+v %v, told %d times", done, err, waits)
	}
	if waits == 0 {
		close(on)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Redis away: nothing waits. Redis there: it is told of what has gone.
func TestPurgeTellsRedis(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const soon = 300 * time.Millisecond
	call, stays := b.enter(90*models.Day-soon), b.enter(time.Hour)
	service := testdb.NewLine(t, testdb.RedisURL(t))
	prefix := testdb.Prefix()
	redis, err := live.Open(service.URL, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { redis.Close() }) //nolint:errcheck // the test is over
	index := live.NewTTLIndex(redis)
	for _, c := range []models.Call{call, stays} {
		if err := index.Add(t.Context(), live.Entry{User: c.UserID, Call: c.ID, Expires: c.ExpiresAt}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.inRedis(prefix, call); n != "2" {
		t.Fatalf("%s sets hold the call", n)
	}
	b.eventually("it is due", func() bool { return time.Now().After(call.ExpiresAt) })
	service.Cut()
	job := b.job(index)
	if done, err := job.Once(t.Context()); err != nil || done.Calls != 1 || done.Seconds > 5 {
		t.Errorf("without Redis: %+v %v", done, err)
	}
	service.Mend()
	b.eventually("Redis has forgotten", func() bool {
		if _, err := job.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b.inRedis(prefix, call) == "0"
	})
	if n := b.inRedis(prefix, stays); n != "2" {
		t.Error("it has forgotten what lives")
	}
}

// What the due queue names wrongly, or twice, holds nothing up.
func TestPurgeWithAStaleQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	index := live.NewTTLIndex(testdb.Redis(t))
	const soon = 300 * time.Millisecond
	var calls []models.Call
	for range 5 {
		calls = append(calls, b.enter(90*models.Day-soon))
	}
	stays := b.enter(time.Hour)
	early := stays.ExpiresAt.Add(-90 * models.Day) // the queue is wrong: Postgres decides
	entries := []live.Entry{{User: b.user.ID, Call: uuid.New(), Expires: early}, {User: b.user.ID, Call: stays.ID, Expires: early}}
	for _, c := range calls[:3] {
		entries = append(entries, live.Entry{User: c.UserID, Call: c.ID, Expires: c.ExpiresAt})
	}
	if err := index.Add(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
	b.eventually("all are due", func() bool { return time.Now().After(calls[4].ExpiresAt) })
	if done, err := b.job(index).Once(t.Context()); err != nil || done.Calls != 5 {
		t.Errorf("%+v %v", done, err)
	}
	if n := b.left("true"); n != 1 {
		t.Errorf("%d are left", n)
	}
}

func TestPurgeOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := testdb.NewLine(t, b.url)
	job := b.job(nil)
	job.DB = b.open(line.URL)
	failures := 0
	job.Ended = func(_ retention.Purged, err error) {
		if err != nil {
			failures++
		}
	}
	line.Cut()
	if _, err := job.Once(t.Context()); err == nil || failures != 1 {
		t.Fatalf("without Postgres: %v, %d failures", err, failures)
	}
	line.Mend()
	for end := time.Now().Add(deadline); ; {
		if _, err := job.Once(t.Context()); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// The schedule, in virtual time: at once, then at each interval; what takes longer
// is not made up for, and the day on which the clocks change is like any other.
// When a run is due, Postgres's clock decides: see the store's tests of the lease.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		amsterdam, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(time.Date(2026, 3, 29, 1, 59, 55, 0, amsterdam))) // virtual: 5 seconds before 03:00
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second-time.Millisecond)
		defer cancel()
		var at []time.Duration
		err = retention.Each(ctx, time.Second, func() {
			at = append(at, time.Since(began))
			if len(at) == 3 {
				time.Sleep(7*time.Second + time.Second/2) // a long run, or a machine that was asleep
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for i, want := range []float64{0, 1, 2, 9.5, 10, 11, 12} {
			if i >= len(at) || at[i].Seconds() != want {
				t.Fatalf("at %v, want %v as number %d", at, want, i)
			}
		}
		if len(at) != 14 {
			t.Errorf("%d times: %v", len(at), at)
		}
	})
}
