package console_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"clicktodial/server/auth"
)

const verifier = "a-verifier-of-more-than-forty-three-characters-0123"

// request is the query of a whole authorization request; more is put after it, and
// what begins with - is left out.
func request(more string, without ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {auth.ExtensionClient}, "redirect_uri": {publicURL + "/oauth/done"}, "state": {"st"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for _, name := range without {
		q.Del(name)
	}
	if more == "" {
		return q.Encode()
	}
	return q.Encode() + "&" + more
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	b := setup(t)
	br := b.nobody()
	path := "/oauth/authorize?" + request("device_name=My+%3Claptop%3E")
	signIn := br.get(t, path).to(t)
	if !strings.HasPrefix(signIn, "/console/sign-in?next=%2Foauth%2Fauthorize%3F") {
		t.Fatalf("nobody is led to %s", signIn)
	}
	br.get(t, signIn).wants(t, http.StatusOK, "To connect Click-to-Dial in this browser.")
	back := br.post(t, signIn, "email", b.piet.Email, "password", password).to(t)
	if back != path {
		t.Fatalf("one comes back to %s", back)
	}
	a := br.get(t, back)
	a.wants(t, http.StatusOK, "Connect this browser?", b.piet.Email, "Acme", `value="My &lt;laptop&gt;"`, `value="allow"`, `value="deny"`)
	for _, bad := range []string{"", strings.Repeat("x", 81), "\x07"} {
		br.post(t, path, "decision", "allow", "device_name", bad).wants(t, http.StatusBadRequest, "1 to 80", `id="authorize-device_name" name="device_name" aria-invalid="true"`)
	}
	br.post(t, path, "device_name", "x").wants(t, http.StatusBadRequest)
	denied := mustParse(t, br.post(t, path, "decision", "deny", "device_name", "").to(t))
	if denied.Get("error") != "access_denied" || denied.Get("state") != "st" || denied.Has("code") {
		t.Errorf("denied: %v", denied)
	}
	allowed := mustParse(t, br.post(t, path, "decision", "allow", "device_name", " Front desk ").to(t))
	if allowed.Get("state") != "st" || allowed.Get("iss") != publicURL || allowed.Get("code") == "" {
		t.Fatalf("allowed: %v", allowed)
	}
	tokens, err := b.auth.Exchange(t.Context(), url.Values{
		"grant_type": {"authorization_code"}, "code": {allowed.Get("code")}, "client_id": {auth.ExtensionClient},
		"redirect_uri": {publicURL + "/oauth/done"}, "code_verifier": {verifier},
	}, netip.Prefix{})
	check(t, err)
	b.wantAlive(t, tokens, true)
	br.get(t, "/console/sign-ins").wants(t, http.StatusOK, "Front desk")
	out := br.post(t, "/console/sign-out?next="+url.QueryEscape(path)).to(t)
	if !strings.HasPrefix(out, "/console/sign-in?") || !strings.Contains(out, url.QueryEscape(path)) {
		t.Errorf("not you: %s", out)
	}
	br.post(t, path, "decision", "allow", "device_name", "x").wants(t, http.StatusUnauthorized)
	if strings.Contains(b.log.String(), allowed.Get("code")) {
		t.Error("the log holds the code")
	}
}

func mustParse(t *testing.T, to string) url.Values {
	t.Helper()
	query, ok := strings.CutPrefix(to, publicURL+"/oauth/done?")
	if !ok {
		t.Fatalf("one is led to %s", to)
	}
	values, err := url.ParseQuery(query)
	check(t, err)
	return values
}

// What the client did wrong goes back to it, but only to where it is known to be.
func TestAuthorizeRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	signedIn, nobody := b.as(t, b.piet), b.nobody()
	for _, c := range []struct{ name, query, code string }{
		{"nothing", "", ""},
		{"another client", request("client_id=evil", "client_id"), ""},
		{"a client twice", request("client_id=extension"), ""},
		{"another redirect", request("redirect_uri="+url.QueryEscape("https://evil.example/oauth/done"), "redirect_uri"), ""},
		{"a longer redirect", request("redirect_uri="+url.QueryEscape(publicURL+"/oauth/done/x"), "redirect_uri"), ""},
		{"a broken query", request("x=%zz"), ""},
		{"no challenge", request("", "code_challenge"), "invalid_request"},
		{"plain", request("code_challenge_method=plain", "code_challenge_method"), "invalid_request"},
		{"a token at once", request("response_type=token", "response_type"), "unsupported_response_type"},
		{"a scope that is none", request("scope=everything"), "invalid_scope"},
		{"a parameter twice", request("state=b"), "invalid_request"},
	} {
		for _, br := range []*browser{signedIn, nobody} {
			for _, a := range []answer{br.get(t, "/oauth/authorize?"+c.query), br.post(t, "/oauth/authorize?"+c.query, "decision", "allow", "device_name", "x")} {
				if c.code == "" {
					if a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.Contains(a.body, "Nothing was connected.") {
						t.Errorf("%s: %d %s", c.name, a.status, a.header.Get("Location"))
					}
					a.lacks(t, "evil")
					continue
				}
				if got := mustParse(t, a.to(t)); got.Get("error") != c.code || got.Has("code") {
					t.Errorf("%s: %v", c.name, got)
				}
			}
		}
	}
}

func TestDone(t *testing.T) {
	t.Parallel()
	br := setup(t).nobody()
	a := br.get(t, "/oauth/done?code=abcsecret&state=statesecret&iss=x")
	a.wants(t, http.StatusOK, "You can close this window")
	a.lacks(t, "Not connected", "abcsecret", "statesecret")
	a = br.get(t, "/oauth/done?error=access_denied&error_description=%3Cb%3Eevil&state=statesecret")
	a.wants(t, http.StatusOK, "Not connected")
	a.lacks(t, "evil", "statesecret")
}
