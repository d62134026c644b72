package retention_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

const ninety = 90 * models.Day

var entry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

// firm is a tenant on a database and a Redis of its own, whose admin chooses.
type firm struct {
	t       *testing.T
	db      *store.DB
	url     string
	prefix  string
	index   *live.TTLIndex
	tenant  models.Tenant
	admin   models.User
	by      models.Actor
	chooser *retention.Chooser
}

func newFirm(t *testing.T) *firm {
	t.Helper()
	c := &firm{t: t, url: testdb.URL(t), prefix: testdb.Prefix()}
	db, err := store.Open(c.url, 8)
	c.check(err)
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	c.db = db
	redis, err := live.Open(testdb.RedisURL(t), c.prefix)
	c.check(err)
	t.Cleanup(func() { redis.Close() }) //nolint:errcheck // the test is over
	c.index = live.NewTTLIndex(redis)
	c.tenant = models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, UsersMayDelete: true, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}
	c.admin = models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &c.tenant.ID, Email: "anna@example.test", Role: models.RoleAdmin, CreatedAt: time.Now()}
	c.check(c.db.CreateTenant(t.Context(), c.tenant, c.admin, nil, entry))
	device := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: c.tenant.ID, UserID: c.admin.ID, Label: "Desk", Endpoint: "101", CreatedAt: time.Now()}
	c.check(c.db.AddDevice(t.Context(), device, entry))
	c.by = models.Actor{Role: models.RoleAdmin, UserID: c.admin.ID, TenantID: c.tenant.ID}
	c.chooser = &retention.Chooser{DB: c.db, Ceiling: ninety}
	return c
}

func (c *firm) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// call enters a call of the age, in the index too.
func (c *firm) call(age time.Duration, up bool) models.Call {
	c.t.Helper()
	n, err := phone.Parse("+31201234567", "NL")
	c.check(err)
	call, _, _, err := c.db.CreateCall(c.t.Context(), store.NewCall{
		TenantID: c.tenant.ID, UserID: c.admin.ID, Number: n, Name: "Jan Jansen", Key: uuid.NewString(),
		Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: time.Now().UTC().Add(-age).Truncate(time.Millisecond), MaxAge: ninety,
		Limits: store.Limits{AtOnce: 100000}, ReplicaID: uuid.New(), ChannelID: "test-" + uuid.NewString(),
	})
	c.check(err)
	c.check(c.index.Add(c.t.Context(), live.Entry{User: call.UserID, Call: call.ID, Expires: call.ExpiresAt}))
	if !up {
		c.end(call)
	}
	return call
}

func (c *firm) end(call models.Call) models.FollowedCall {
	c.t.Helper()
	at := time.Now().UTC()
	now, changed, err := c.db.Advance(context.Background(), call.ChannelID, func(models.FollowedCall) (store.Step, bool) {
		return store.Step{Status: models.Disconnected, Reason: models.HangUp, Diagnosis: models.HungUp, At: at, EndedAt: &at}, true
	})
	if err != nil || !changed {
		c.t.Fatalf("ending a call: %v %v", changed, err)
	}
	return now
}

func (c *firm) history() []models.Call {
	c.t.Helper()
	calls, err := c.db.History(context.Background(), c.tenant.ID, c.admin.ID, store.Page{Limit: 100}, store.Search{})
	c.check(err)
	return calls
}

func (c *firm) job(ceiling time.Duration) *retention.RestampJob {
	return &retention.RestampJob{DB: c.db, Index: c.index, Ceiling: ceiling, Log: slog.New(slog.DiscardHandler), Every: 5 * time.Millisecond, Batch: 2}
}

// run runs jobs until the test ends.
func (c *firm) run(jobs ...*retention.RestampJob) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, j := range jobs {
		work.Go(func() {
			if err := j.Run(ctx); !errors.Is(err, context.Canceled) {
				c.t.Errorf("Run: %v", err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); work.Wait() })
	c.t.Cleanup(stop)
	return stop
}

func (c *firm) choose(days int) {
	c.t.Helper()
	c.check(c.chooser.Choose(context.Background(), c.by, retention.Choice{RetentionDays: &days, Confirm: true}))
}

func (c *firm) progress() *retention.Progress {
	c.t.Helper()
	_, progress, err := c.chooser.State(context.Background(), c.by)
	c.check(err)
	return progress
}

// finished waits until shortening to days is over.
func (c *firm) finished(days int) retention.Progress {
	c.t.Helper()
	var p *retention.Progress
	c.eventually("shortening is finished", func() bool {
		p = c.progress()
		return p != nil && p.Keep == time.Duration(days)*models.Day && p.FinishedAt != nil
	})
	return *p
}

func (c *firm) eventually(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !is(); <-tick.C {
		if time.Now().After(end) {
			c.t.Fatalf("never: %s", what)
		}
	}
}

// From 90 days to 30 and to 0, by two servers at once: rows, Redis, a call that is
// up, and the purge after it.
func TestRestampJob(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	ctx := t.Context()
	old, young := c.call(45*models.Day, false), c.call(3*models.Day, false)
	for range 5 {
		c.call(4*models.Day, false)
	}
	up := c.call(time.Minute, true)
	stop := c.run(c.job(ninety), c.job(ninety))
	if c.progress() != nil {
		t.Errorf("progress of nothing: %+v", c.progress())
	}
	c.choose(30)
	if p := c.finished(30); p.Total != 8 || p.Done != 8 || p.Changed != 8 {
		t.Errorf("%+v", p)
	}
	if got := c.history(); len(got) != 7 || !got[0].ExpiresAt.Equal(up.CreatedAt.Add(30*models.Day)) {
		t.Errorf("%d calls: %v", len(got), got)
	}
	c.indexed(young, young.CreatedAt.Add(30*models.Day), true)
	c.indexed(young, young.ExpiresAt, false)
	c.indexed(old, old.ExpiresAt, false)
	c.choose(0)
	c.eventually("what has ended is gone", func() bool { return len(c.history()) == 1 })
	if p := c.progress(); p.FinishedAt != nil {
		t.Errorf("finished while a call is up: %+v", p)
	}
	if got := c.history()[0]; got.ID != up.ID || !got.DeleteAtEnd || !got.ExpiresAt.Equal(up.CreatedAt.Add(models.LongestCall)) {
		t.Errorf("the call that is up: %+v", got)
	}
	if last := c.end(up); last.Status != models.Disconnected || *last.Diagnosis != models.HungUp {
		t.Errorf("its end: %+v", last)
	}
	if got := c.history(); len(got) != 0 {
		t.Errorf("%d calls are left", len(got))
	}
	c.finished(0)
	stop()
	if due, err := c.db.CountDue(ctx, store.PurgeTimes{}); err != nil || due.Calls != 7 {
		t.Errorf("%d are due, %v", due.Calls, err)
	}
}

// indexed says whether the index has a call under an end.
func (c *firm) indexed(call models.Call, expires time.Time, want bool) {
	c.t.Helper()
	day := expires.UTC().Format(time.DateOnly)
	for key, member := range map[string]string{"hist:{" + call.UserID.String() + "}:" + day: "", "due:" + day: ":" + call.UserID.String()} {
		got := testdb.Speak(c.t, testdb.RedisURL(c.t), "ZSCORE", c.prefix+key, call.ID.String()+member)
		if has := got == strconv.FormatInt(expires.UnixMilli(), 10); has != want {
			c.t.Errorf("%s has it at %v: %s, want %v", key, expires, got, want)
		}
	}
}
