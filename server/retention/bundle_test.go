package retention_test

import (
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver for looks into the database

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

const deadline = 15 * time.Second

var kept = store.PurgeTimes{Anonymise: 14 * models.Day, Audit: 365 * models.Day}

// bundle is a fresh database with a tenant and a user with a phone.
type bundle struct {
	t      *testing.T
	url    string
	db     *store.DB
	raw    *sql.DB
	tenant models.Tenant
	user   models.User
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, url: testdb.URL(t)}
	b.db = b.open(b.url)
	raw, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() }) //nolint:errcheck // the test is over
	b.raw = raw
	b.tenant = models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}
	b.user = models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &b.tenant.ID, Email: "anna@example.test", Role: models.RoleAdmin, CreatedAt: time.Now()}
	entry := audit.Entry(audit.Operator, "test", audit.Subject{}, "")
	if err := b.db.CreateTenant(t.Context(), b.tenant, b.user, nil, entry); err != nil {
		t.Fatal(err)
	}
	device := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: b.tenant.ID, UserID: b.user.ID, Label: "Desk", Endpoint: "101", CreatedAt: time.Now()}
	if err := b.db.AddDevice(t.Context(), device, entry); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) open(url string) *store.DB {
	b.t.Helper()
	db, err := store.Open(url, 8)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

// job is a replica's; index may be nil.
func (b *bundle) job(index *live.TTLIndex) *retention.PurgeJob {
	return &retention.PurgeJob{DB: b.db, Index: index, Interval: 100 * time.Millisecond, Kept: kept, Log: slog.New(slog.DiscardHandler)}
}

// enter enters a call of an age.
func (b *bundle) enter(age time.Duration) models.Call {
	b.t.Helper()
	n, err := phone.Parse("+31201234567", "NL")
	if err != nil {
		b.t.Fatal(err)
	}
	row, _, _, err := b.db.CreateCall(b.t.Context(), store.NewCall{
		TenantID: b.tenant.ID, UserID: b.user.ID, Number: n, Name: "Jan Jansen", Key: uuid.NewString(),
		Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: time.Now().Add(-age).Truncate(time.Millisecond), MaxAge: 90 * models.Day,
		Limits: store.Limits{AtOnce: 100000}, ReplicaID: uuid.New(), ChannelID: "test-" + uuid.NewString(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return row
}

// asOwner runs a statement past row-level security of the tables that it names.
func (b *bundle) asOwner(statement string, args ...any) {
	b.t.Helper()
	tx, err := b.raw.Begin()
	if err != nil {
		b.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to roll back after a commit
	for _, step := range []string{"NO FORCE", "", "FORCE"} {
		if step == "" {
			_, err = tx.Exec(statement, args...)
		} else {
			for _, table := range []string{"calls", "leases", "evidence", "refusals", "tenants"} {
				if _, err = tx.Exec("ALTER TABLE " + table + " " + step + " ROW LEVEL SECURITY"); err != nil {
					break
				}
			}
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.t.Fatal(err)
	}
}

// dueCalls makes n calls that have been due for a day, and m that live.
func (b *bundle) calls(n, m int) {
	b.t.Helper()
	b.asOwner(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
		SELECT gen_random_uuid(), $1, $2, '', '+31201234567', '', gen_random_uuid(), gen_random_uuid()::text, now() - interval '100 days',
			date_trunc('milliseconds', now() - (interval '1 day' + i % 100 * interval '1 second') * sign($3 - i + 0.5)) FROM generate_series(1, $3::int + $4::int) i`,
		b.tenant.ID, b.user.ID, n, m)
}

// left counts calls, as the database's owner sees them.
func (b *bundle) left(where string) (n int) {
	b.t.Helper()
	tx, err := b.raw.Begin()
	if err != nil {
		b.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the plan
	if _, err := tx.Exec("ALTER TABLE calls NO FORCE ROW LEVEL SECURITY"); err != nil {
		b.t.Fatal(err)
	}
	if err := tx.QueryRow("SELECT count(*) FROM calls WHERE " + where).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// chain is the chain of evidence, which must hold.
func (b *bundle) chain() retention.Chain {
	b.t.Helper()
	c, err := retention.Verify(b.t.Context(), b.db, retention.Look{})
	if err != nil || !c.OK {
		b.t.Fatalf("%+v %v", c.Broken, err)
	}
	return c
}

// inRedis counts the sorted sets of a prefix that hold the call.
func (b *bundle) inRedis(prefix string, call models.Call) string {
	b.t.Helper()
	const count = `local n = 0
		for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
			if redis.call('TYPE', key).ok == 'zset' then
				for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
					if member:find(ARGV[2], 1, true) then n = n + 1 end
				end
			end
		end
		return n`
	return testdb.Speak(b.t, testdb.RedisURL(b.t), "EVAL", count, "0", prefix, call.ID.String())
}
