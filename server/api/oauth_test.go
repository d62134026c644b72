package api_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/server/auth"
)

const pairing = "urn:clicktodial:pairing-code"

// granted is the answer of the token endpoint, yes or no.
type granted struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string
	Error        string
	Code         string
}

func (r *replica) token(form url.Values) (answer, granted) {
	r.t.Helper()
	got := r.do(ask{method: "POST", path: "/oauth/token", kind: "application/x-www-form-urlencoded", body: form.Encode()})
	got.common(r.t)
	return got, read[granted](r.t, got)
}

func pairForm(code string) url.Values {
	return url.Values{"grant_type": {pairing}, "code": {code}, "client_id": {"extension"}, "device_name": {"My laptop"}}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"extension"}}
}

func (r *replica) mayRead(token string) bool {
	r.t.Helper()
	return r.do(ask{method: "GET", path: "/v1/me", token: token}).status == 200
}

func TestPairing(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	code := r.pair(t, anna.user.Email)
	res, got := r.token(pairForm(strings.ToLower(code[:4] + "-" + code[4:])))
	if res.status != 200 || got.TokenType != "Bearer" || got.ExpiresIn != 600 || got.Scope != auth.AllScopes || !r.mayRead(got.AccessToken) {
		t.Fatalf("%d %s", res.status, res.body)
	}
	if !strings.HasPrefix(got.AccessToken, "c2da_") || !strings.HasPrefix(got.RefreshToken, "c2dr_") || len(got.AccessToken) != 54 {
		t.Errorf("odd tokens")
	}
	late := r.pair(t, anna.user.Email)
	r.sql(t, "ctd_auth", "UPDATE pairing_codes SET expires_at = now() WHERE used_at IS NULL")
	fresh := r.pair(t, anna.user.Email)
	with := func(name string, values ...string) url.Values {
		form := pairForm(fresh)
		if form[name] = values; len(values) == 0 {
			form.Del(name)
		}
		return form
	}
	for _, tt := range []struct {
		name  string
		form  url.Values
		error string
	}{
		{"twice", pairForm(code), "invalid_grant"}, {"late", pairForm(late), "invalid_grant"}, {"wrong", pairForm("BCDFGHJK"), "invalid_grant"},
		{"too long", pairForm(strings.Repeat("B", 1000)), "invalid_grant"}, {"odd letters", pairForm("\x00\xff'\"%_\n"), "invalid_grant"},
		{"unknown client", with("client_id", "other"), "invalid_client"}, {"no client", with("client_id"), "invalid_request"},
		{"no code", with("code"), "invalid_request"}, {"no device name", with("device_name"), "invalid_request"},
		{"blank device name", with("device_name", " "), "invalid_request"}, {"long device name", with("device_name", strings.Repeat("x", 81)), "invalid_request"},
		{"device name with a line", with("device_name", "a\nb"), "invalid_request"}, {"device name not UTF-8", with("device_name", "a\xff"), "invalid_request"},
		{"code twice", with("code", fresh, fresh), "invalid_request"}, {"client twice", with("client_id", "extension", "other"), "invalid_request"},
		{"no grant type", with("grant_type"), "invalid_request"}, {"other grant type", with("grant_type", "password"), "unsupported_grant_type"},
		{"grant type twice", with("grant_type", pairing, "refresh_token"), "invalid_request"}, {"nothing", url.Values{}, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, got := r.token(tt.form)
			if res.status != 400 || got.Error != tt.error || res.header.Get("Content-Type") != "application/json" || got.AccessToken != "" {
				t.Errorf("%d %s", res.status, res.body)
			}
		})
	}
	t.Run("not a form", func(t *testing.T) {
		form := pairForm(fresh).Encode()
		for name, a := range map[string]ask{
			"JSON":  {method: "POST", path: "/oauth/token", body: map[string]any{"grant_type": pairing, "code": fresh}},
			"text":  {method: "POST", path: "/oauth/token", kind: "text/plain", body: form},
			"query": {method: "POST", path: "/oauth/token?" + form, kind: "application/x-www-form-urlencoded"},
			"both":  {method: "POST", path: "/oauth/token?code=" + fresh, kind: "application/x-www-form-urlencoded", body: form},
		} {
			if got := r.do(a); got.status < 400 || got.status > 413 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		r.tooLarge(t, ask{method: "POST", path: "/oauth/token", kind: "application/x-www-form-urlencoded", body: strings.Repeat(form, 300)})
		r.do(ask{method: "GET", path: "/oauth/token?" + form}).problem(t, 405, "method-not-allowed")
	})
	if res, _ := r.token(pairForm(fresh)); res.status != 200 {
		t.Errorf("what was refused used the code up: %s", res.body)
	}
	r.silent(t, code, late, fresh, got.AccessToken, got.RefreshToken, "laptop")
}

func TestOnePairingCodeOneSignIn(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	code := r.pair(t, anna.user.Email)
	var work sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 10 {
		work.Go(func() {
			got, err := r.try(ask{method: "POST", path: "/oauth/token", kind: "application/x-www-form-urlencoded", body: pairForm(code).Encode()})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || got.status != 200 && got.status != 400 {
				t.Errorf("%d %v", got.status, err)
			}
			if got.status == 200 {
				won++
			}
		})
	}
	work.Wait()
	if won != 1 {
		t.Errorf("%d sign-ins", won)
	}
}

func TestRefreshOverHTTP(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	res, next := r.token(refreshForm(anna.Refresh))
	if res.status != 200 || !r.mayRead(next.AccessToken) || next.RefreshToken == anna.Refresh {
		t.Fatalf("%d %s", res.status, res.body)
	}
	if !r.mayRead(anna.Access) {
		t.Error("the old access token died with the refresh")
	}
	t.Run("lost answer", func(t *testing.T) {
		if res, again := r.token(refreshForm(anna.Refresh)); res.status != 200 || again.AccessToken != next.AccessToken || again.RefreshToken != next.RefreshToken {
			t.Errorf("%d %s", res.status, res.body)
		}
	})
	for name, form := range map[string]url.Values{
		"an access token": refreshForm(anna.Access), "garbage": refreshForm("garbage"), "twice": {"grant_type": {"refresh_token"}, "refresh_token": {"a", "b"}, "client_id": {"extension"}},
		"another client": {"grant_type": {"refresh_token"}, "refresh_token": {next.RefreshToken}, "client_id": {"other"}}, "none": refreshForm(""),
	} {
		t.Run(name, func(t *testing.T) {
			if res, got := r.token(form); res.status != 400 || got.Error == "" || got.AccessToken != "" {
				t.Errorf("%d %s", res.status, res.body)
			}
		})
	}
	t.Run("a thief ends it all", func(t *testing.T) {
		r.ahead.Store(int64(31 * time.Second))
		if res, got := r.token(refreshForm(anna.Refresh)); res.status != 400 || got.Error != "invalid_grant" {
			t.Errorf("%d %s", res.status, res.body)
		}
		if r.mayRead(next.AccessToken) {
			t.Error("the sign-in lives on")
		}
		if res, _ := r.token(refreshForm(next.RefreshToken)); res.status != 400 {
			t.Errorf("%d %s", res.status, res.body)
		}
	})
	r.silent(t, anna.Refresh, next.RefreshToken, next.AccessToken)
}

func TestFailuresArePaced(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true, proxies: []string{"127.0.0.1"}})
	from := func(address string, form url.Values) answer {
		return r.do(ask{method: "POST", path: "/oauth/token", kind: "application/x-www-form-urlencoded", body: form.Encode(), header: map[string]string{"X-Forwarded-For": address}})
	}
	for i := range 100 {
		// What a client writes before its address is its own invention.
		if got := from("10.0.0."+string(rune('0'+i%10))+", 203.0.113.7", pairForm("BCDFGHJK")); got.status != 400 {
			t.Fatalf("failure %d: %d", i, got.status)
		}
	}
	code := r.pair(t, anna.user.Email)
	got := from("1.2.3.4, 203.0.113.7", pairForm(code))
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := from("203.0.113.8", pairForm(code)); got.status != 200 {
		t.Errorf("a neighbour is held up: %d %s", got.status, got.body)
	}
	r.silent(t, "203.0.113", "10.0.0.", code)
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	out := func(token string) answer {
		return r.do(ask{method: "POST", path: "/oauth/revoke", kind: "application/x-www-form-urlencoded", body: url.Values{"token": {token}}.Encode()})
	}
	for name, token := range map[string]func() (string, string){
		"by refresh token": func() (string, string) { s := r.signIn(t, anna.user.Email); return s.Refresh, s.Access },
		"by access token":  func() (string, string) { s := r.signIn(t, anna.user.Email); return s.Access, s.Access },
	} {
		t.Run(name, func(t *testing.T) {
			told, access := token()
			if !r.mayRead(access) {
				t.Fatal("it never worked")
			}
			out(told).ok(t, 200)
			if r.mayRead(access) {
				t.Error("it still works")
			}
			out(told).ok(t, 200)
		})
	}
	out("garbage").ok(t, 200)
	if got := out(""); got.status != 400 {
		t.Errorf("no token: %d", got.status)
	}
	if !r.mayRead(anna.Access) {
		t.Error("another sign-in ended too")
	}
	r.do(ask{method: "GET", path: "/oauth/revoke"}).problem(t, 405, "method-not-allowed")
}
