package retention_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

const deadline = 15 * time.Second

// setup gives a database, and a function that enters a call of the age.
func setup(t *testing.T) (*store.DB, func(age time.Duration) uuid.UUID) {
	t.Helper()
	db := testdb.Open(t)
	tenant := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}
	user := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: "anna@example.test", Role: models.RoleAdmin, CreatedAt: time.Now()}
	entry := audit.Entry(audit.Operator, "test", audit.Subject{}, "")
	if err := db.CreateTenant(t.Context(), tenant, user, nil, entry); err != nil {
		t.Fatal(err)
	}
	device := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: tenant.ID, UserID: user.ID, Label: "Desk", Endpoint: "101", CreatedAt: time.Now()}
	if err := db.AddDevice(t.Context(), device, entry); err != nil {
		t.Fatal(err)
	}
	n, err := phone.Parse("+31201234567", "NL")
	if err != nil {
		t.Fatal(err)
	}
	return db, func(age time.Duration) uuid.UUID {
		t.Helper()
		row, _, _, err := db.CreateCall(t.Context(), store.NewCall{
			TenantID: tenant.ID, UserID: user.ID, Number: n, Name: "Jan Jansen", Key: uuid.NewString(),
			Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: time.Now().Add(-age).Truncate(time.Millisecond), MaxAge: 90 * models.Day,
			Limits: store.Limits{AtOnce: 100000}, ReplicaID: uuid.New(), ChannelID: "test-" + uuid.NewString(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return row.ID
	}
}

func TestPurgeTakesWhatIsDue(t *testing.T) {
	t.Parallel()
	db, enter := setup(t)
	log := &strings.Builder{}
	job := &retention.PurgeJob{DB: db, Interval: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))}
	enter(time.Hour)
	const soon = 300 * time.Millisecond
	for range 3 {
		enter(90*models.Day - soon)
	}
	if done, err := job.Once(t.Context()); err != nil || done.Calls != 0 {
		t.Fatalf("%+v %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- job.Run(ctx) }()
	began := time.Now()
	for left := int64(-1); left != 0; {
		left = due(t, db)
		if time.Since(began) > deadline {
			t.Fatalf("%d calls are still due", left)
		}
		if left == 0 && time.Since(began) < soon {
			left = -1 // they are not due yet
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
}

func due(t *testing.T, db *store.DB) int64 {
	t.Helper()
	n, err := db.CountDue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPurgeOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	url := testdb.NewLine(t, testdb.URL(t))
	far, err := store.Open(url.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() }) //nolint:errcheck // the test is over
	job := &retention.PurgeJob{DB: far, Interval: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	url.Cut()
	if _, err := job.Once(t.Context()); err == nil {
		t.Fatal("no error without Postgres")
	}
	url.Mend()
	for end := time.Now().Add(deadline); ; {
		if _, err := job.Once(t.Context()); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
