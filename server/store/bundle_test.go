package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/phone"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// bundle is a fresh database with one tenant, and a user with one phone.
type bundle struct {
	url    string
	db     *store.DB
	raw    *sql.DB // as the login role, for what the store would never do
	tenant models.Tenant
	user   models.User
	device models.Device
	at     time.Time
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{url: testdb.URL(t), at: time.Now().UTC().Truncate(time.Millisecond)}
	b.db = openStore(t, b.url, 8)
	raw, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() }) //nolint:errcheck // the test is over
	b.raw = raw
	b.tenant, b.user, b.device = b.newTenant(t, "Acme")
	return b
}

func openStore(t *testing.T, url string, conns int) *store.DB {
	t.Helper()
	db, err := store.Open(url, conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

var entry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

// newTenant makes a tenant with an admin who has one phone.
func (b *bundle) newTenant(t *testing.T, name string) (models.Tenant, models.User, models.Device) {
	t.Helper()
	tenant := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: name, Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, UsersMayDelete: true, EndpointGlobs: models.Texts{"*"}, CreatedAt: b.at,
	}
	user := models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: strings.ToLower(name) + "@example.test",
		Name: name + " Admin", Role: models.RoleAdmin, CreatedAt: b.at,
	}
	if err := b.db.CreateTenant(context.Background(), tenant, user, nil, entry); err != nil {
		t.Fatal(err)
	}
	return tenant, user, b.newDevice(t, user, "desk", "101")
}

func (b *bundle) newUser(t *testing.T, tenant models.Tenant, email string) models.User {
	t.Helper()
	user := models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: email, Role: models.RoleUser, CreatedAt: b.at,
	}
	if err := b.db.CreateUser(context.Background(), user, entry); err != nil {
		t.Fatal(err)
	}
	return user
}

func (b *bundle) newDevice(t *testing.T, user models.User, label, endpoint string) models.Device {
	t.Helper()
	device := models.Device{
		ID: uuid.Must(uuid.NewV7()), TenantID: *user.TenantID, UserID: user.ID, Label: label, Endpoint: endpoint, CreatedAt: b.at,
	}
	if err := b.db.AddDevice(context.Background(), device, entry); err != nil {
		t.Fatal(err)
	}
	return device
}

// newGrant makes a sign-in of the user, with its tokens, by way of a pairing code.
func (b *bundle) newGrant(t *testing.T, user models.User) models.Grant {
	t.Helper()
	ctx := context.Background()
	hash := sha256.Sum256([]byte(uuid.NewString()))
	code := models.PairingCode{
		ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Hash: hash[:], MadeBy: "operator",
		CreatedAt: b.at, ExpiresAt: b.at.Add(time.Minute),
	}
	if err := b.db.CreatePairing(ctx, store.CommandLine, code, entry); err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7())
	grant := models.Grant{
		ID: id, TenantID: user.TenantID, UserID: user.ID, ClientID: "extension", DeviceName: "Chromium",
		SupportCode: letters(id), Scopes: "all", MadeBy: "operator", CreatedAt: b.at, ExpiresAt: b.at.Add(time.Hour),
	}
	token := func(kind models.TokenKind) models.Token {
		h := sha256.Sum256([]byte(id.String() + string(kind)))
		return models.Token{
			ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, GrantID: id, Kind: kind, Hash: h[:],
			CreatedAt: b.at, ExpiresAt: b.at.Add(time.Minute),
		}
	}
	err := b.db.RedeemPairing(ctx, hash[:], b.at, func(models.PairingCode) (models.Grant, store.Issue, models.Audit) {
		return grant, store.Issue{Access: token(models.AccessToken), Refresh: token(models.RefreshToken)}, entry
	})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// letters makes six letters of an id's random tail.
func letters(id uuid.UUID) string {
	out := make([]byte, 6)
	for i := range out {
		out[i] = 'A' + id[10+i]%26
	}
	return string(out)
}

func number(t *testing.T, text string) phone.Number {
	t.Helper()
	n, err := phone.Parse(text, "NL")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newCall is a click that nothing forbids.
func (b *bundle) newCall(t *testing.T, text string) store.NewCall {
	t.Helper()
	return store.NewCall{
		TenantID: b.tenant.ID, UserID: b.user.ID, Number: number(t, text), Name: "Jan Jansen",
		Key: uuid.NewString(), Fingerprints: [2][]byte{[]byte(text), []byte("yesterday " + text)},
		At: b.at, MaxAge: 90 * models.Day, Limits: store.Limits{AtOnce: 100},
		ReplicaID: uuid.New(), ChannelID: "ctd-" + uuid.NewString(),
	}
}

func (b *bundle) startCall(t *testing.T, text string) models.Call {
	t.Helper()
	return b.create(t, b.newCall(t, text))
}

func (b *bundle) create(t *testing.T, n store.NewCall) models.Call {
	t.Helper()
	call, _, replayed, err := b.db.CreateCall(context.Background(), n)
	if err != nil || replayed {
		t.Fatalf("replayed %v, %v", replayed, err)
	}
	return call
}

// refuse notes a refusal of the bundle's user.
func (b *bundle) refuse(t *testing.T) {
	t.Helper()
	row := models.Refusal{
		ID: uuid.Must(uuid.NewV7()), TenantID: b.tenant.ID, UserID: b.user.ID, Code: "star-code", SupportCode: "ABCDEF", At: b.at,
	}
	if err := b.db.Refuse(context.Background(), row); err != nil {
		t.Fatal(err)
	}
}

// ended is the end of a call that was answered.
func ended(call models.FollowedCall) (store.Step, bool) {
	at := call.CreatedAt.Add(time.Second)
	return store.Step{
		Status: models.Disconnected, Reason: models.HangUp, Diagnosis: models.HungUp, At: at,
		CallerAnsweredAt: call.CallerAnsweredAt, ConnectedAt: call.ConnectedAt, EndedAt: &at,
	}, true
}

// reach moves a call to a status on its way.
func reach(status models.Status) func(models.FollowedCall) (store.Step, bool) {
	return func(call models.FollowedCall) (store.Step, bool) {
		return store.Step{Status: status, At: call.CreatedAt}, true
	}
}

func (b *bundle) advance(t *testing.T, call models.Call, decide func(models.FollowedCall) (store.Step, bool)) models.FollowedCall {
	t.Helper()
	now, changed, err := b.db.Advance(context.Background(), call.ChannelID, decide)
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	return now
}

// age moves a call's record past its end, as time would. Only a session that
// row-level security does not hold can: the owner, between NO FORCE and FORCE.
func (b *bundle) age(t *testing.T, call models.Call) {
	t.Helper()
	b.asOwner(t, "UPDATE calls SET created_at = now() - interval '91 days', expires_at = date_trunc('milliseconds', now() - interval '1 day') WHERE id = $1", call.ID)
}

// asOwner runs a statement past row-level security.
func (b *bundle) asOwner(t *testing.T, statement string, args ...any) {
	t.Helper()
	tx, err := b.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to roll back after a commit
	all := names(t, b.raw, tables)
	for _, table := range all {
		if _, err := tx.Exec(fmt.Sprintf("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY", table)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		if _, err := tx.Exec(fmt.Sprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY", table)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// as runs fn in a transaction of a role that is rolled back.
func (b *bundle) as(t *testing.T, role string, tenant uuid.UUID, fn func(tx *sql.Tx)) {
	t.Helper()
	tx, err := b.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the plan
	of := ""
	if tenant != uuid.Nil {
		of = tenant.String()
	}
	if _, err := tx.Exec("SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)", role, of); err != nil {
		t.Fatal(err)
	}
	fn(tx)
}
