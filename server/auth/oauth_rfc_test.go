package auth

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Each MUST of an authorization request: RFC 6749 3.1, 4.1.1, RFC 7636 4.3, RFC
// 9207, RFC 9700 2.1. What cannot be put to the user goes back to the client, but
// never to a place that is not the client's own.
func TestAuthorizationRequest(t *testing.T) {
	t.Parallel()
	s := &Service{PublicURL: issuer}
	done := issuer + DonePath
	rows := []struct {
		name  string
		query url.Values
		code  string // "": it is put to the user
		back  bool   // it is told on the redirect
		state string // that comes back
	}{
		{"right", request(), "", false, ""},
		{"no state", with(request(), "state"), "", false, ""},
		{"an empty state is none", with(request(), "state", ""), "", false, ""},
		{"a longest state", with(request(), "state", strings.Repeat("s", 512)), "", false, ""},
		{"one scope", with(request(), "scope", ScopeRead), "", false, ""},
		{"all scopes, in another order", with(request(), "scope", ScopeDelete+"  "+ScopeCreate+" "+ScopeRead), "", false, ""},
		{"an empty scope is none", with(request(), "scope", ""), "", false, ""},
		{"an unknown parameter", with(request(), "prompt", "none"), "", false, ""},
		{"an empty request parameter is none", with(request(), "request", ""), "", false, ""},
		{"response_mode=query", with(request(), "response_mode", "query"), "", false, ""},
		{"an empty response_mode is none", with(request(), "response_mode", ""), "", false, ""},

		{"no client", with(request(), "client_id"), "invalid_client", false, ""},
		{"an empty client", with(request(), "client_id", ""), "invalid_client", false, ""},
		{"an unknown client", with(request(), "client_id", "other"), "invalid_client", false, ""},
		{"a client in capitals", with(request(), "client_id", "Extension"), "invalid_client", false, ""},
		{"an internal service's client", with(request(), "client_id", "billing"), "invalid_client", false, ""},
		{"the client twice", with(request(), "client_id", ExtensionClient, ExtensionClient), "invalid_client", false, ""},
		{"the client twice, otherwise", with(request(), "client_id", ExtensionClient, "other"), "invalid_client", false, ""},
		{"no redirect", with(request(), "redirect_uri"), "invalid_redirect_uri", false, ""},
		{"an empty redirect", with(request(), "redirect_uri", ""), "invalid_redirect_uri", false, ""},
		{"the redirect twice", with(request(), "redirect_uri", done, done), "invalid_redirect_uri", false, ""},
		{"the redirect twice, otherwise", with(request(), "redirect_uri", done, "https://evil.example/"), "invalid_redirect_uri", false, ""},
		{"a redirect with a slash more", with(request(), "redirect_uri", done+"/"), "invalid_redirect_uri", false, ""},
		{"a redirect with a query", with(request(), "redirect_uri", done+"?x=1"), "invalid_redirect_uri", false, ""},
		{"a redirect with a fragment", with(request(), "redirect_uri", done+"#x"), "invalid_redirect_uri", false, ""},
		{"a redirect in capitals", with(request(), "redirect_uri", strings.ToUpper(done)), "invalid_redirect_uri", false, ""},
		{"a redirect to another port", with(request(), "redirect_uri", issuer+":8443"+DonePath), "invalid_redirect_uri", false, ""},
		{"a redirect to the usual port", with(request(), "redirect_uri", issuer+":443"+DonePath), "invalid_redirect_uri", false, ""},
		{"a redirect by http", with(request(), "redirect_uri", "http"+strings.TrimPrefix(done, "https")), "invalid_redirect_uri", false, ""},
		{"a redirect to a longer host", with(request(), "redirect_uri", issuer+".evil.example"+DonePath), "invalid_redirect_uri", false, ""},
		{"a redirect with a user", with(request(), "redirect_uri", "https://dial.example.test@evil.example"+DonePath), "invalid_redirect_uri", false, ""},
		{"a redirect by way of dots", with(request(), "redirect_uri", issuer+"/oauth/x/../done"), "invalid_redirect_uri", false, ""},
		{"an escaped redirect", with(request(), "redirect_uri", issuer+"/oauth/%64one"), "invalid_redirect_uri", false, ""},
		{"elsewhere", with(request(), "redirect_uri", "https://evil.example/"), "invalid_redirect_uri", false, ""},

		{"no PKCE", with(with(request(), "code_challenge"), "code_challenge_method"), "invalid_request", true, "a state"},
		{"no challenge", with(request(), "code_challenge"), "invalid_request", true, "a state"},
		{"no method, which means plain", with(request(), "code_challenge_method"), "invalid_request", true, "a state"},
		{"plain", with(request(), "code_challenge_method", "plain"), "invalid_request", true, "a state"},
		{"s256 in small letters", with(request(), "code_challenge_method", "s256"), "invalid_request", true, "a state"},
		{"a short challenge", with(request(), "code_challenge", challenge[:42]), "invalid_request", true, "a state"},
		{"a long challenge", with(request(), "code_challenge", challenge+"A"), "invalid_request", true, "a state"},
		{"a padded challenge", with(request(), "code_challenge", challenge[:42]+"="), "invalid_request", true, "a state"},
		{"a challenge in other base64", with(request(), "code_challenge", strings.ReplaceAll(challenge, "-", "+")), "invalid_request", true, "a state"},
		{"no response type", with(request(), "response_type"), "invalid_request", true, "a state"},
		{"token", with(request(), "response_type", "token"), "unsupported_response_type", true, "a state"},
		{"code and id_token", with(request(), "response_type", "code id_token"), "unsupported_response_type", true, "a state"},
		{"response_mode=fragment", with(request(), "response_mode", "fragment"), "invalid_request", true, "a state"},
		{"response_mode=form_post", with(request(), "response_mode", "form_post"), "invalid_request", true, "a state"},
		{"request", with(request(), "request", "e30.e30."), "request_not_supported", true, "a state"},
		{"request_uri", with(request(), "request_uri", "https://evil.example/"), "request_uri_not_supported", true, "a state"},
		{"an unknown scope", with(request(), "scope", ScopeRead+" admin"), "invalid_scope", true, "a state"},
		{"a scope of blanks", with(request(), "scope", "  "), "invalid_scope", true, "a state"},
		{"the scope twice", with(request(), "scope", ScopeRead, ScopeRead), "invalid_request", true, "a state"},
		{"the challenge twice", with(request(), "code_challenge", challenge, challenge), "invalid_request", true, "a state"},
		{"an unknown parameter twice", with(request(), "prompt", "none", "none"), "invalid_request", true, "a state"},
		{"a parameter that is no UTF-8", with(request(), "device_name", "\xff"), "invalid_request", true, "a state"},
		{"a very long parameter", with(request(), "login_hint", strings.Repeat("x", 1001)), "invalid_request", true, "a state"},
		{"a parameter with a very long name", with(request(), strings.Repeat("x", 101), ""), "invalid_request", true, "a state"},
		// A state that could not be sent back as it came is not sent back at all.
		{"the state twice", with(request(), "state", "a", "b"), "invalid_request", true, ""},
		{"an overlong state", with(request(), "state", strings.Repeat("s", 513)), "invalid_request", true, ""},
		{"a state of other letters", with(request(), "state", "zustand-ä"), "invalid_request", true, ""},
		{"a state with a line", with(request(), "state", "a\r\nLocation: https://evil.example/"), "invalid_request", true, ""},
		{"a state of NUL", with(request(), "state", "\x00"), "invalid_request", true, ""},
		{"refused, and no state", with(with(request(), "state"), "response_type", "token"), "unsupported_response_type", true, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a, err := s.ReadAuthorization(row.query)
			if row.code == "" {
				if err != nil || a.ClientID != ExtensionClient || a.RedirectURI != done || a.Challenge != challenge || len(a.Scopes) == 0 {
					t.Errorf("%+v, %v", a, err)
				}
				return
			}
			var refused *AuthorizeError
			if !errors.As(err, &refused) || refused.Code != row.code {
				t.Fatalf("%v, want %s", err, row.code)
			}
			if !row.back {
				if refused.Redirect != "" {
					t.Errorf("the browser is sent to %s", refused.Redirect)
				}
				return
			}
			wantBack(t, refused.Redirect, url.Values{"error": {row.code}, "state": {row.state}, "iss": {issuer}})
		})
	}
}

// wantBack checks a way back to the client: whole, and with nothing besides.
func wantBack(t *testing.T, redirect string, want url.Values) {
	t.Helper()
	at, query, _ := strings.Cut(redirect, "?")
	got, err := url.ParseQuery(query)
	if err != nil || at != issuer+DonePath {
		t.Fatalf("the browser is sent to %s", redirect)
	}
	for name := range want {
		if want.Get(name) == "" {
			want.Del(name)
		}
	}
	if got.Encode() != want.Encode() {
		t.Errorf("back with %q, want %q", got.Encode(), want.Encode())
	}
}

func FuzzReadAuthorization(f *testing.F) {
	f.Add(request().Encode())
	f.Add(with(request(), "redirect_uri", "https://evil.example/").Encode())
	f.Add(with(request(), "state", "\r\n", "x").Encode())
	f.Add(with(request(), "scope", "x").Encode())
	f.Add("client_id=extension&redirect_uri=https%3A%2F%2Fdial.example.test%2Foauth%2Fdone&%00=%ff")
	s := &Service{PublicURL: issuer}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		a, err := s.ReadAuthorization(query)
		var refused *AuthorizeError
		switch {
		case err == nil:
			if back := s.Deny(a); !strings.HasPrefix(back, issuer+DonePath+"?") || strings.ContainsAny(back, "\r\n#") {
				t.Errorf("no leads to %q", back)
			}
		case !errors.As(err, &refused):
			t.Errorf("%v", err)
		case refused.Redirect != "" && (!strings.HasPrefix(refused.Redirect, issuer+DonePath+"?") || strings.ContainsAny(refused.Redirect, "\r\n#")):
			t.Errorf("the browser is sent to %q", refused.Redirect)
		}
	})
}

// Yes and no: what goes back to the client.
func TestConsent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	session := b.session(t, b.user, models.StageFull)
	a, err := b.ReadAuthorization(with(request(), "device_name", "Chromium on Linux"))
	if err != nil || a.DeviceName != "Chromium on Linux" {
		t.Fatalf("%+v, %v", a, err)
	}
	wantBack(t, b.Deny(a), url.Values{"error": {"access_denied"}, "state": {"a state"}, "iss": {issuer}})
	redirect, err := b.Allow(ctx, session.Session, a, a.DeviceName)
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(redirect)
	if err != nil || !isSecret(back.Query().Get("code")) {
		t.Fatalf("no code: %v", err)
	}
	wantBack(t, redirect, url.Values{"code": {back.Query().Get("code")}, "state": {"a state"}, "iss": {issuer}})
	for _, name := range []string{"", "  ", "a\nb", strings.Repeat("x", 81)} {
		_, err := b.Allow(ctx, session.Session, a, name)
		wantCode(t, "a device of "+name, err, "device-name-invalid")
	}
	for _, stage := range []models.Stage{models.StageFactor, models.StageEnrol} {
		half := b.session(t, b.user, stage)
		_, err := b.Allow(ctx, half.Session, a, "Chromium")
		wantCode(t, "a session at "+string(stage), err, "forbidden")
	}
	if odd, err := b.ReadAuthorization(with(request(), "device_name", "a\nb")); err != nil || odd.DeviceName != "" {
		t.Errorf("an odd device name: %+v, %v", odd, err)
	}
}

// RFC 6749 4.1.3, 5.2 and RFC 7636 4.6: who may turn a code into a sign-in. What
// is refused does not use the code up.
func TestCodeExchange(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	long, short := strings.Repeat("v", 129), strings.Repeat("v", 42)
	odd := "dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk+"
	of := func(v string) url.Values { return with(request(), "code_challenge", challengeOf(v)) }
	b := desk(t)
	session := b.session(t, b.user, models.StageFull).Session
	rows := []struct {
		name  string
		asked url.Values // the authorization request
		form  func(url.Values) url.Values
		error string
		fault string
	}{
		{"right", request(), func(f url.Values) url.Values { return f }, "", ""},
		{"a verifier as long as it may be", of(strings.Repeat("~", 128)), set("code_verifier", strings.Repeat("~", 128)), "", ""},
		{"an unknown parameter", request(), set("audience", "x"), "", ""},
		{"all that was consented to", request(), set("scope", AllScopes), "", ""},
		{"another verifier", request(), set("code_verifier", strings.Repeat("v", 43)), "invalid_grant", "code-invalid"},
		{"the challenge as verifier", request(), set("code_verifier", challenge), "invalid_grant", "code-invalid"},
		{"a verifier that is too short", of(short), set("code_verifier", short), "invalid_grant", "code-invalid"},
		{"a verifier that is too long", of(long), set("code_verifier", long), "invalid_grant", "code-invalid"},
		{"a verifier of other letters", of(odd), set("code_verifier", odd), "invalid_grant", "code-invalid"},
		{"no verifier", request(), set("code_verifier"), "invalid_request", ""},
		{"an empty verifier is none", request(), set("code_verifier", ""), "invalid_request", ""},
		{"another redirect", request(), set("redirect_uri", issuer+DonePath+"/"), "invalid_grant", "code-invalid"},
		{"no redirect", request(), set("redirect_uri"), "invalid_request", ""},
		{"another client", request(), set("client_id", "other"), "invalid_client", "client-unknown"},
		{"no client", request(), set("client_id"), "invalid_request", ""},
		{"no code", request(), set("code"), "invalid_request", ""},
		{"another code", request(), set("code", strings.Repeat("0", 43)), "invalid_grant", "code-invalid"},
		{"a code that is none", request(), set("code", "\x00' OR 1=1"), "invalid_grant", "code-invalid"},
		{"no grant type", request(), set("grant_type"), "invalid_request", ""},
		{"password", request(), set("grant_type", "password"), "unsupported_grant_type", ""},
		{"client_credentials", request(), set("grant_type", "client_credentials"), "unsupported_grant_type", ""},
		{"more than was consented to", with(request(), "scope", ScopeRead), set("scope", AllScopes), "invalid_scope", "scope-invalid"},
		{"an unknown scope", request(), set("scope", "admin"), "invalid_scope", "scope-invalid"},
		{"a scope of blanks", request(), set("scope", "  "), "invalid_scope", "scope-invalid"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			code := b.consent(t, session, row.asked)
			tokens, err := b.Exchange(ctx, row.form(codeForm(code)), here.Network)
			if row.error == "" {
				if err != nil || tokens.Scope != AllScopes || tokens.ExpiresIn != AccessLife {
					t.Fatalf("%+v, %v", tokens, err)
				}
				b.wantAlive(t, tokens.Access, true)
				return
			}
			var refused *OAuthError
			if !errors.As(err, &refused) || refused.Code != row.error || fault.Code(err) != row.fault || tokens != (Tokens{}) {
				t.Fatalf("%v %q, want %s %q", err, fault.Code(err), row.error, row.fault)
			}
			if row.asked.Get("code_challenge") != challenge {
				return
			}
			if _, err := b.Exchange(ctx, codeForm(code), here.Network); err != nil {
				t.Errorf("what was refused used the code up: %v", err)
			}
		})
	}
}

func set(name string, values ...string) func(url.Values) url.Values {
	return func(form url.Values) url.Values { return with(form, name, values...) }
}

// A code lives for a minute, to the microsecond.
func TestCodeLife(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		age  time.Duration
		ok   bool
	}{
		{"at once", 0, true}, {"the last moment", CodeLife - time.Microsecond, true}, {"a minute", CodeLife, false}, {"61 s", 61 * time.Second, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			code := b.code(t)
			b.later(row.age)
			_, err := b.Exchange(context.Background(), codeForm(code), here.Network)
			want := "code-invalid"
			if row.ok {
				want = ""
			}
			wantCode(t, "the code", err, want)
		})
	}
}

// RFC 6749 4.1.2: a code that comes twice was stolen, once.
func TestCodeTwice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name string
		then func(*bundle, url.Values) url.Values
	}{
		{"as it was", func(_ *bundle, f url.Values) url.Values { return f }},
		{"by one without the verifier", func(_ *bundle, f url.Values) url.Values { return with(f, "code_verifier", strings.Repeat("v", 43)) }},
		{"after its minute", func(b *bundle, f url.Values) url.Values { b.later(2 * time.Minute); return f }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			other := b.bySelf(t)
			code := b.code(t)
			first, err := b.Exchange(ctx, codeForm(code), here.Network)
			if err != nil {
				t.Fatal(err)
			}
			next := b.refresh(t, first.Refresh)
			_, err = b.Exchange(ctx, row.then(b, codeForm(code)), here.Network)
			wantCode(t, "the second use", err, "code-invalid")
			for _, token := range []string{first.Access, next.Access} {
				b.wantAlive(t, token, false)
			}
			for _, token := range []string{first.Refresh, next.Refresh} {
				_, err := b.Refresh(ctx, token, ExtensionClient, "")
				wantCode(t, "its refresh token", err, "refresh-token-invalid")
			}
			b.wantAlive(t, other.Access, true)
			if end, err := b.HowEnded(ctx, b.grantOf(t, first.Access)); err != nil || end.By != "system" || end.Reason != "an authorization code came back" {
				t.Errorf("it ended %+v, %v", end, err)
			}
			if !strings.Contains(b.dump(t), "code-reuse") {
				t.Error("the audit says nothing of it")
			}
		})
	}
}

// One of fifty who come at once with one code is let in, and since it was then
// used again, nobody stays.
func TestFiftyExchangeOneCode(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	code := b.code(t)
	var mu sync.Mutex
	var all sync.WaitGroup
	var won []Tokens
	for range 50 {
		all.Go(func() {
			tokens, err := b.Exchange(ctx, codeForm(code), here.Network)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, tokens)
			} else if fault.Code(err) != "code-invalid" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	grants, err := b.DB.SignIns(ctx, store.CommandLine, b.user.ID)
	if len(won) != 1 || err != nil || len(grants) != 1 {
		t.Fatalf("%d signed in with one code, %d sign-ins (%v)", len(won), len(grants), err)
	}
	b.wantAlive(t, won[0].Access, false)
}

// A code of somebody who may no longer sign in.
func TestCodeOfTheGone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, end := range map[string]func(*testing.T, *bundle){
		"disabled": func(t *testing.T, b *bundle) { b.asOwner(t, "UPDATE users SET disabled_at = now()") },
		"ended tenant": func(t *testing.T, b *bundle) {
			if _, err := b.EndTenant(ctx, b.tenant.ID); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			code := b.code(t)
			end(t, b)
			_, err := b.Exchange(ctx, codeForm(code), here.Network)
			wantCode(t, "the code", err, "code-invalid")
		})
	}
}

// RFC 6749 6: a refresh may ask for less, never for more.
func TestScopes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	session := b.session(t, b.user, models.StageFull).Session
	code := b.consent(t, session, with(request(), "scope", ScopeDelete+" "+ScopeRead))
	tokens, err := b.Exchange(ctx, codeForm(code), here.Network)
	if err != nil || tokens.Scope != ScopeRead+" "+ScopeDelete {
		t.Fatalf("%q, %v", tokens.Scope, err)
	}
	for _, wider := range []string{AllScopes, ScopeCreate, ScopeRead + " admin", " "} {
		_, err := b.Refresh(ctx, tokens.Refresh, ExtensionClient, wider)
		wantCode(t, "refreshed for "+wider, err, "scope-invalid")
	}
	narrow, err := b.Refresh(ctx, tokens.Refresh, ExtensionClient, ScopeRead)
	if err != nil || narrow.Scope != ScopeRead {
		t.Fatalf("%q, %v", narrow.Scope, err)
	}
	if p, err := b.Authenticate(ctx, narrow.Access); err != nil || !p.May(ScopeRead) || p.May(ScopeDelete) || p.May(ScopeCreate) {
		t.Errorf("a narrow token may %v, %v", p.Scopes, err)
	}
	again, err := b.Refresh(ctx, narrow.Refresh, ExtensionClient, "")
	if err != nil || again.Scope != ScopeRead+" "+ScopeDelete {
		t.Errorf("the sign-in itself was narrowed to %q, %v", again.Scope, err)
	}
	code = b.consent(t, session, request())
	if tokens, err = b.Exchange(ctx, with(codeForm(code), "scope", ScopeRead), here.Network); err != nil || tokens.Scope != ScopeRead {
		t.Errorf("less at the code: %q, %v", tokens.Scope, err)
	}
	_, err = b.Refresh(ctx, tokens.Refresh, ExtensionClient, AllScopes)
	wantCode(t, "and then more", err, "scope-invalid")
}
