package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/auth"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.nobody()
	to := br.get(t, "/console/password?x=y").to(t)
	if to != "/console/sign-in?next="+url.QueryEscape("/console/password?x=y") {
		t.Fatalf("nobody is led to %s", to)
	}
	asked := br.get(t, to)
	asked.wants(t, http.StatusOK, `type="email"`)
	asked.lacks(t, `type="password"`)
	br.post(t, to, "email", "no address").wants(t, http.StatusUnprocessableEntity, "This does not look like an e-mail address.", `type="email"`)
	// The same for who is there and who is not; and no field of the second page holds
	// the e-mail, or Chrome asks the browser vendor about it and the password.
	for _, email := range []string{b.piet.Email, "nobody@example.test"} {
		a := br.post(t, to, "email", email)
		a.wants(t, http.StatusOK, `autocomplete="current-password"`, `<input type="hidden" name="email" value="`+email+`">`)
		a.lacks(t, `type="email"`)
		a.lacks(t, `type="text"`)
	}
	for _, wrong := range [][2]string{{b.piet.Email, "wrong-" + password}, {"nobody@example.test", password}} {
		a := br.post(t, to, "email", wrong[0], "password", wrong[1])
		a.wants(t, http.StatusUnprocessableEntity, "This e-mail and password do not go together.", `value="`+wrong[0]+`"`)
		a.lacks(t, password)
		if len(br.cookies) > 0 {
			t.Errorf("a refusal sets %v", br.cookies)
		}
	}
	a := br.post(t, to, "email", strings.ToUpper(b.piet.Email), "password", password)
	if next := a.to(t); next != "/console/password?x=y" {
		t.Errorf("one goes on to %s", next)
	}
	set := a.header.Get("Set-Cookie")
	for _, must := range []string{"__Host-ctd=", "path=/", "secure", "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(set, must) {
			t.Errorf("the cookie lacks %s: %s", must, set)
		}
	}
	for _, never := range []string{"expires", "max-age", "domain"} {
		if strings.Contains(strings.ToLower(set), never) {
			t.Errorf("the cookie has %s: %s", never, set)
		}
	}
	br.get(t, "/console/password?x=y").wants(t, http.StatusOK, b.piet.Email)
	if next := br.get(t, "/console/sign-in?next=//evil.example").to(t); next != "/console" {
		t.Errorf("who is signed in goes on to %s", next)
	}
	first := br.cookies["__Host-ctd"]
	br.post(t, "/console/sign-in", "email", b.anna.Email, "password", password).to(t)
	if br.cookies["__Host-ctd"] == first {
		t.Error("the id of the session stays")
	}
	if _, err := b.auth.FindSession(t.Context(), first); err == nil {
		t.Error("the session before lives on")
	}
	second := br.cookies["__Host-ctd"]
	if next := br.post(t, "/console/sign-out").to(t); next != "/console/sign-in?done=signed-out" {
		t.Errorf("signed out, one is led to %s", next)
	}
	if _, err := b.auth.FindSession(t.Context(), second); err == nil || len(br.cookies) > 0 {
		t.Errorf("signed out, there is %v left", br.cookies)
	}
	br.post(t, "/console/sign-out").to(t) // twice does no harm
	for _, secret := range []string{password, first, second, b.piet.Email} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.as(t, b.piet)
	br.get(t, "/console/password").wants(t, http.StatusOK)
	b.ahead.Store(int64(31 * time.Minute))
	if to := br.get(t, "/console/password").to(t); to != "/console/sign-in?next=%2Fconsole%2Fpassword" {
		t.Errorf("after half an hour one is led to %s", to)
	}
	br.post(t, "/console/password", "old", password).wants(t, http.StatusUnauthorized, "Please sign in again")
}

func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.nobody()
	for range 100 {
		a := br.post(t, "/console/sign-in", "email", "nobody@example.test", "password", "wrong")
		if a.status == http.StatusUnprocessableEntity {
			continue
		}
		a.wants(t, http.StatusTooManyRequests, "Too many", `value="nobody@example.test"`)
		if a.header.Get("Retry-After") == "" {
			t.Error("it does not say for how long")
		}
		return
	}
	t.Error("one may guess for ever")
}

// Whoever comes from another site brings no cookie, and begins again from here.
func TestFromAnotherSite(t *testing.T) {
	t.Parallel()
	br := setup(t).nobody()
	br.header = map[string]string{"Sec-Fetch-Site": "cross-site"}
	br.get(t, "/console/people?after=x").wants(t, http.StatusOK, `<meta http-equiv="refresh" content="0; url=/console/people?after=x">`)
	r := httptest.NewRequest(http.MethodGet, "/console/people", nil)
	r.Header.Set("Cookie", "__Host-ctd=stale")
	if to := br.send(t, r).to(t); !strings.HasPrefix(to, "/console/sign-in") {
		t.Errorf("with a stale cookie one is led to %s", to)
	}
}

var shownSecret = regexp.MustCompile(`<code class="secret"[^>]*>([A-Z2-7 ]+)</code>`)
var shownCode = regexp.MustCompile(`<li><code>([A-Z0-9-]+)</code></li>`)

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.nobody()
	to := br.post(t, "/console/sign-in?next=/console/support", "email", b.sam.Email, "password", password).to(t)
	if to != "/console/factor/new?next=%2Fconsole%2Fsupport" {
		t.Fatalf("support without a second factor is led to %s", to)
	}
	for _, path := range []string{"/console", "/console/support", "/console/sign-ins", "/console/password", "/oauth/authorize?" + request("")} {
		if to := br.get(t, path).to(t); !strings.HasPrefix(to, "/console/factor/new") {
			t.Errorf("%s leads to %s", path, to)
		}
	}
	br.post(t, "/console/support", "who", b.piet.Email).wants(t, http.StatusUnauthorized)
	a := br.get(t, to)
	a.wants(t, http.StatusOK, "data:image/png;base64,", "Your account needs one")
	secret := shownSecret.FindStringSubmatch(a.body)[1]
	again := br.post(t, to, "code", "000000")
	again.wants(t, http.StatusUnprocessableEntity, `aria-invalid="true"`, secret) // nothing to scan again
	half := br.cookies["__Host-ctd"]
	a = br.post(t, to, "code", b.factor(t, secret))
	a.wants(t, http.StatusOK, "Your recovery codes", `href="/console/support"`)
	codes := shownCode.FindAllStringSubmatch(a.body, -1)
	if len(codes) < 8 || br.cookies["__Host-ctd"] == half {
		t.Fatalf("%d codes; the cookie is the same: %v", len(codes), br.cookies["__Host-ctd"] == half)
	}
	br.get(t, "/console/support").wants(t, http.StatusOK)
	br.get(t, "/console/factor").wants(t, http.StatusOK, "New recovery codes")
	br.get(t, "/console/factor").lacks(t, "Remove the second step")
	br.post(t, "/console/factor/remove", "code", codes[0][1]).wants(t, http.StatusUnprocessableEntity, "must have a second step")
	if to := br.get(t, "/console/factor/new").to(t); to != "/console/factor" {
		t.Errorf("who has one is led to %s", to)
	}

	other := b.nobody()
	to = other.post(t, "/console/sign-in?next=/console/support", "email", b.sam.Email, "password", password).to(t)
	if to != "/console/factor?next=%2Fconsole%2Fsupport" {
		t.Fatalf("with a second factor one is led to %s", to)
	}
	if to := other.get(t, "/console/support").to(t); to != "/console/factor?next=%2Fconsole%2Fsupport" {
		t.Errorf("halfway one is led to %s", to)
	}
	other.get(t, to).wants(t, http.StatusOK, `autocomplete="one-time-code"`)
	other.post(t, to, "code", "123456").wants(t, http.StatusUnprocessableEntity, `id="factor-error"`)
	if to := other.post(t, to, "code", codes[0][1]).to(t); to != "/console/support" {
		t.Errorf("a recovery code leads to %s", to)
	}
	third := b.nobody()
	to = third.post(t, "/console/sign-in", "email", b.sam.Email, "password", password).to(t)
	third.post(t, to, "code", codes[0][1]).wants(t, http.StatusUnprocessableEntity)
	b.ahead.Add(int64(time.Minute)) // each step works once
	if to := third.post(t, to, "code", b.factor(t, secret)).to(t); to != "/console" {
		t.Errorf("a code leads to %s", to)
	}
}

func TestFactorOfOnesOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.as(t, b.piet)
	br.get(t, "/console/factor").wants(t, http.StatusOK, `href="/console/factor/new"`)
	secret := shownSecret.FindStringSubmatch(br.get(t, "/console/factor/new").body)[1]
	br.post(t, "/console/factor/new", "code", b.factor(t, secret)).wants(t, http.StatusOK)
	b.ahead.Add(int64(time.Minute))
	a := br.post(t, "/console/factor/codes", "code", b.factor(t, secret))
	a.wants(t, http.StatusOK, "Your recovery codes")
	fresh := shownCode.FindAllStringSubmatch(a.body, -1)
	br.post(t, "/console/factor/remove", "code", "000000").wants(t, http.StatusUnprocessableEntity, `id="remove-error"`)
	if to := br.post(t, "/console/factor/remove", "code", fresh[1][1]).to(t); to != "/console/factor?done=factor-removed" {
		t.Errorf("removed, one is led to %s", to)
	}
	br.get(t, "/console/factor?done=factor-removed").wants(t, http.StatusOK, "The second step is removed.", "Set it up")
	br.get(t, "/console/factor?done=nothing-of-ours").lacks(t, `role="status"`)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br, other := b.as(t, b.piet), b.as(t, b.piet)
	const fresh = "another long horse"
	for _, c := range []struct{ name, old, password, again, want string }{
		{"two that differ", password, fresh, fresh + "x", "The two passwords are not the same."},
		{"too short", password, "short", "short", "12 to 256"},
		{"the wrong old one", "wrong", fresh, fresh, "The present password is not right."},
	} {
		a := br.post(t, "/console/password", "old", c.old, "password", c.password, "again", c.again)
		a.wants(t, http.StatusUnprocessableEntity, c.want, `aria-invalid="true"`)
		a.lacks(t, fresh, password)
	}
	before := br.cookies["__Host-ctd"]
	if to := br.post(t, "/console/password", "old", password, "password", fresh, "again", fresh).to(t); to != "/console/password?done=password" {
		t.Errorf("changed, one is led to %s", to)
	}
	if br.cookies["__Host-ctd"] == before {
		t.Error("the id of the session stays")
	}
	br.get(t, "/console/password").wants(t, http.StatusOK)
	other.get(t, "/console/password").to(t) // signed out
	b.nobody().post(t, "/console/sign-in", "email", b.piet.Email, "password", fresh).to(t)
}

func TestLink(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	person, link, err := b.auth.AddPerson(ctx, actorOf(b.anna), "new@example.test", "", models.RoleUser, "en")
	check(t, err)
	code := strings.TrimPrefix(link.URL, publicURL+"/console/link?code=")
	br := b.as(t, b.piet) // somebody else is signed in here
	old := br.cookies["__Host-ctd"]
	a := br.get(t, "/console/link?code="+code)
	if to := a.to(t); to != "/console/link" {
		t.Fatalf("the code stays in %s", to)
	}
	if set := a.header.Get("Set-Cookie"); !strings.Contains(set, "SameSite=Lax") || !strings.Contains(set, "max-age=3600") || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "secure") {
		t.Errorf("the cookie is %s", set)
	}
	a = br.get(t, "/console/link")
	a.wants(t, http.StatusOK, person.Email, "Acme", `autocomplete="new-password"`)
	a.lacks(t, code)
	br.post(t, "/console/link", "password", "short", "again", "short").wants(t, http.StatusUnprocessableEntity, "12 to 256")
	const fresh = "four plain words together"
	br.post(t, "/console/link", "password", fresh, "again", fresh+"x").wants(t, http.StatusUnprocessableEntity, "not the same")
	if to := br.post(t, "/console/link", "password", fresh, "again", fresh).to(t); to != "/console" {
		t.Errorf("one goes on to %s", to)
	}
	if br.cookies["__Host-ctd-link"] != "" {
		t.Error("the code stays in its cookie")
	}
	br.get(t, "/console/password").wants(t, http.StatusOK, person.Email)
	if _, err := b.auth.FindSession(ctx, old); err == nil {
		t.Error("the session before lives on")
	}
	second := b.nobody()
	second.get(t, second.get(t, "/console/link?code="+code).to(t)).wants(t, http.StatusUnprocessableEntity, "not valid any more")
	b.nobody().get(t, "/console/link").wants(t, http.StatusUnprocessableEntity, "not valid any more")
	b.nobody().post(t, "/console/link", "password", fresh, "again", fresh).wants(t, http.StatusUnprocessableEntity, "not valid any more")
	evil := b.nobody()
	evil.get(t, "/console/link?code=a%0d%0aSet-Cookie:%20x=y%3b").to(t)
	if got := evil.cookies["__Host-ctd-link"]; got != "aSet-Cookiexy" || len(evil.cookies) != 1 {
		t.Errorf("a code with a header in it sets %v", evil.cookies)
	}
	if strings.Contains(b.log.String(), code) || strings.Contains(b.log.String(), fresh) {
		t.Error("the log holds a secret")
	}
}

func TestMine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	laptop, one := b.device(t, b.piet, "Laptop <b>")
	desk, _ := b.device(t, b.piet, "Desk")
	foreign, other := b.device(t, b.olga, "Elsewhere")
	br, second := b.as(t, b.piet), b.as(t, b.piet)
	if to := br.get(t, "/console").to(t); to != "/console/sign-ins" {
		t.Errorf("a user's first page is %s", to)
	}
	a := br.get(t, "/console/sign-ins")
	a.wants(t, http.StatusOK, "Laptop &lt;b&gt;", "Desk", one.SupportCode, "made by the provider", "Your provider made a pairing code for you.", "Your provider set your password.", "this one")
	a.lacks(t, "Elsewhere", "<b>")

	br.post(t, "/console/sign-ins/"+other.ID.String()+"/revoke").wants(t, http.StatusNotFound)
	b.as(t, b.olga).post(t, "/console/people/"+b.olga.ID.String()+"/sign-ins/"+one.ID.String()+"/revoke").wants(t, http.StatusNotFound)
	b.wantAlive(t, foreign, true)
	b.wantAlive(t, laptop, true)
	if to := br.post(t, "/console/sign-ins/"+one.ID.String()+"/revoke").to(t); to != "/console/sign-ins?done=revoked" {
		t.Errorf("revoked, one is led to %s", to)
	}
	b.wantAlive(t, laptop, false)
	b.wantAlive(t, desk, true)
	br.get(t, "/console/sign-ins?done=revoked").wants(t, http.StatusOK, "Ended just now by you", `role="status">Revoked.`)

	browsers, err := b.auth.Browsers(ctx, session(t, br))
	check(t, err)
	for _, other := range browsers {
		if !other.Current {
			br.post(t, "/console/browsers/"+other.ID.String()+"/close").to(t)
		}
	}
	second.get(t, "/console/sign-ins").to(t)
	br.get(t, "/console/sign-ins").wants(t, http.StatusOK)

	code := regexp.MustCompile(`<code id="pairing-code">([A-Z0-9]+)</code>`).FindStringSubmatch(br.post(t, "/console/pair").body)
	if len(code) == 0 {
		t.Fatal("no pairing code is shown")
	}
	if _, err := b.auth.Redeem(ctx, code[1], auth.ExtensionClient, "Third"); err != nil {
		t.Error(err)
	}
	if to := br.post(t, "/console/sign-ins/revoke").to(t); to != "/console/sign-in?done=revoked" || br.cookies["__Host-ctd"] != "" {
		t.Errorf("all revoked, one is led to %s with %v", to, br.cookies)
	}
	b.wantAlive(t, desk, false)
	b.wantAlive(t, foreign, true)
}

func session(t *testing.T, br *browser) auth.Session {
	t.Helper()
	s, err := br.auth.FindSession(t.Context(), br.cookies["__Host-ctd"])
	check(t, err)
	return s
}
