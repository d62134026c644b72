package console_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/console"
	"clicktodial/server/live"
	"clicktodial/server/policy"
	"clicktodial/server/retention"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
	"clicktodial/server/web"
)

const (
	publicURL = "http://127.0.0.1:8080"
	password  = "correct horse battery"
	wholeCall = "+31201234567"
)

var entry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

// bundle is the console on a database of its own: Acme with its admin Anna and its
// user Piet, another company with its admin Olga, and Sam of support.
type bundle struct {
	app    *fiber.App
	auth   *auth.Service
	db     *store.DB
	rights *retention.Privacy
	url    string
	log    *syncBuffer
	ahead  atomic.Int64 // how far the clock of the services is ahead of ours

	acme, bolt            models.Tenant
	anna, piet, olga, sam models.User
}

func (b *bundle) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{url: testdb.URL(t), log: &syncBuffer{}}
	db, err := store.Open(b.url, 8)
	check(t, err)
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	keys, err := secret.NewKeys([][]byte{bytes.Repeat([]byte{7}, 32)})
	check(t, err)
	b.db = db
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.auth = &auth.Service{DB: db, Redis: testdb.Redis(t), Keys: keys, PublicURL: publicURL, Now: b.now, Log: log}
	b.app = web.New(web.Options{PublicURL: publicURL, Log: log, Now: time.Now})
	keeper, err := call.New(call.Parts{ // nobody calls
		DB: db, Index: live.NewTTLIndex(b.auth.Redis), Lines: call.NewLines(nil, nil, log), Check: policy.Default.Check, Keys: keys, MaxAge: 90 * models.Day, Now: b.now, Log: log,
	})
	check(t, err)
	company := &call.Company{DB: db, Index: live.NewTTLIndex(b.auth.Redis), Keys: keys, Now: b.now}
	b.rights = &retention.Privacy{
		DB: db, Index: company.Index, Keys: keys, Now: b.now, Log: log, EndSignIns: b.auth.EndSignIns, ChangePerson: b.auth.ChangePerson,
	}
	(&console.Console{
		Auth: b.auth, Calls: keeper, Company: company, Privacy: b.rights, Chooser: &retention.Chooser{DB: db, Ceiling: 90 * models.Day}, Now: b.now, Log: log,
	}).Register(b.app)
	b.acme, b.anna = b.tenant(t, "Acme", "anna@example.test", "Anna Smit")
	b.bolt, b.olga = b.tenant(t, "Bolt", "olga@example.test", "Olga Bos")
	b.piet = b.user(t, &b.acme.ID, "piet@example.test", models.RoleUser)
	b.sam = b.user(t, nil, "sam@example.test", models.RoleSupport)
	return b
}

func (b *bundle) tenant(t *testing.T, name, email, person string) (models.Tenant, models.User) {
	t.Helper()
	tenant := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: name, Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, EndpointGlobs: models.Texts{"1??"}, CreatedAt: time.Now(),
	}
	u := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: email, Name: person, Role: models.RoleAdmin, CreatedAt: time.Now()}
	check(t, b.db.CreateTenant(context.Background(), tenant, u, nil, entry))
	b.setPassword(t, u)
	return tenant, u
}

func (b *bundle) user(t *testing.T, tenant *uuid.UUID, email string, role models.Role) models.User {
	t.Helper()
	u := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: tenant, Email: email, Role: role, CreatedAt: time.Now()}
	check(t, b.db.CreateUser(context.Background(), u, entry))
	b.setPassword(t, u)
	return u
}

var hashed = sync.OnceValues(func() (string, error) { return auth.HashPassword(password) })

func (b *bundle) setPassword(t *testing.T, u models.User) {
	t.Helper()
	hash, err := hashed()
	check(t, err)
	subject := audit.Subject{Kind: "user", ID: u.ID}
	if u.TenantID != nil {
		subject.Tenant = *u.TenantID
	}
	set := audit.Entry(audit.Operator, "password-set", subject, "")
	check(t, b.db.SetPassword(context.Background(), u.ID, hash, time.Now(), set))
}

// device is an extension of the user that is signed in.
func (b *bundle) device(t *testing.T, u models.User, name string) (auth.Tokens, auth.SignIn) {
	t.Helper()
	code, _, err := b.auth.Pair(context.Background(), u.Email, audit.Operator)
	check(t, err)
	tokens, err := b.auth.Redeem(context.Background(), code, auth.ExtensionClient, name)
	check(t, err)
	list, err := b.auth.SignIns(context.Background(), actorOf(u), u.ID)
	check(t, err)
	return tokens, list[0]
}

func actorOf(u models.User) auth.Actor {
	a := auth.Actor{Role: u.Role, UserID: u.ID}
	if u.TenantID != nil {
		a.TenantID = *u.TenantID
	}
	return a
}

func (b *bundle) wantAlive(t *testing.T, tokens auth.Tokens, alive bool) {
	t.Helper()
	if _, err := b.auth.Authenticate(context.Background(), tokens.Access); (err == nil) != alive {
		t.Errorf("a token that should be alive %v: %v", alive, err)
	}
}

// call is a call of the user that was answered, and refusal a click that was not.
func (b *bundle) call(t *testing.T, u models.User) {
	t.Helper()
	b.asApp(t, *u.TenantID, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, name, number_masked, status, rank, reason, diagnosis,
		replica_id, channel_id, created_at, caller_answered_at, connected_at, ended_at, expires_at)
		VALUES (gen_random_uuid(), $1, $2, 'Desk', $3, 'Bakery De Korst', '+31 20 123 4***', 'disconnected', 4, 'hangUp', 'hung-up',
		gen_random_uuid(), gen_random_uuid()::text, now() - interval '20 minutes', now() - interval '19 minutes', now() - interval '18 minutes',
		now() - interval '15 minutes 30 seconds', date_trunc('milliseconds', now() + interval '80 days'))`, *u.TenantID, u.ID, wholeCall)
}

// live is a call of the user that is up.
func (b *bundle) live(t *testing.T, u models.User) {
	t.Helper()
	b.asApp(t, *u.TenantID, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, name, number_masked, status, rank, replica_id, channel_id, created_at, expires_at)
		VALUES (gen_random_uuid(), $1, $2, 'Desk', $3, 'Live', '+31 20 123 4***', 'callingCaller', 1, gen_random_uuid(), 'x', now(), date_trunc('milliseconds', now() + interval '80 days'))`,
		*u.TenantID, u.ID, wholeCall)
}

func (b *bundle) refusal(t *testing.T, u models.User) {
	t.Helper()
	b.asApp(t, *u.TenantID, `INSERT INTO refusals (id, tenant_id, user_id, code, support_code) VALUES (gen_random_uuid(), $1, $2, 'premium-number', 'QWERTY')`,
		*u.TenantID, u.ID)
}

func (b *bundle) asApp(t *testing.T, tenant uuid.UUID, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("pgx", b.url)
	check(t, err)
	defer db.Close() //nolint:errcheck // one statement long
	tx, err := db.Begin()
	check(t, err)
	_, err = tx.Exec("SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', $1, true)", tenant.String())
	check(t, err)
	_, err = tx.Exec(statement, args...)
	check(t, err)
	check(t, tx.Commit())
}

// browser keeps cookies, as a browser would.
type browser struct {
	*bundle
	cookies map[string]string
	header  map[string]string // besides what a browser sends
}

func (b *bundle) nobody() *browser { return &browser{bundle: b, cookies: map[string]string{}} }

// as is a browser in which the person has signed in.
func (b *bundle) as(t *testing.T, u models.User) *browser {
	t.Helper()
	ctx := context.Background()
	opened, err := b.auth.OpenSession(ctx, u.Email, password, auth.Visitor{Browser: "Chrome, Linux"})
	check(t, err)
	if opened.Stage == models.StageEnrol {
		opened = b.enrol(t, opened)
	}
	br := b.nobody()
	br.cookies["__Host-ctd"] = opened.Cookie
	return br
}

func (b *bundle) enrol(t *testing.T, opened auth.Opened) auth.Opened {
	t.Helper()
	e, err := b.auth.BeginFactor(context.Background(), opened.Session)
	check(t, err)
	_, full, err := b.auth.ConfirmFactor(context.Background(), opened.Session, b.factor(t, e.Secret), auth.Visitor{Browser: "Chrome, Linux"})
	check(t, err)
	return full
}

func (b *bundle) factor(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(strings.ReplaceAll(secret, " ", ""), b.now())
	check(t, err)
	return code
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (br *browser) get(t *testing.T, path string) answer {
	t.Helper()
	return br.send(t, httptest.NewRequest(http.MethodGet, path, nil))
}

// post sends a form as a page of ours does; fields are name, value, name, value …
func (br *browser) post(t *testing.T, path string, fields ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return br.send(t, r)
}

func (br *browser) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	for name, value := range br.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for name, value := range br.header {
		r.Header.Set(name, value)
	}
	res, err := br.app.Test(r, 20_000)
	check(t, err)
	defer res.Body.Close() //nolint:errcheck // read whole
	body, err := io.ReadAll(res.Body)
	check(t, err)
	for _, c := range res.Cookies() {
		if c.Value == "" {
			delete(br.cookies, c.Name)
		} else {
			br.cookies[c.Name] = c.Value
		}
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// to is where a redirect leads; any other answer fails the test.
func (a answer) to(t *testing.T) string {
	t.Helper()
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d instead of a redirect: %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

func (a answer) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%d instead of %d: %s", a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("the page lacks %q: %s", text, a.body)
		}
	}
}

func (a answer) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("the page holds %q: %s", text, a.body)
		}
	}
}

// syncBuffer is written by many.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
