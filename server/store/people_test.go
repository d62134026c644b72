package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm/schema"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/store"
)

// What the provider's support may read: never a whole number, a name, a password
// or what a token is told by.
func TestSupportColumns(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	may := func(what, table, column string) (may bool) {
		t.Helper()
		if err := b.raw.QueryRow("SELECT has_column_privilege('ctd_support', $1, $2, $3)", table, column, what).Scan(&may); err != nil {
			t.Fatal(err)
		}
		return may
	}
	for table, columns := range map[string][]string{
		"calls": {"number", "name", "last_four"}, "users": {"name", "password_hash", "totp_secret", "totp_last_step"}, "tokens": {"successor"},
		"sessions": {"hash"}, "devices": {"caller_id", "endpoint", "label"}, "recovery_codes": {"hash"}, "password_links": {"hash"}, "pairing_codes": {"hash"},
		"authorization_codes": {"hash", "challenge"}, "oauth_clients": {"secret_hash"}, "audit": {"id", "reason"},
	} {
		for _, column := range columns {
			if may("SELECT", table, column) {
				t.Errorf("ctd_support may read %s.%s", table, column)
			}
		}
	}
	parsed, err := schema.Parse(models.MaskedCall{}, &sync.Map{}, schema.NamingStrategy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range parsed.DBNames {
		if !may("SELECT", "calls", column) {
			t.Errorf("ctd_support may not read calls.%s", column)
		}
	}
	for _, table := range []string{"calls", "users", "tenants", "tokens", "refusals", "devices", "audit"} {
		for _, what := range []string{"UPDATE", "DELETE"} {
			var may bool
			if err := b.raw.QueryRow("SELECT has_table_privilege('ctd_support', $1, $2) OR (has_any_column_privilege('ctd_support', $1, 'UPDATE') AND $2 = 'UPDATE')", table, what).Scan(&may); err != nil {
				t.Fatal(err)
			}
			if may {
				t.Errorf("ctd_support may %s %s", what, table)
			}
		}
	}
	if !may("SELECT", "users", "email") || !may("UPDATE", "grants", "revoked_at") {
		t.Error("support may do nothing: the test proves little")
	}
}

// Support sees living calls only, and a SELECT of everything fails.
func TestSupportSeesLivingCalls(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	living, due := b.startCall(t, "020 123 4567"), b.startCall(t, "020 123 4568")
	b.age(t, due)
	look := audit.Entry(audit.Operator, "support-look-calls", audit.Subject{Kind: "user", ID: b.user.ID, Tenant: b.tenant.ID}, "")
	calls, err := b.db.MaskedCalls(ctx, b.tenant.ID, b.user.ID, look)
	if err != nil || len(calls) != 1 || calls[0].ID != living.ID || *calls[0].NumberMasked != "+31 20 123 4***" {
		t.Errorf("%+v, %v", calls, err)
	}
	if calls, err := b.db.MaskedCalls(ctx, uuid.New(), b.user.ID, look); err != nil || len(calls) != 0 {
		t.Errorf("under another tenant: %+v, %v", calls, err)
	}
	for _, statement := range []string{"SELECT * FROM calls", "SELECT number FROM calls", "SELECT * FROM users", "SELECT c FROM calls c", "SELECT id FROM calls WHERE number = '+31201234567'", "SELECT id FROM calls ORDER BY name"} {
		b.as(t, "ctd_support", uuid.Nil, func(tx *sql.Tx) {
			if _, err := tx.Exec(statement); state(err) != "42501" {
				t.Errorf("%s: %v, want permission denied", statement, err)
			}
		})
	}
}

// newTokens makes a sign-in of the user with access tokens of these ends.
func (b *bundle) newTokens(t *testing.T, ends ...time.Time) models.Grant {
	t.Helper()
	grant := b.newGrant(t, b.user)
	for i, end := range ends {
		hash := sha256.Sum256([]byte(grant.ID.String() + end.String()))
		b.asOwner(t, "INSERT INTO tokens (id, tenant_id, grant_id, kind, hash, created_at, expires_at) VALUES ($1, $2, $3, 'access', $4, $5, $6)",
			uuid.Must(uuid.NewV7()), b.tenant.ID, grant.ID, hash[:], b.at.Add(-time.Duration(i)), end)
	}
	return grant
}

// Which tokens get a tombstone, and how long it stands: also one that has just
// expired, whose socket or ringing call may still be there.
func TestTombstones(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	// One of a minute comes with the sign-in.
	grant := b.newTokens(t, b.at.Add(10*time.Minute), b.at.Add(-59*time.Second), b.at.Add(-61*time.Second))
	spared := b.newGrant(t, b.user)
	gone, err := b.db.Revoke(ctx, store.SignInDesk, store.Which{Grant: grant.ID}, "user", "", b.at, entry)
	if err != nil || gone.SignIns != 1 || gone.Sessions != 0 {
		t.Fatalf("%+v, %v", gone, err)
	}
	var ends []time.Duration
	for _, token := range gone.Tokens {
		ends = append(ends, token.ExpiresAt.Sub(b.at))
		if token.GrantID != grant.ID || token.Confirmed {
			t.Errorf("%+v", token)
		}
	}
	slices.Sort(ends)
	if !slices.Equal(ends, []time.Duration{time.Minute, time.Minute, 10 * time.Minute}) {
		t.Errorf("tombstones stand %v", ends)
	}
	for _, all := range []bool{true, false} {
		if tokens, err := b.db.Revocations(ctx, all); err != nil || len(tokens) != 3 {
			t.Errorf("all %v: %d, %v", all, len(tokens), err)
		}
	}
	if open, err := b.db.Unconfirmed(ctx, gone.Tokens); err != nil || !open {
		t.Errorf("unconfirmed: %v, %v", open, err)
	}
	if err := b.db.ConfirmRevocations(ctx, gone.Tokens); err != nil {
		t.Fatal(err)
	}
	if open, err := b.db.Unconfirmed(ctx, gone.Tokens); err != nil || open {
		t.Errorf("confirmed: %v, %v", open, err)
	}
	// Long ago and confirmed: read by those who have read nothing yet, and no other.
	b.asOwner(t, "UPDATE revocations SET created_at = now() - interval '1 minute'")
	if tokens, err := b.db.Revocations(ctx, false); err != nil || len(tokens) != 0 {
		t.Errorf("old: %d, %v", len(tokens), err)
	}
	if tokens, err := b.db.Revocations(ctx, true); err != nil || len(tokens) != 3 {
		t.Errorf("old, all: %d, %v", len(tokens), err)
	}
	b.asOwner(t, "UPDATE revocations SET confirmed = false")
	if tokens, err := b.db.Revocations(ctx, false); err != nil || len(tokens) != 3 {
		t.Errorf("old and open: %d, %v", len(tokens), err)
	}
	if _, err := b.db.SignInEnd(ctx, spared.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another sign-in: %v", err)
	}
	if _, err := b.db.Revoke(ctx, store.SignInDesk, store.Which{}, "user", "", b.at, entry); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("of everything: %v", err)
	}
	if _, err := b.db.Revoke(ctx, store.SignInDesk, store.Which{Grant: grant.ID, User: uuid.New()}, "user", "", b.at, entry); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another user: %v", err)
	}
}

// A change and its line in the audit are one: when the one fails, the other has
// not happened.
func TestRevokeIsOneWithItsAudit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	grant := b.newGrant(t, b.user)
	bad := entry
	bad.Action = "Not An Action"
	for _, as := range []store.Asker{store.SignInDesk, store.Support, store.CommandLine} {
		for _, which := range []store.Which{{Grant: grant.ID}, {User: b.user.ID}, {Tenant: b.tenant.ID}} {
			if _, err := b.db.Revoke(ctx, as, which, "user", "", b.at, bad); err == nil {
				t.Error("an odd action is taken")
			}
		}
	}
	if _, err := b.db.SignInEnd(ctx, grant.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it ended without a line: %v", err)
	}
	if tokens, err := b.db.Revocations(ctx, true); err != nil || len(tokens) != 0 {
		t.Errorf("%d tombstones, %v", len(tokens), err)
	}
}
