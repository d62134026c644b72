package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
)

// route is a page or an action; may says which roles get past the door.
type route struct {
	method, path string
	may          string // of user, admin, support
}

func routes(b *bundle) []route {
	person, found := "/console/people/"+b.piet.ID.String(), "/console/support/users/"+b.piet.ID.String()
	none := uuid.NewString()
	return []route{
		{"GET", "/console", "user admin support"}, {"GET", "/console/sign-ins", "user admin support"},
		{"GET", "/console/password", "user admin support"}, {"POST", "/console/password", "user admin support"},
		{"GET", "/console/factor", "user admin support"}, {"POST", "/console/factor/codes", "user admin support"},
		{"POST", "/console/factor/remove", "user admin support"}, {"POST", "/console/browsers/" + none + "/close", "user admin support"},
		{"POST", "/console/sign-ins/" + none + "/revoke", "user admin support"},
		{"GET", "/console/my-data", "user admin"}, {"POST", "/console/my-data/export", "user admin"},
		{"POST", "/console/my-data/requests", "user admin"}, {"POST", "/console/my-data/clear", "user admin"},
		{"GET", "/console/people", "admin"}, {"POST", "/console/people", "admin"}, {"GET", person, "admin"},
		{"POST", person + "/sign-ins/" + none + "/revoke", "admin"}, {"POST", person + "/phones", "admin"},
		{"POST", person + "/phones/" + none + "/remove", "admin"}, {"GET", "/console/company/revoke", "admin"},
		{"POST", person + "/sign-ins/revoke", "admin"}, {"POST", person + "/link", "admin"}, {"POST", person + "/pair", "admin"},
		{"POST", person + "/disable", "admin"}, {"POST", person + "/enable", "admin"}, {"POST", person + "/factor/reset", "admin"},
		{"POST", person + "/correct", "admin"}, {"POST", person + "/delete", "admin"},
		{"POST", "/console/company/factor", "admin"}, {"POST", "/console/company/revoke", "admin"},
		{"GET", "/console/history", "admin"}, {"POST", "/console/history", "admin"}, {"POST", "/console/history/export", "admin"},
		{"GET", "/console/history/" + none, "admin"}, {"GET", "/console/history/calls/" + none, "admin"},
		{"GET", "/console/retention", "admin"}, {"POST", "/console/retention", "admin"},
		{"POST", "/console/retention/preview", "admin"}, {"POST", "/console/retention/settings", "admin"},
		{"GET", "/console/privacy-requests", "admin"}, {"POST", "/console/privacy-requests/find", "admin"},
		{"POST", "/console/privacy-requests/" + none + "/refuse", "admin"}, {"GET", "/console/privacy-requests/subject/" + none, "admin"},
		{"POST", "/console/privacy-requests/subject/" + none + "/erase", "admin"}, {"GET", "/console/privacy-requests/receipt/" + none, "admin"},
		{"GET", "/console/stats", "admin"}, {"GET", "/console/audit", "admin"}, {"POST", "/console/audit", "admin"},
		{"GET", "/console/support", "support"}, {"POST", "/console/support", "support"}, {"GET", found, "support"},
		{"POST", found + "/sign-ins/" + none + "/revoke", "support"}, {"POST", found + "/sign-ins/revoke", "support"},
	}
}

func (br *browser) ask(t *testing.T, method, path string, fields ...string) answer {
	t.Helper()
	if method == http.MethodGet {
		return br.get(t, path)
	}
	return br.post(t, path, fields...)
}

func TestWhoMayOpenWhat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens, _ := b.device(t, b.piet, "Laptop")
	nobody := b.nobody()
	for _, r := range routes(b) {
		a := nobody.ask(t, r.method, r.path)
		if r.method == http.MethodGet {
			if to := a.to(t); !strings.HasPrefix(to, "/console/sign-in") {
				t.Errorf("nobody at %s is led to %s", r.path, to)
			}
		} else {
			a.wants(t, http.StatusUnauthorized, `href="/console/sign-in"`)
		}
	}
	for role, u := range map[string]models.User{"user": b.piet, "support": b.sam, "admin": b.olga} {
		br := b.as(t, u)
		for _, r := range routes(b) {
			foreign := role == "admin" && strings.Contains(r.path, "/people/"+b.piet.ID.String()) // of another company
			if strings.Contains(r.may, role) && !foreign {
				continue // what it does is for the other tests
			}
			a := br.ask(t, r.method, r.path, "label", "Desk", "endpoint", "101") // nothing to be refused for but who asks
			if a.status != http.StatusNotFound || strings.Contains(a.body, "Laptop") {
				t.Errorf("%s at %s %s: %d %s", role, r.method, r.path, a.status, a.header.Get("Location"))
			}
		}
	}
	b.wantAlive(t, tokens, true)
	if piet, err := b.auth.Person(t.Context(), actorOf(b.anna), b.piet.ID); err != nil || piet.DisabledAt != nil {
		t.Errorf("%+v, %v", piet, err)
	}
}

// Every answer, of whatever kind, has the headers of a page.
func TestHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet := b.as(t, b.piet)
	for _, a := range []answer{
		piet.get(t, "/console/sign-ins"), piet.get(t, "/console/nothing"), piet.get(t, "/oauth/done?code=x"), piet.get(t, "/oauth/authorize"),
		piet.post(t, "/console/people"), b.nobody().get(t, "/console/sign-in"), b.nobody().get(t, "/console/people"),
		b.nobody().post(t, "/console/sign-in", "email", "x"), piet.post(t, "/console/pair"), piet.post(t, "/console/nothing"), piet.post(t, "/oauth/done"),
	} {
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Frame-Options":         "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Access-Control-Allow-Origin": "",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%d has %s: %q", a.status, name, got)
			}
		}
		if a.header.Get("X-Request-Id") == "" || a.status != http.StatusSeeOther && a.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%d: %v", a.status, a.header)
		}
		if a.status >= http.StatusBadRequest && a.status != http.StatusUnprocessableEntity && !strings.Contains(a.body, a.header.Get("X-Request-Id")) {
			t.Errorf("%d does not name its request: %s", a.status, a.body)
		}
	}
	b.nobody().get(t, "/").to(t)
	page := b.nobody().get(t, "/console/sign-in").body
	_, href, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	href, _, _ = strings.Cut(href, `"`)
	css := b.nobody().get(t, href)
	css.wants(t, http.StatusOK, ":focus-visible", "prefers-color-scheme: dark")
	if css.header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.HasPrefix(css.header.Get("Cache-Control"), "public") {
		t.Errorf("the stylesheet has %v", css.header)
	}
}

// What another site sends is refused before anything happens.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens, _ := b.device(t, b.piet, "Laptop")
	piet := b.as(t, b.piet)
	for _, site := range []string{"cross-site", "same-site", "none", "", "same-origin, cross-site", "Same-Origin"} {
		for _, path := range []string{"/console/sign-ins/revoke", "/console/sign-out", "/console/sign-in", "/console/link", "/console/my-data/clear", "/console/my-data/export", "/oauth/authorize?" + request("")} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("decision=allow&device_name=x"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if site != "" {
				r.Header.Set("Sec-Fetch-Site", site)
			}
			piet.send(t, r).wants(t, http.StatusForbidden, "another site")
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/console/sign-out", nil)
	r.Header["Sec-Fetch-Site"] = []string{"same-origin", "cross-site"}
	piet.send(t, r).wants(t, http.StatusForbidden)
	b.wantAlive(t, tokens, true)
	piet.get(t, "/console/password").wants(t, http.StatusOK)
}

func TestWhatIsNoForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet := b.as(t, b.piet)
	for _, c := range []struct {
		name, kind, body string
		status           int
	}{
		{"JSON", "application/json", `{"old":"x"}`, http.StatusUnsupportedMediaType},
		{"text", "text/plain", "old=x", http.StatusUnsupportedMediaType},
		{"nothing said", "", "old=x", http.StatusUnsupportedMediaType},
		{"a field twice", "application/x-www-form-urlencoded", "old=x&old=y", http.StatusBadRequest},
		{"a broken escape", "application/x-www-form-urlencoded", "old=%zz", http.StatusBadRequest},
		{"broken UTF-8", "application/x-www-form-urlencoded", "old=%ff", http.StatusBadRequest},
		{"NUL", "application/x-www-form-urlencoded", "old=%00", http.StatusBadRequest},
		{"a semicolon", "application/x-www-form-urlencoded", "old=x;password=y", http.StatusBadRequest},
		{"with a charset", "application/x-www-form-urlencoded; charset=utf-8", "old=x&password=y&again=z", http.StatusUnprocessableEntity},
	} {
		r := httptest.NewRequest(http.MethodPost, "/console/password", strings.NewReader(c.body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", c.kind)
		if a := piet.send(t, r); a.status != c.status || !strings.HasPrefix(a.body, "<!doctype html>") {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
}

// An id in a URL is a UUID in its one spelling, or there is no such page.
func TestBadIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna, sam := b.as(t, b.anna), b.as(t, b.sam)
	id := b.piet.ID.String()
	for _, bad := range []string{"1", strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), uuid.Nil.String(), uuid.NewString(), "%00", "x' OR 1=1"} {
		bad = strings.ReplaceAll(bad, " ", "%20")
		anna.get(t, "/console/people/"+bad).wants(t, http.StatusNotFound)
		anna.post(t, "/console/people/"+bad+"/disable").wants(t, http.StatusNotFound)
		anna.post(t, "/console/sign-ins/"+bad+"/revoke").wants(t, http.StatusNotFound)
		sam.get(t, "/console/support/users/"+bad).wants(t, http.StatusNotFound)
		sam.post(t, "/console/support/users/"+id+"/sign-ins/"+bad+"/revoke").wants(t, http.StatusNotFound)
		anna.post(t, "/console/browsers/"+bad+"/close").wants(t, http.StatusNotFound)
	}
	anna.get(t, "/console/people?after=x").wants(t, http.StatusNotFound)
}

// Something unforeseen is a page too, and says nothing of what it was.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet := b.as(t, b.piet)
	check(t, b.db.Close())
	a := piet.get(t, "/console/sign-ins")
	a.wants(t, a.status, "That did not work")
	if a.status < http.StatusInternalServerError {
		t.Errorf("without a database: %d", a.status)
	}
	a.lacks(t, "sql", "SQL", "closed")
	b.app.Get("/console/panics", func(*fiber.Ctx) error { panic("secret") })
	broken := b.nobody().get(t, "/console/panics")
	broken.wants(t, http.StatusInternalServerError, "<!doctype html>", "Something went wrong here.")
	broken.lacks(t, "secret")
	for _, a := range []answer{a, broken} {
		if !strings.Contains(b.log.String(), a.header.Get("X-Request-Id")) {
			t.Error("the log does not have it")
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody := b.nobody()
	nobody.get(t, "/console/sign-in").wants(t, http.StatusOK, "<h1>Sign in</h1>", `lang="en" translate`)
	nobody.header = map[string]string{"Accept-Language": "de-CH, en;q=0.5"}
	nobody.get(t, "/console/sign-in").wants(t, http.StatusOK, "<h1>Anmelden</h1>", `action="/console/sign-in"`)
	chosen := nobody.get(t, "/console/sign-in?lang=nl&next=/console/password")
	chosen.wants(t, http.StatusOK, "<h1>Aanmelden</h1>", `action="/console/sign-in?lang=nl&amp;next=%2Fconsole%2Fpassword"`, `hreflang="de"`)
	nobody.get(t, "/console/sign-in?lang=fr").wants(t, http.StatusOK, "<h1>Anmelden</h1>")
	nobody.post(t, "/console/sign-in?lang=nl", "email", "x@example.test", "password", "wrong").wants(t, http.StatusUnprocessableEntity, "e-mailadres en wachtwoord")
	if to := nobody.get(t, "/oauth/authorize?"+request("ui_locales=nl-NL+en")).to(t); !strings.Contains(to, "lang=nl") {
		t.Errorf("ui_locales leads to %s", to)
	}
	to := nobody.post(t, "/console/sign-in?lang=nl&next=/console/password", "email", b.piet.Email, "password", password).to(t)
	if to != "/console/password?lang=nl" {
		t.Errorf("the language goes to %s", to)
	}
	nobody.get(t, to).wants(t, http.StatusOK, "Wachtwoord wijzigen", `href="/console/sign-ins?lang=nl"`)
	nobody.get(t, "/console/nothing?lang=nl").wants(t, http.StatusNotFound, "Dat lukte niet")
}
