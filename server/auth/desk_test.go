package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// What people in these tests know and where they sit.
const (
	issuer     = "https://dial.example.test"
	passphrase = "correct horse battery 7"
	verifier   = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge  = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var (
	here      = Visitor{Network: netip.MustParsePrefix("192.0.2.7/32"), Browser: "Chrome, Linux"}
	elsewhere = Visitor{Network: netip.MustParsePrefix("198.51.100.9/32"), Browser: "Firefox, Windows"}
)

// desk is a bundle whose user has a password. Its service brings tombstones to
// Redis, but nobody reads revocations along, so it asks Postgres about each token.
func desk(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	b.PublicURL, b.Cache = issuer, live.NewTokenCache(b.Redis)
	b.givePassword(t, b.user.ID)
	return b
}

// cheapHash is a hash of the passphrase that takes no time: Argon2id as the
// service does it takes half a second under the race detector.
func cheapHash() string {
	p := argonParams{time: 1, memory: 8, threads: 1, salt: []byte("sixteen bytes ok")}
	p.key = p.derive(passphrase)
	return p.String()
}

func (b *bundle) givePassword(t *testing.T, user uuid.UUID) {
	t.Helper()
	if err := b.DB.SetPassword(context.Background(), user, cheapHash(), b.Now(), entry); err != nil {
		t.Fatal(err)
	}
}

// newUser is another user of the tenant; tenant nil: of the provider's staff.
func (b *bundle) newUser(t *testing.T, tenant *models.Tenant, email string, role models.Role) models.User {
	t.Helper()
	u := models.User{ID: uuid.Must(uuid.NewV7()), Email: email, Name: "Bert Bakker", Role: role, CreatedAt: b.Now()}
	if tenant != nil {
		u.TenantID = &tenant.ID
	}
	if err := b.DB.CreateUser(context.Background(), u, entry); err != nil {
		t.Fatal(err)
	}
	return u
}

// newTenant is another tenant, with an admin.
func (b *bundle) newTenant(t *testing.T, name, email string) (models.Tenant, models.User) {
	t.Helper()
	tenant := b.tenant
	tenant.ID, tenant.Name = uuid.Must(uuid.NewV7()), name
	u := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &tenant.ID, Email: email, Name: "Carl Claes", Role: models.RoleAdmin, CreatedAt: b.Now()}
	if err := b.DB.CreateTenant(context.Background(), tenant, u, nil, entry); err != nil {
		t.Fatal(err)
	}
	return tenant, u
}

// open signs in with the passphrase.
func (b *bundle) open(t *testing.T, email string) Opened {
	t.Helper()
	opened, err := b.OpenSession(context.Background(), email, passphrase, here)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// session is a session of a user as the sign-in page would have left it.
func (b *bundle) session(t *testing.T, user models.User, stage models.Stage) Opened {
	t.Helper()
	c, err := b.DB.Credential(context.Background(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	opened, row, err := b.newSession(c, stage, here)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DB.BeginSession(context.Background(), row, uuid.Nil, audit.Entry(audit.System, "test", audit.Subject{}, "")); err != nil {
		t.Fatal(err)
	}
	return opened
}

func actorOf(u models.User) Actor {
	a := Actor{Role: u.Role, UserID: u.ID}
	if u.TenantID != nil {
		a.TenantID = *u.TenantID
	}
	return a
}

// replica is another service on the same database, Redis and clock.
func (b *bundle) replica(t *testing.T, db *store.DB, redis *live.Redis) *Service {
	t.Helper()
	s := &Service{DB: db, Redis: redis, Keys: b.Keys, PublicURL: b.PublicURL, Now: b.Now}
	if redis != nil {
		s.Cache = live.NewTokenCache(redis)
	}
	return s
}

// request is an authorization request that may be put to the user.
func request() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {ExtensionClient}, "redirect_uri": {issuer + DonePath}, "state": {"a state"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// consent has the session's person say yes to the request, and gives the code.
func (b *bundle) consent(t *testing.T, session Session, query url.Values) string {
	t.Helper()
	a, err := b.ReadAuthorization(query)
	if err != nil {
		t.Fatal(err)
	}
	redirect, err := b.Allow(context.Background(), session, a, "Chromium on Linux")
	if err != nil {
		t.Fatal(err)
	}
	return codeIn(t, redirect)
}

func codeIn(t *testing.T, redirect string) string {
	t.Helper()
	u, err := url.Parse(redirect)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("code")
}

func (b *bundle) code(t *testing.T) string {
	t.Helper()
	return b.consent(t, b.session(t, b.user, models.StageFull).Session, request())
}

// codeForm redeems a code.
func codeForm(code string) url.Values {
	return url.Values{
		"grant_type": {GrantCode}, "code": {code}, "redirect_uri": {issuer + DonePath}, "client_id": {ExtensionClient}, "code_verifier": {verifier},
	}
}

// bySelf signs the bundle's user in through a browser.
func (b *bundle) bySelf(t *testing.T) Tokens {
	t.Helper()
	tokens, err := b.Exchange(context.Background(), codeForm(b.code(t)), here.Network)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// grantOf is the sign-in of a token.
func (b *bundle) grantOf(t *testing.T, access string) uuid.UUID {
	t.Helper()
	bearer, err := b.DB.FindBearer(context.Background(), models.AccessToken, hashToken(access))
	if err != nil {
		t.Fatal(err)
	}
	return bearer.GrantID
}

// wantCode checks the code of a fault; "" for none.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if (err == nil) != (code == "") || fault.Code(err) != code {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

// with is a copy of the values with one of them otherwise; none: without it.
func with(from url.Values, name string, values ...string) url.Values {
	out := url.Values{}
	for key, v := range from {
		out[key] = v
	}
	out[name] = values
	if len(values) == 0 {
		delete(out, name)
	}
	return out
}

// signInAs signs a user in by a pairing code.
func (b *bundle) signInAs(t *testing.T, user models.User) Tokens {
	t.Helper()
	code, _, err := b.Pair(context.Background(), user.Email, audit.Operator)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := b.Redeem(context.Background(), code, ExtensionClient, "Chromium")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}
