package auth

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// bundle is a tenant with a user who signs in.
type bundle struct {
	*Service
	url    string
	tenant models.Tenant
	user   models.User

	mu  sync.Mutex
	now time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{url: testdb.URL(t), now: time.Now().UTC().Truncate(time.Microsecond)}
	db, err := store.Open(b.url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	keys, err := secret.NewKeys([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	b.Service = &Service{DB: db, Redis: testdb.Redis(t), Keys: keys, Now: func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.now
	}}
	b.tenant = models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, EndpointGlobs: models.Texts{"*"}, CreatedAt: b.now,
	}
	b.user = models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &b.tenant.ID, Email: "anna@example.test", Name: "Anna", Role: models.RoleAdmin, CreatedAt: b.now,
	}
	if err := db.CreateTenant(context.Background(), b.tenant, b.user, nil, entry); err != nil {
		t.Fatal(err)
	}
	return b
}

var entry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

// later moves the service's clock.
func (b *bundle) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bundle) pair(t *testing.T) string {
	t.Helper()
	code, expires, err := b.Pair(context.Background(), b.user.Email, audit.Operator)
	if err != nil {
		t.Fatal(err)
	}
	if !expires.Equal(b.Now().Add(PairingLife)) {
		t.Errorf("a code lives until %v", expires)
	}
	return code
}

func (b *bundle) signIn(t *testing.T) Tokens {
	t.Helper()
	tokens, err := b.Redeem(context.Background(), b.pair(t), ExtensionClient, "Chromium")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (b *bundle) refresh(t *testing.T, token string) Tokens {
	t.Helper()
	tokens, err := b.Refresh(context.Background(), token, ExtensionClient, "")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (b *bundle) wantAlive(t *testing.T, access string, alive bool) {
	t.Helper()
	_, err := b.Authenticate(context.Background(), access)
	if alive && err != nil || !alive && fault.Code(err) != "unauthorized" {
		t.Errorf("an access token that should be alive %v: %v", alive, err)
	}
}

// asOwner runs a statement past row-level security.
func (b *bundle) asOwner(t *testing.T, statement string, args ...any) {
	t.Helper()
	b.past(t, func(tx *sql.Tx) {
		if _, err := tx.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	})
}

func (b *bundle) past(t *testing.T, fn func(*sql.Tx)) {
	t.Helper()
	raw, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close() //nolint:errcheck // the work is done or has failed already
	tables := b.tables(t, raw)
	tx, err := raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to roll back after a commit
	for _, force := range []string{"NO FORCE", "FORCE"} {
		for _, table := range tables {
			if _, err := tx.Exec(fmt.Sprintf("ALTER TABLE %s %s ROW LEVEL SECURITY", table, force)); err != nil {
				t.Fatal(err)
			}
		}
		if force == "NO FORCE" {
			fn(tx)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) tables(t *testing.T, raw *sql.DB) []string {
	t.Helper()
	var list string
	if err := raw.QueryRow("SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'").Scan(&list); err != nil {
		t.Fatal(err)
	}
	return strings.Split(list, ",")
}

// dump is all the text that a dump of the database would hold.
func (b *bundle) dump(t *testing.T) string {
	t.Helper()
	raw, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close() //nolint:errcheck // read to its end
	tables := b.tables(t, raw)
	var all strings.Builder
	b.past(t, func(tx *sql.Tx) {
		for _, table := range tables {
			var text sql.NullString
			query := fmt.Sprintf(`SELECT string_agg(r::text, E'\n') FROM %s r`, table)
			if err := tx.QueryRow(query).Scan(&text); err != nil {
				t.Fatal(err)
			}
			all.WriteString(text.String + "\n")
		}
	})
	return all.String()
}
