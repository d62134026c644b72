package api_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"clicktodial/models"
	"clicktodial/server/auth"
)

const (
	formKind   = "application/x-www-form-urlencoded"
	passphrase = "correct horse battery 7"
	verifier   = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge  = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

	// Argon2id of the passphrase that takes no work.
	cheapHash = "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlcyBvaw$oTUYk1WLDgkVHxYvhfL5IzqZvM3aJ/S5NkNiMSMm56U"
)

// browser is a person's browser, signed in at the console.
func (r *replica) browser(p person) auth.Session {
	r.t.Helper()
	ctx := context.Background()
	check(r.t, r.db.SetPassword(ctx, p.user.ID, cheapHash, time.Now(), entry))
	opened, err := r.auth.OpenSession(ctx, p.user.Email, passphrase, auth.Visitor{Network: netip.MustParsePrefix("192.0.2.7/32"), Browser: "Chrome, Linux"})
	check(r.t, err)
	return opened.Session
}

// consent does what the page does when the person says yes: it gives where the
// browser goes.
func (r *replica) consent(session auth.Session, query url.Values) url.Values {
	r.t.Helper()
	asked, err := r.auth.ReadAuthorization(query)
	check(r.t, err)
	redirect, err := r.auth.Allow(context.Background(), session, asked, "Chromium on Linux")
	check(r.t, err)
	at, rest, _ := strings.Cut(redirect, "?")
	if at != r.url+auth.DonePath {
		r.t.Fatalf("the browser goes to %s", at)
	}
	back, err := url.ParseQuery(rest)
	check(r.t, err)
	return back
}

func (r *replica) code(session auth.Session) string {
	r.t.Helper()
	return r.consent(session, url.Values{
		"response_type": {"code"}, "client_id": {"extension"}, "redirect_uri": {r.url + auth.DonePath}, "state": {"a state"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}).Get("code")
}

func (r *replica) codeForm(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.url + auth.DonePath}, "client_id": {"extension"}, "code_verifier": {verifier},
	}
}

func changed(from url.Values, name string, values ...string) url.Values {
	out := url.Values{}
	for key, v := range from {
		out[key] = v
	}
	if out[name] = values; len(values) == 0 {
		delete(out, name)
	}
	return out
}

// rfcError is an answer of RFC 6749 5.2.
func (a answer) rfcError(t *testing.T, status int, code string) {
	t.Helper()
	a.common(t)
	got := read[granted](t, a)
	if kind := a.header.Get("Content-Type"); a.status != status || got.Error != code || kind != "application/json" || got.AccessToken != "" {
		t.Errorf("%d %s %s, want %d %s", a.status, kind, a.body, status, code)
	}
}

// The token endpoint by the letter of RFC 6749 3.2, 4.1.3, 5.2 and 6, over HTTP.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	session := r.browser(anna)
	form := r.codeForm(r.code(session))
	refresh := refreshForm(anna.Refresh)
	other := r.signIn(t, anna.user.Email)
	post := func(body string) ask { return ask{method: "POST", path: "/oauth/token", kind: formKind, body: body} }
	for _, row := range []struct {
		name   string
		ask    ask
		status int
		error  string
	}{
		{"no verifier", post(changed(form, "code_verifier").Encode()), 400, "invalid_request"},
		{"another verifier", post(changed(form, "code_verifier", strings.Repeat("v", 43)).Encode()), 400, "invalid_grant"},
		{"a short verifier", post(changed(form, "code_verifier", verifier[:42]).Encode()), 400, "invalid_grant"},
		{"another redirect", post(changed(form, "redirect_uri", r.url+auth.DonePath+"/").Encode()), 400, "invalid_grant"},
		{"no redirect", post(changed(form, "redirect_uri").Encode()), 400, "invalid_request"},
		{"another client", post(changed(form, "client_id", "other").Encode()), 400, "invalid_client"},
		{"no client", post(changed(form, "client_id").Encode()), 400, "invalid_request"},
		{"a wider scope", post(changed(form, "scope", auth.AllScopes+" admin").Encode()), 400, "invalid_scope"},
		{"unknown grant type", post(changed(form, "grant_type", "implicit").Encode()), 400, "unsupported_grant_type"},
		{"no grant type", post(changed(form, "grant_type").Encode()), 400, "invalid_request"},
		{"code twice", post(form.Encode() + "&code=" + form.Get("code")), 400, "invalid_request"},
		{"verifier twice", post(form.Encode() + "&code_verifier=x"), 400, "invalid_request"},
		{"an unknown parameter twice", post(form.Encode() + "&x=1&x=2"), 400, "invalid_request"},
		{"twice, once without a value", post(form.Encode() + "&code="), 400, "invalid_request"},
		{"a parameter in the query", ask{method: "POST", path: "/oauth/token?x=1", kind: formKind, body: form.Encode()}, 400, "invalid_request"},
		{"all in the query", ask{method: "POST", path: "/oauth/token?" + form.Encode(), kind: formKind}, 400, "invalid_request"},
		{"JSON", ask{method: "POST", path: "/oauth/token", body: map[string]string{"grant_type": "authorization_code", "code": form.Get("code")}}, 400, "invalid_request"},
		{"a form that says it is JSON", ask{method: "POST", path: "/oauth/token", kind: "application/json", body: form.Encode()}, 400, "invalid_request"},
		{"multipart", ask{method: "POST", path: "/oauth/token", kind: "multipart/form-data; boundary=x", body: "--x\r\n\r\n--x--"}, 400, "invalid_request"},
		{"no type", ask{method: "POST", path: "/oauth/token", kind: "none", body: form.Encode()}, 400, "invalid_request"},
		{"compressed", ask{method: "POST", path: "/oauth/token", kind: formKind, body: form.Encode(), header: map[string]string{"Content-Encoding": "gzip"}}, 400, "invalid_request"},
		{"no body", ask{method: "POST", path: "/oauth/token", kind: formKind}, 400, "invalid_request"},
		{"refresh, a wider scope", post(changed(refresh, "scope", "admin").Encode()), 400, "invalid_scope"},
		{"refresh, another client", post(changed(refresh, "client_id", "other").Encode()), 400, "invalid_client"},
		{"refresh, no client", post(changed(refresh, "client_id").Encode()), 400, "invalid_request"},
		{"refresh, by an access token", post(changed(refresh, "refresh_token", anna.Access).Encode()), 400, "invalid_grant"},
		{"refresh, twice", post(refresh.Encode() + "&refresh_token=" + other.Refresh), 400, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) { r.do(row.ask).rfcError(t, row.status, row.error) })
	}
	get := r.do(ask{method: "GET", path: "/oauth/token?" + form.Encode()})
	get.problem(t, 405, "method-not-allowed")
	if allow := get.header.Get("Allow"); !strings.Contains(allow, "POST") { // RFC 9110 15.5.6
		t.Errorf("Allow %q", allow)
	}

	// What was refused used nothing up. Unknown parameters are no matter, RFC 6749
	// 3.2, nor is a type with a charset.
	got := r.do(ask{method: "POST", path: "/oauth/token", kind: formKind + "; charset=UTF-8", body: changed(form, "audience", "x").Encode()}).ok(t, 200)
	first := read[granted](t, got)
	if first.TokenType != "Bearer" || first.ExpiresIn != 600 || first.Scope != auth.AllScopes || got.header.Get("Pragma") != "no-cache" || !r.mayRead(first.AccessToken) {
		t.Fatalf("%s", got.body)
	}
	// RFC 6749 4.1.2: the second use ends what the first has given, at once.
	r.do(post(form.Encode())).rfcError(t, 400, "invalid_grant")
	r.do(ask{method: "GET", path: "/v1/me", token: first.AccessToken}).problem(t, 401, "unauthorized")
	stopped := r.do(post(refreshForm(first.RefreshToken).Encode()))
	stopped.rfcError(t, 400, "invalid_grant")
	if body := string(stopped.body); !strings.Contains(body, `"revoked":{"by":"system","reason":"an authorization code came back","at":"`) {
		t.Errorf("its client is told %s", body)
	}
	if !r.mayRead(anna.Access) {
		t.Error("another sign-in ended too")
	}
	r.silent(t, form.Get("code"), verifier, first.AccessToken, first.RefreshToken)
}

// A code's minute, on both sides, by the server's clock.
func TestCodeOverHTTP(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	session := r.browser(anna)
	late := r.codeForm(r.code(session))
	r.ahead.Store(int64(61 * time.Second))
	r.do(ask{method: "POST", path: "/oauth/token", kind: formKind, body: late.Encode()}).rfcError(t, 400, "invalid_grant")
	form := r.codeForm(r.code(session)).Encode()
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 50 {
		all.Go(func() {
			got, err := r.try(ask{method: "POST", path: "/oauth/token", kind: formKind, body: form})
			mu.Lock()
			defer mu.Unlock()
			if statuses[got.status]++; err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if statuses[200] != 1 || statuses[400] != 49 {
		t.Errorf("fifty at once: %v", statuses)
	}
}

// A narrow token does what it may, and all else is forbidden.
func TestNarrowToken(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	_, narrow := r.token(changed(refreshForm(anna.Refresh), "scope", auth.ScopeRead))
	if narrow.Scope != auth.ScopeRead {
		t.Fatalf("%+v", narrow)
	}
	id := r.past(t, anna, number, "Jan", time.Now().Add(-time.Hour)).String()
	for name, rt := range routes {
		if rt.scope == "" {
			continue
		}
		got := r.do(rt.ask(name, id, narrow.AccessToken))
		if rt.scope == auth.ScopeRead && got.status >= 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		} else if rt.scope != auth.ScopeRead {
			got.problem(t, 403, "forbidden")
		}
	}
}

// RFC 8414: what is said of the endpoints is so.
func TestMetadata(t *testing.T) {
	t.Parallel()
	r, _ := up(t, options{deaf: true})
	got := r.do(ask{method: "GET", path: "/.well-known/oauth-authorization-server"})
	got.ok(t, 200)
	m := read[auth.Metadata](t, got)
	if m.Issuer != r.url || m.AuthorizationEndpoint != r.url+"/oauth/authorize" || !m.IssParameterInAuthorizeAnswer || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s", got.body)
	}
	for name, want := range map[string][2]string{
		"response types": {strings.Join(m.ResponseTypes, " "), "code"}, "challenges": {strings.Join(m.ChallengeMethods, " "), "S256"},
		"client authentication": {strings.Join(m.TokenAuthMethods, " "), "none"}, "introspection": {strings.Join(m.IntrospectionAuthMethods, " "), "client_secret_basic"},
		"grants": {strings.Join(m.GrantTypes, " "), "authorization_code refresh_token urn:clicktodial:pairing-code"}, "scopes": {strings.Join(m.ScopesSupported, " "), auth.AllScopes},
	} {
		if want[0] != want[1] {
			t.Errorf("%s: %q, want %q", name, want[0], want[1])
		}
	}
	for _, endpoint := range []string{m.TokenEndpoint, m.RevocationEndpoint, m.IntrospectionEndpoint} {
		path, ours := strings.CutPrefix(endpoint, r.url)
		if !ours {
			t.Errorf("an endpoint elsewhere: %s", endpoint)
		}
		r.do(ask{method: "POST", path: path, kind: formKind}).rfcError(t, 400, "invalid_request")
	}
}

// RFC 7009: either kind of token ends the sign-in; of unknown ones nothing is said.
func TestRevocationEndpoint(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	post := func(form url.Values) answer {
		return r.do(ask{method: "POST", path: "/oauth/revoke", kind: formKind, body: form.Encode()})
	}
	unknown := "c2da_" + strings.Repeat("a", 49)
	for name, form := range map[string]url.Values{
		"unknown": {"token": {unknown}, "client_id": {"extension"}}, "garbage": {"token": {"\x00"}, "client_id": {"extension"}},
		"a hint of another kind": {"token": {unknown}, "token_type_hint": {"id_token"}, "client_id": {"extension"}},
	} {
		if got := post(form).ok(t, 200); name == "unknown" && strings.Contains(string(got.body), "token") {
			t.Errorf("it says %s", got.body)
		}
	}
	s := r.signIn(t, anna.user.Email)
	post(url.Values{"token": {s.Refresh}, "client_id": {"other"}}).rfcError(t, 400, "invalid_client")
	if !r.mayRead(s.Access) {
		t.Error("another client ended it")
	}
	post(url.Values{"client_id": {"extension"}}).rfcError(t, 400, "invalid_request")
	r.do(ask{method: "POST", path: "/oauth/revoke?token=" + s.Refresh, kind: formKind, body: "client_id=extension"}).rfcError(t, 400, "invalid_request")
	r.do(ask{method: "POST", path: "/oauth/revoke", body: map[string]string{"token": s.Refresh}}).rfcError(t, 400, "invalid_request")
	post(url.Values{"token": {s.Refresh}, "token_type_hint": {"access_token"}, "client_id": {"extension"}}).ok(t, 200) // the hint is wrong, and only a hint
	if r.mayRead(s.Access) {
		t.Error("it still works")
	}
	if _, got := r.token(refreshForm(s.Refresh)); got.Error != "invalid_grant" {
		t.Errorf("its refresh token: %+v", got)
	}
}

// RFC 7662 over HTTP: who may ask, and what is told.
func TestIntrospectionEndpoint(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	secret, err := r.bundle.auth.NewClient(t.Context(), "billing")
	check(t, err)
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	about := func(token, authorization string) answer {
		return r.do(ask{method: "POST", path: "/oauth/introspect", kind: formKind, body: url.Values{"token": {token}}.Encode(), header: map[string]string{"Authorization": authorization}})
	}
	for name, authorization := range map[string]string{
		"nobody": "", "a bearer": "Bearer " + anna.Access, "a wrong secret": basic("billing", "c2ds_"+strings.Repeat("a", 43)), "the public client": basic("extension", ""),
		"the public client with a secret": basic("extension", secret), "no base64": "Basic ???", "no colon": "Basic " + base64.StdEncoding.EncodeToString([]byte("billing")), "odd escapes": "Basic " + base64.StdEncoding.EncodeToString([]byte("%zz:%zz")),
	} {
		t.Run(name, func(t *testing.T) {
			got := about(anna.Access, authorization)
			got.rfcError(t, 401, "invalid_client")
			if h := got.header.Values("WWW-Authenticate"); len(h) != 1 || !strings.HasPrefix(h[0], "Basic") {
				t.Errorf("WWW-Authenticate %q", h)
			}
		})
	}
	post := r.do(ask{method: "POST", path: "/oauth/introspect", kind: formKind, body: url.Values{"token": {anna.Access}, "client_id": {"billing"}, "client_secret": {secret}}.Encode()})
	post.rfcError(t, 401, "invalid_client") // a secret in a body ends up in logs
	got := about(anna.Access, basic("billing", secret)).ok(t, 200)
	in := read[auth.Introspection](t, got)
	if !in.Active || in.Sub != anna.user.ID.String() || in.Tenant != anna.tenant.ID.String() || in.Role != "admin" || in.Iss != r.url || in.Scope != auth.AllScopes {
		t.Errorf("%s", got.body)
	}
	if text := string(got.body); strings.Contains(text, "@") || strings.Contains(text, "Anna") {
		t.Errorf("it tells %s", text)
	}
	_, err = r.bundle.auth.Revoke(t.Context(), auth.Actor{Role: models.RoleAdmin, UserID: anna.user.ID, TenantID: anna.tenant.ID}, auth.Which{User: anna.user.ID}, "")
	check(t, err)
	for name, token := range map[string]string{"revoked": anna.Access, "its refresh token": anna.Refresh, "garbage": "x", "unknown": "c2da_" + strings.Repeat("a", 49)} {
		if got := about(token, basic("billing", secret)).ok(t, 200); string(got.body) != `{"active":false}` {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	r.do(ask{method: "GET", path: "/oauth/introspect"}).problem(t, 405, "method-not-allowed")
	r.silent(t, secret, anna.Access)
}

// An independent client, golang.org/x/oauth2, does the whole of it.
func TestIndependentClient(t *testing.T) {
	t.Parallel()
	for name, style := range map[string]oauth2.AuthStyle{"as it finds out": oauth2.AuthStyleAutoDetect, "as a public client": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, anna := up(t, options{deaf: true})
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, r.http)
			config := &oauth2.Config{
				ClientID: "extension", RedirectURL: r.url + auth.DonePath, Scopes: []string{auth.ScopeRead, auth.ScopeCreate},
				Endpoint: oauth2.Endpoint{AuthURL: r.url + "/oauth/authorize", TokenURL: r.url + "/oauth/token", AuthStyle: style},
			}
			session := r.browser(anna)
			begin := func() (code, verifier string) {
				state, verifier := uuid.NewString(), oauth2.GenerateVerifier()
				u, err := url.Parse(config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)))
				check(t, err)
				back := r.consent(session, u.Query())
				if back.Get("state") != state || back.Get("iss") != r.url { // RFC 9207 2.4
					t.Fatalf("back with %v", back)
				}
				return back.Get("code"), verifier
			}
			me := func(source oauth2.TokenSource) int {
				t.Helper()
				res, err := oauth2.NewClient(ctx, source).Get(r.url + "/v1/me")
				check(t, err)
				defer res.Body.Close() //nolint:errcheck // only its status counts
				return res.StatusCode
			}

			code, verifier := begin()
			for name, opts := range map[string][]oauth2.AuthCodeOption{"no verifier": nil, "another verifier": {oauth2.VerifierOption(oauth2.GenerateVerifier())}} {
				var refused *oauth2.RetrieveError
				if _, err := config.Exchange(ctx, code, opts...); !errors.As(err, &refused) || refused.ErrorCode == "" || refused.Response.StatusCode != 400 {
					t.Errorf("%s: %v", name, err)
				}
			}
			token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
			check(t, err)
			if token.Type() != "Bearer" || token.RefreshToken == "" || time.Until(token.Expiry) < 9*time.Minute || token.Extra("scope") != auth.ScopeCreate+" "+auth.ScopeRead {
				t.Errorf("token of type %s until %v for %v", token.Type(), token.Expiry, token.Extra("scope"))
			}
			if got := me(config.TokenSource(ctx, token)); got != 200 {
				t.Errorf("GET /v1/me: %d", got)
			}

			r.ahead.Store(int64(auth.AccessLife)) // the server's clock; then the client's
			if got := me(oauth2.StaticTokenSource(token)); got != 401 {
				t.Errorf("expired: %d", got)
			}
			token.Expiry = time.Now().Add(-time.Second)
			source := config.TokenSource(ctx, token)
			if got := me(source); got != 200 {
				t.Errorf("refreshed: %d", got)
			}
			next, err := source.Token()
			if err != nil || next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken {
				t.Fatalf("not rotated: %v", err)
			}

			r.do(ask{method: "POST", path: "/oauth/revoke", kind: formKind, body: url.Values{"token": {next.RefreshToken}, "client_id": {"extension"}}.Encode()}).ok(t, 200)
			if got := me(source); got != 401 {
				t.Errorf("signed out: %d", got)
			}
			next.Expiry = time.Now().Add(-time.Second)
			var refused *oauth2.RetrieveError
			if _, err := config.TokenSource(ctx, next).Token(); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" || refused.ErrorDescription == "" {
				t.Errorf("signed out, refreshed: %v", err)
			}
		})
	}
}

// The token endpoint tells the holder of a sign-in by whom it was ended.
func TestRefreshTellsWhoEnded(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	support := models.User{ID: uuid.New(), Email: "help@provider.test", Role: models.RoleSupport, CreatedAt: time.Now()}
	check(t, r.db.CreateUser(t.Context(), support, entry))
	staff := r.signIn(t, support.Email)
	bert := r.colleague(t, anna, "bert@example.test")
	for by, path := range map[string]string{"support": "/v1/support/users/", "admin": "/v1/admin/users/"} {
		s := r.signIn(t, bert.user.Email)
		token := map[string]string{"support": staff.Access, "admin": anna.Access}[by]
		r.do(ask{method: "POST", path: path + bert.user.ID.String() + "/revoke", token: token, body: map[string]any{"reason": "lost laptop"}}).ok(t, http.StatusOK)
		got := r.do(ask{method: "POST", path: "/oauth/token", kind: formKind, body: refreshForm(s.Refresh).Encode()})
		got.rfcError(t, 400, "invalid_grant")
		body := read[struct {
			Revoked struct {
				By, Reason string
				At         time.Time
			}
		}](t, got)
		if e := body.Revoked; e.By != by || e.Reason != "lost laptop" || time.Since(e.At).Abs() > time.Minute {
			t.Errorf("%s: %s", by, got.body)
		}
	}
}
