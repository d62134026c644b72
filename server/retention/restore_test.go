package retention

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/phone"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

var testEntry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

// archive is a database as a dump gives it back, and the ledger that knows more.
type archive struct {
	*desk
	old, keys *secret.Keys // hashes under a key of before, and under both
	tenant    models.Tenant
	at        time.Time
	n         int64
	owner     uuid.UUID
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{desk: newDesk(t, testdb.URL(t)), at: time.Now().UTC().Truncate(time.Millisecond), n: 100}
	before, after := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	var err error
	if a.old, err = secret.NewKeys([][]byte{before}); err != nil {
		t.Fatal(err)
	}
	if a.keys, err = secret.NewKeys([][]byte{after, before}); err != nil {
		t.Fatal(err)
	}
	state, err := a.db.LedgerState(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a.owner = state.Installation
	a.tenant = a.newTenant("Acme")
	return a
}

func (a *archive) newTenant(name string) models.Tenant {
	a.t.Helper()
	tenant := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: name, Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, EndpointGlobs: models.Texts{"*"}, CreatedAt: a.at,
	}
	admin := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: strings.ToLower(name) + "@example.test", Role: models.RoleAdmin, CreatedAt: a.at}
	if err := a.db.CreateTenant(context.Background(), tenant, admin, nil, testEntry); err != nil {
		a.t.Fatal(err)
	}
	return tenant
}

func (a *archive) newUser(tenant models.Tenant, email string) models.User {
	a.t.Helper()
	user := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: email, Name: "Some Body", Role: models.RoleUser, CreatedAt: a.at}
	if tenant.ID == uuid.Nil {
		user.TenantID, user.Role = nil, models.RoleSupport
	}
	if err := a.db.CreateUser(context.Background(), user, testEntry); err != nil || user.TenantID == nil {
		if err != nil {
			a.t.Fatal(err)
		}
		return user
	}
	device := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: tenant.ID, UserID: user.ID, Label: "Anna's desk", Endpoint: "101", CreatedAt: a.at}
	if err := a.db.AddDevice(context.Background(), device, testEntry); err != nil {
		a.t.Fatal(err)
	}
	return user
}

// call enters a call that ended a second after it was made.
func (a *archive) call(user models.User, number string, age time.Duration) uuid.UUID {
	a.t.Helper()
	ctx := context.Background()
	parsed, err := phone.Parse(number, "NL")
	if err != nil {
		a.t.Fatal(err)
	}
	channel := "test-" + uuid.NewString()
	row, _, _, err := a.db.CreateCall(ctx, store.NewCall{
		TenantID: *user.TenantID, UserID: user.ID, Number: parsed, Name: "Jan Jansen", Key: uuid.NewString(),
		Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: a.at.Add(-age), MaxAge: 90 * models.Day,
		Limits: store.Limits{AtOnce: 100}, ReplicaID: uuid.New(), ChannelID: channel,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	_, _, err = a.db.Advance(ctx, channel, func(c models.FollowedCall) (store.Step, bool) {
		end := c.CreatedAt.Add(time.Second)
		return store.Step{Status: models.Disconnected, Reason: models.CallerAbandon, Diagnosis: models.HungUp, At: end, EndedAt: &end}, true
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return row.ID
}

// signIn gives the user a sign-in, a session, a link and a code.
func (a *archive) signIn(user models.User) {
	a.t.Helper()
	ctx := context.Background()
	hash := func() []byte { sum := sha256.Sum256([]byte(uuid.NewString())); return sum[:] }
	code := models.PairingCode{ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Hash: hash(), MadeBy: "operator", CreatedAt: a.at, ExpiresAt: a.at.Add(time.Hour)}
	spare := code
	spare.ID, spare.Hash = uuid.Must(uuid.NewV7()), hash()
	for _, c := range []models.PairingCode{code, spare} {
		if err := a.db.CreatePairing(ctx, store.CommandLine, c, testEntry); err != nil {
			a.t.Fatal(err)
		}
	}
	grant := models.Grant{
		ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, ClientID: "extension", DeviceName: "Anna's laptop", Scopes: "all",
		SupportCode: letters(uuid.New()), MadeBy: "operator", CreatedAt: a.at, ExpiresAt: a.at.Add(time.Hour),
	}
	token := func(kind models.TokenKind) models.Token {
		return models.Token{ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, GrantID: grant.ID, Kind: kind, Hash: hash(), CreatedAt: a.at, ExpiresAt: a.at.Add(time.Minute)}
	}
	err := a.db.RedeemPairing(ctx, code.Hash, a.at, func(models.PairingCode) (models.Grant, store.Issue, models.Audit) {
		return grant, store.Issue{Access: token(models.AccessToken), Refresh: token(models.RefreshToken)}, testEntry
	})
	if err != nil {
		a.t.Fatal(err)
	}
	session := models.Session{ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Hash: hash(), Stage: models.StageFull, Browser: "Firefox", CreatedAt: a.at, SeenAt: a.at, ExpiresAt: a.at.Add(time.Hour)}
	if err := a.db.BeginSession(ctx, session, uuid.Nil, testEntry); err != nil {
		a.t.Fatal(err)
	}
	link := models.PasswordLink{ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Kind: models.Reset, Hash: hash(), MadeBy: "operator", CreatedAt: a.at, ExpiresAt: a.at.Add(time.Hour)}
	if err := a.db.CreateLink(ctx, store.CommandLine, link, testEntry); err != nil {
		a.t.Fatal(err)
	}
}

func letters(id uuid.UUID) string {
	out := make([]byte, 6)
	for i := range out {
		out[i] = 'A' + id[i]%26
	}
	return string(out)
}

// tells writes a line about somebody of the tenant, of an act an age ago.
func (a *archive) tells(kind string, tenant uuid.UUID, hash []byte, age time.Duration) {
	a.t.Helper()
	a.n++
	line := map[string]any{"n": a.n, "installation": a.owner, "at": a.at.Add(-age), "kind": kind, "tenant": tenant, "hash": hex.EncodeToString(hash), "before": a.at.Add(-age)}
	text, err := json.Marshal(line)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := appendLines(a.path, []string{string(text)}); err != nil {
		a.t.Fatal(err)
	}
}

// mac is a hash as it was made before the newest key came.
func (a *archive) mac(purpose string, words ...string) []byte {
	a.t.Helper()
	hash, err := a.old.MAC(purpose, strings.Join(words, "|"))
	if err != nil {
		a.t.Fatal(err)
	}
	return hash
}

func (a *archive) check() *RestoreCheck {
	return &RestoreCheck{
		DB: a.db, Keys: a.keys, Ledger: a.path, Now: time.Now, Log: slog.New(slog.NewJSONHandler(a.log, nil)),
		Purge: func(ctx context.Context) (int64, error) {
			done, err := (&PurgeJob{DB: a.db, Interval: time.Minute, Log: slog.New(slog.DiscardHandler)}).Once(ctx)
			return done.Calls, err
		},
	}
}

func (a *archive) run() Restored {
	a.t.Helper()
	done, err := a.check().Run(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	return done
}

// left are the records of a tenant, and which of them are hidden.
func (a *archive) left(tenant uuid.UUID) (ids, hidden []uuid.UUID) {
	a.t.Helper()
	calls, err := a.db.SubjectCalls(context.Background(), tenant, store.SubjectCall{}, 1000)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, call := range calls {
		ids = append(ids, call.ID)
		if call.Restricted {
			hidden = append(hidden, call.ID)
		}
	}
	return ids, hidden
}

func (a *archive) value(role, tenant, query string, args ...any) (text string) {
	a.t.Helper()
	a.in(role, tenant, func(scan func(string, *string, ...any)) { scan(query, &text, args...) })
	return text
}

func sameIDs(t *testing.T, what string, got []uuid.UUID, want ...uuid.UUID) {
	t.Helper()
	byText := func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
	got, want = slices.Clone(got), slices.Clone(want)
	slices.SortFunc(got, byText)
	slices.SortFunc(want, byText)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d, want %d: %v, want %v", what, len(got), len(want), got, want)
	}
}

// Each kind of line does again what it says, to whom it says, and to what was made
// before; run again, nothing more.
func TestReplay(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := a.tenant.ID.String()
	anna, bob := a.newUser(a.tenant, "anna@example.test"), a.newUser(a.tenant, "bob@example.test")
	carl, dora := a.newUser(a.tenant, "carl@example.test"), a.newUser(a.tenant, "dora@example.test")
	other := a.newTenant("Other")
	olga := a.newUser(other, "olga@example.test")
	var keep, hide []uuid.UUID
	kept := func(call uuid.UUID) uuid.UUID { keep = append(keep, call); return call }
	hidden := func(call uuid.UUID) { hide = append(hide, kept(call)) }

	a.call(anna, "+31201234567", 5*time.Hour)
	a.call(bob, "+31201234567;ext=12", 4*time.Hour)
	kept(a.call(anna, "+31201234567", time.Hour)) // after the erasure
	a.tells("number", a.tenant.ID, a.mac("ledger", "number", id, "+31201234567"), 2*time.Hour)

	a.call(anna, "+31201234568;ext=5", 5*time.Hour)
	kept(a.call(anna, "+31201234568", 5*time.Hour))
	a.tells("number", a.tenant.ID, a.mac("ledger", "number", id, "+31201234568;ext=5"), 2*time.Hour)

	a.call(bob, "+31201110001", 5*time.Hour)
	kept(a.call(bob, "+31201110001", time.Hour))
	a.tells("history", a.tenant.ID, a.mac("ledger", "history", id, bob.ID.String()), 2*time.Hour)

	one := a.call(anna, "+31201110002", 5*time.Hour)
	kept(a.call(anna, "+31201110002", 5*time.Hour))
	a.tells("call", a.tenant.ID, a.mac("ledger", "call", id, one.String()), 2*time.Hour)

	a.call(carl, "+31201110003", 5*time.Hour)
	a.tells("user", a.tenant.ID, a.mac("ledger", "user", id, carl.ID.String()), 2*time.Hour)
	a.signIn(dora)
	kept(a.call(dora, "+31201110004", 5*time.Hour))
	a.tells("leaver", a.tenant.ID, a.mac("ledger", "leaver", id, dora.ID.String()), 2*time.Hour)

	hidden(a.call(anna, "+31201110005;ext=1", 5*time.Hour))
	kept(a.call(anna, "+31201110005", time.Hour)) // later
	a.tells("restriction", a.tenant.ID, a.mac("restriction", id, "number", "+31201110005"), 2*time.Hour)
	lifted := a.mac("restriction", id, "number", "+31201110006")
	shown := kept(a.call(anna, "+31201110006", 5*time.Hour))
	if err := a.db.RestrictCalls(t.Context(), a.tenant.ID, []uuid.UUID{shown}, true); err != nil {
		t.Fatal(err)
	}
	if err := a.db.StandRestrictions(t.Context(), a.tenant.ID, []store.Standing{{Hash: lifted, Subject: models.SubjectNumber, At: a.at}}); err != nil {
		t.Fatal(err)
	}
	a.tells("restriction", a.tenant.ID, lifted, 3*time.Hour)
	a.tells("restriction-lifted", a.tenant.ID, lifted, 2*time.Hour)

	listed, off := a.mac("do-not-dial", id, "+31201110007"), a.mac("do-not-dial", id, "+31201110008")
	a.tells("objection", a.tenant.ID, listed, 3*time.Hour)
	a.tells("objection-lifted", a.tenant.ID, off, 2*time.Hour)
	a.tells("objection", a.tenant.ID, off, 3*time.Hour) // written late

	theirs := []uuid.UUID{
		a.call(olga, "+31201234567", 5*time.Hour), a.call(olga, "+31201110005;ext=1", 5*time.Hour),
	}

	first := a.run()
	ids, gone := a.left(a.tenant.ID)
	sameIDs(t, "what is left", ids, keep...)
	sameIDs(t, "what is hidden", gone, hide...)
	ids, gone = a.left(other.ID)
	sameIDs(t, "another tenant's", ids, theirs...)
	sameIDs(t, "another tenant's hidden", gone)
	want := Restored{SignInsEnded: 1, SessionsClosed: 1, Erased: 6, Objections: 1, Restrictions: 1, LedgerEntries: 12}
	if first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	if again := a.run(); again != (Restored{Objections: 1, Restrictions: 1, LedgerEntries: 12}) {
		t.Errorf("again: %+v", again)
	}
	ids, gone = a.left(a.tenant.ID)
	sameIDs(t, "left again", ids, keep...)
	sameIDs(t, "hidden again", gone, hide...)

	if got := a.value("ctd_app", id, "SELECT string_agg(encode(hash, 'hex'), ' ') FROM do_not_dial"); got != hex.EncodeToString(listed) {
		t.Errorf("objections: %s", got)
	}
	if got := a.value("ctd_app", id, "SELECT string_agg(subject || ' ' || (hash = $1)::text, ' ') FROM restrictions", lifted); got != "number false" {
		t.Errorf("restrictions: %s", got)
	}
	if got := a.value("ctd_operator", "", "SELECT count(*)::text FROM users WHERE id = $1", carl.ID); got != "0" {
		t.Errorf("a user who is gone: %s", got)
	}
	if got := a.value("ctd_operator", "", `SELECT concat_ws(' ', email = 'gone-' || id || '@invalid', name = '', deleted_at IS NOT NULL, disabled_at IS NOT NULL,
		(SELECT count(*) FROM devices d WHERE d.user_id = u.id), (SELECT string_agg(device_name, ',') FROM grants g WHERE g.user_id = u.id)) FROM users u WHERE id = $1`, dora.ID); got != "t t t t 0 -" {
		t.Errorf("a user who left: %s", got)
	}
	if got := a.value("ctd_app", id, "SELECT string_agg(device_label || '.' || (device_id IS NULL), ' ') FROM calls WHERE user_id = $1", dora.ID); got != ".true" {
		t.Errorf("the calls of a user who left: %q", got)
	}
	if got := a.value("ctd_app", id, "SELECT count(*)::text FROM idempotency WHERE call_id IS NULL AND fingerprint IS NOT NULL"); got != "0" {
		t.Errorf("%s erased clicks can be told", got)
	}
	if err := a.ledger().Open(t.Context()); err != nil {
		t.Errorf("it does not open: %v", err)
	}
}

// A user's restriction hides what had ended by then, and is entered as a user's.
func TestReplayUserRestriction(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	anna := a.newUser(a.tenant, "anna@example.test")
	old := a.call(anna, "+31201110005", 5*time.Hour)
	young := a.call(anna, "+31201110005", time.Hour)
	a.tells("restriction", a.tenant.ID, a.mac("restriction", a.tenant.ID.String(), "user", anna.ID.String()), 2*time.Hour)
	a.run()
	ids, hidden := a.left(a.tenant.ID)
	sameIDs(t, "left", ids, old, young)
	sameIDs(t, "hidden", hidden, old)
	if got := a.value("ctd_app", a.tenant.ID.String(), "SELECT string_agg(subject, ' ') FROM restrictions"); got != "user" {
		t.Errorf("%s", got)
	}
}

// Nobody acts by what the dump gives back: sign-ins, sessions, codes and links of
// every tenant and of support.
func TestRestoreSignsOut(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	other := a.newTenant("Other")
	for _, user := range []models.User{a.newUser(a.tenant, "anna@example.test"), a.newUser(other, "olga@example.test"), a.newUser(models.Tenant{}, "support@example.test")} {
		a.signIn(user)
	}
	if done := a.run(); done.SignInsEnded != 3 || done.SessionsClosed != 3 {
		t.Errorf("%+v", done)
	}
	for what, query := range map[string]string{
		"sign-ins":      "SELECT count(*)::text FROM grants WHERE revoked_at IS NULL",
		"sessions":      "SELECT count(*)::text FROM sessions",
		"pairing codes": "SELECT count(*)::text FROM pairing_codes WHERE used_at IS NULL",
		"links":         "SELECT count(*)::text FROM password_links WHERE used_at IS NULL",
	} {
		if got := a.value("ctd_auth", "", query); got != "0" {
			t.Errorf("%s: %s are left", what, got)
		}
	}
	if got := a.value("ctd_auth", "", "SELECT string_agg(DISTINCT revoked_by || ' ' || revoked_reason, ',') FROM grants"); got != "operator database restored" {
		t.Errorf("%q", got)
	}
}

// Interrupted at any step, it is not open; run again, it comes to the same end.
func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a := newArchive(t)
	anna := a.newUser(a.tenant, "anna@example.test")
	a.call(anna, "+31201234567", 5*time.Hour)
	a.signIn(anna)
	a.n = 0 // the sign-outs of restore-check alone bring the counter past this
	a.tells("number", a.tenant.ID, a.mac("ledger", "number", a.tenant.ID.String(), "+31201234567"), time.Hour)
	killed := errors.New("killed")
	for range 3 {
		check := a.check()
		check.Purge = func(context.Context) (int64, error) { return 0, killed }
		if _, err := check.Run(ctx); !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if err := a.ledger().Open(ctx); !errors.Is(err, errRestored) {
			t.Fatalf("it opens half done: %v", err)
		}
	}
	check := a.check()
	wiped := 0
	check.Wipe = func(context.Context) error { wiped++; return nil }
	if _, err := check.Run(ctx); err != nil || wiped != 1 {
		t.Fatalf("%v, wiped %d", err, wiped)
	}
	if err := a.ledger().Open(ctx); err != nil {
		t.Error(err)
	}
	if ids, _ := a.left(a.tenant.ID); len(ids) != 0 {
		t.Errorf("%d records", len(ids))
	}
}

// The counter goes on behind the ledger's newest line, which is told.
func TestRestoreCountsOn(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.n = 700
	a.tells("number", a.tenant.ID, make([]byte, 32), time.Hour) // of number 701
	a.run()
	if state, err := a.db.LedgerState(t.Context()); err != nil || state.N != 702 || state.RestoredAt != nil {
		t.Errorf("%+v %v", state, err)
	}
	a.flush()
	if got := a.numbers(); !slices.Equal(got, []int64{701, 1, 702}) { // 1: the tenant's sign-ins
		t.Errorf("%v", got)
	}
	body, err := os.ReadFile(a.path)
	if err != nil || !strings.Contains(string(body), `"restored"`) {
		t.Errorf("%v %s", err, body)
	}
}

// A contract that had ended ends again, and its data goes when it was to go.
func TestReplayEndedContract(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.tells("tenant", a.tenant.ID, nil, -time.Hour) // it is still kept
	a.run()
	if got := a.value("ctd_operator", "", "SELECT concat_ws(' ', status, ended_at = $2, wipe_at = $2) FROM tenants WHERE id = $1", a.tenant.ID, a.at.Add(time.Hour)); got != "ended t t" {
		t.Errorf("%s", got)
	}
}

// A dump from before there was a ledger: another installation to it, until it is
// told to take the ledger over.
func TestRestoreAdopts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a := newArchive(t)
	a.owner = uuid.New()
	anna := a.newUser(a.tenant, "anna@example.test")
	a.call(anna, "+31201234567", 5*time.Hour)
	a.tells("number", a.tenant.ID, a.mac("ledger", "number", a.tenant.ID.String(), "+31201234567"), time.Hour)
	if err := a.ledger().Open(ctx); !errors.Is(err, errForeign) {
		t.Fatal(err)
	}
	if _, err := a.check().Run(ctx); !errors.Is(err, errForeign) {
		t.Fatal(err)
	}
	check := a.check()
	check.Adopt = true
	if done, err := check.Run(ctx); err != nil || done.Erased != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	if err := a.ledger().Open(ctx); err != nil {
		t.Error(err)
	}
}

// Lines of a later version, and of a tenant that the dump does not know, are passed
// over; what is unknown is told.
func TestReplayPassesOver(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.tells("brand-new", a.tenant.ID, make([]byte, 32), time.Hour)
	a.tells("number", uuid.Nil, make([]byte, 32), time.Hour)
	a.tells("number", uuid.New(), make([]byte, 32), time.Hour)
	if done := a.run(); done.LedgerEntries != 1 {
		t.Errorf("%+v", done)
	}
	if !strings.Contains(a.log.String(), `"unknown":2`) {
		t.Errorf("%s", a.log)
	}
}
