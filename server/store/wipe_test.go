package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

// endTenant ends a contract, ago before now, with no grace: it is to be wiped.
func (b *bundle) endTenant(t *testing.T, tenant uuid.UUID, ago, grace time.Duration) {
	t.Helper()
	if _, err := b.db.EndTenant(context.Background(), tenant, b.at.Add(-ago), grace, entry); err != nil {
		t.Fatal(err)
	}
}

// give makes a row of the tenant in every table that has tenants.
func (b *bundle) give(t *testing.T, tenant models.Tenant, user models.User) {
	t.Helper()
	n := b.newCall(t, "020 123 4567")
	n.TenantID, n.UserID = tenant.ID, user.ID
	b.advance(t, b.create(t, n), reach(models.CallingCaller))
	b.newGrant(t, user)
	for _, row := range agedRows {
		if row.table == "grants" || row.table == "daily_keys" || row.table == "replicas" || row.table == "tokens" || row.table == "users" || row.table == "revocations" {
			continue
		}
		b.asOwner(t, "INSERT INTO "+row.table+" ("+row.columns+") SELECT "+fmt.Sprintf(row.values, "now() + interval '1 hour'")+" FROM (SELECT $1::uuid, $2::uuid) args", tenant.ID, user.ID)
	}
	for _, insert := range []string{
		"INSERT INTO recovery_codes (id, tenant_id, user_id, hash) VALUES (gen_random_uuid(), $1, $2, sha256(gen_random_uuid()::text::bytea))",
		"INSERT INTO restamps (tenant_id, kept_ms) SELECT $1, 0 FROM (SELECT $2::uuid) x",
		"INSERT INTO do_not_dial (tenant_id, hash) SELECT $1, sha256('x') FROM (SELECT $2::uuid) x",
		"INSERT INTO restrictions (tenant_id, subject, hash) SELECT $1, 'user', sha256('x') FROM (SELECT $2::uuid) x",
		`INSERT INTO privacy_requests (id, tenant_id, reference, act, subject, user_id, received_at, due_at)
			VALUES (gen_random_uuid(), $1, translate(substr(md5(random()::text), 1, 8), '0123456789abcdef', 'ABCDEFGHIJKLMNOP'), 'access', 'user', $2, now(), now())`,
	} {
		b.asOwner(t, insert, tenant.ID, user.ID)
	}
}

// All of an ended contract goes, of whatever table, and nothing of another tenant.
func TestWipe(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	pbx := &models.PBXConnection{ID: uuid.New(), SealedURL: []byte("x"), CreatedAt: b.at}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{PBX: pbx}, entry); err != nil {
		t.Fatal(err)
	}
	other, stranger, _ := b.newTenant(t, "Other")
	early, _, _ := b.newTenant(t, "Early")
	b.newUser(t, b.tenant, "second@example.test")
	b.give(t, b.tenant, b.user)
	b.give(t, other, stranger)
	b.endTenant(t, b.tenant.ID, 90*models.Day+time.Second, 90*models.Day)
	b.endTenant(t, early.ID, 90*models.Day-time.Minute, 90*models.Day)
	tenanted := names(t, b.raw, `SELECT c.table_name::text FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE'`)
	rowsOf := func(tenant uuid.UUID) (of []string) {
		for _, table := range tenanted {
			if n := b.pick(t, "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", tenant); n[0] != "0" {
				of = append(of, table)
			}
		}
		slices.Sort(of)
		return of
	}
	had := rowsOf(other.ID)
	if want := len(tenanted) - 1; len(had) != want { // all but evidence
		t.Fatalf("the test has rows in %d of %d tables: %v of %v", len(had), want, had, tenanted)
	}
	audits := b.pick(t, "SELECT count(*) FROM audit WHERE tenant_id = $1", b.tenant.ID)[0]
	term := b.startPurge(t)
	tenants, err := b.db.Wipes(ctx, 10)
	if err != nil || !slices.Equal(tenants, []uuid.UUID{b.tenant.ID}) {
		t.Fatalf("%v %v", tenants, err)
	}
	for _, id := range []uuid.UUID{other.ID, early.ID} { // who is not to be wiped
		if gone, err := b.db.WipeCalls(ctx, term, id, 10); err != nil || len(gone) != 0 {
			t.Errorf("calls: %d, %v", len(gone), err)
		}
		if n, err := b.db.WipePeople(ctx, term, id, 10); err != nil || n != 0 {
			t.Errorf("people: %d, %v", n, err)
		}
		if n, err := b.db.WipeAudit(ctx, term, id, 10); err != nil || n != 0 {
			t.Errorf("audit: %d, %v", n, err)
		}
		if _, done, err := b.db.EndWipe(ctx, term, id); err != nil || done {
			t.Errorf("the tenant: %v, %v", done, err)
		}
	}
	if n, err := b.db.WipePeople(ctx, term, b.tenant.ID, 10); err != nil || n != 1 {
		t.Errorf("%d users without calls, %v", n, err)
	}
	if _, done, err := b.db.EndWipe(ctx, term, b.tenant.ID); err != nil || done {
		t.Errorf("with calls left: %v, %v", done, err)
	}
	if gone, err := b.db.WipeCalls(ctx, term, b.tenant.ID, 10); err != nil || len(gone) != 1 || gone[0].UserID != b.user.ID {
		t.Errorf("%v, %v", gone, err)
	}
	b.asOwner(t, "UPDATE leases SET until = '-infinity'") // the rest is another run's
	term = b.startPurge(t)
	n, err := b.db.WipeAudit(ctx, term, b.tenant.ID, 100)
	if err != nil || fmt.Sprint(n) != audits {
		t.Errorf("%d of %s audit entries, %v", n, audits, err)
	}
	if _, done, err := b.db.EndWipe(ctx, term, b.tenant.ID); err != nil || done {
		t.Errorf("with a user left: %v, %v", done, err)
	}
	if n, err := b.db.WipePeople(ctx, term, b.tenant.ID, 10); err != nil || n != 1 {
		t.Errorf("%d users, %v", n, err)
	}
	e, done, err := b.db.EndWipe(ctx, term, b.tenant.ID)
	if err != nil || !done || e.Calls != 1 || e.Others != n+4 || e.Kind != models.EvidenceContract {
		t.Errorf("certificate: %+v, %v, %v", e, done, err)
	}
	b.endPurge(t, term)
	if left := rowsOf(b.tenant.ID); !slices.Equal(left, []string{"evidence", "privacy_requests"}) {
		t.Errorf("left: %v", left)
	}
	if open := b.pick(t, "SELECT count(*) FROM privacy_requests WHERE tenant_id = $1 AND user_id IS NOT NULL", b.tenant.ID); open[0] != "0" {
		t.Error("a receipt names its person")
	}
	if b.count(t, "tenants") != 2 || b.count(t, "pbx_connections") != 0 {
		t.Error("the tenant or its connection is left")
	}
	if now := rowsOf(other.ID); !slices.Equal(now, had) {
		t.Errorf("another tenant had %v, and has %v", had, now)
	}
	got, err := b.db.Certificate(ctx, b.tenant.ID)
	if err != nil || got.N != e.N || !got.StartedAt.Equal(b.at.Add(-90*models.Day-time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := b.db.Certificate(ctx, early.ID); err == nil {
		t.Error("a certificate for who is not wiped")
	}
	if _, err := b.verify(t); err != nil {
		t.Error(err)
	}
}

// A connection that another tenant uses too stays.
func TestWipeKeepsASharedConnection(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	pbx := &models.PBXConnection{ID: uuid.New(), SealedURL: []byte("x"), CreatedAt: b.at}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{PBX: pbx}, entry); err != nil {
		t.Fatal(err)
	}
	b.newTenant(t, "Other")
	b.asOwner(t, "UPDATE tenants SET pbx_id = $1", pbx.ID)
	b.endTenant(t, b.tenant.ID, time.Second, 0)
	term := b.startPurge(t)
	if _, err := b.db.WipePeople(ctx, term, b.tenant.ID, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.WipeAudit(ctx, term, b.tenant.ID, 10); err != nil {
		t.Fatal(err)
	}
	if _, done, err := b.db.EndWipe(ctx, term, b.tenant.ID); err != nil || !done {
		t.Errorf("%v, %v", done, err)
	}
	if b.count(t, "tenants") != 1 || b.count(t, "pbx_connections") != 1 {
		t.Error("the connection has gone")
	}
}
