package console_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"clicktodial/server/console"
)

func TestSafeNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, next string
		kept       bool
	}{
		{"nothing", "", false},
		{"the first page", "/console", true},
		{"a page", "/console/people", true},
		{"a page with a query", "/console/people?after=x&lang=nl", true},
		{"an authorization request", "/oauth/authorize?client_id=extension&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foauth%2Fdone&state=a", true},
		{"a path that only begins like ours", "/consoles", false},
		{"another of ours", "/v1/me", false},
		{"the token endpoint", "/oauth/token", false},
		{"below the authorization endpoint", "/oauth/authorize/x", false},
		{"another site", "https://evil.example/console", false},
		{"another site without a scheme", "//evil.example/console", false},
		{"three slashes", "///evil.example/console", false},
		{"a backslash", `/\evil.example/console`, false},
		{"a backslash further on", `/console\@evil.example`, false},
		{"an escaped slash", "/%2fevil.example/console", false},
		{"an escaped path", "/console%2f..%2f..%2fv1", false},
		{"dots", "/console/../v1/me", false},
		{"a hidden double slash", "/console//evil.example", false},
		{"a line feed", "/console\nLocation: https://evil.example", false},
		{"a tab", "/\t/evil.example/console", false},
		{"a space", "/console /x", false},
		{"NUL", "/console\x00", false},
		{"a letter that is none of ASCII", "/console/\u2215", false},
		{"a fragment", "/console#x", false},
		{"a script", "javascript:alert(1)//console", false},
		{"no slash", "console", false},
		{"a broken escape", "/console/%zz", false},
		{"2000 bytes", "/console?" + strings.Repeat("a", 1991), true},
		{"2001 bytes", "/console?" + strings.Repeat("a", 1992), false},
	} {
		want := "/console"
		if c.kept {
			want = c.next
		}
		if got := console.SafeNext(c.next); got != want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// Whatever comes in, what comes out is a path of ours, and a browser that resolves
// it stays here.
func FuzzSafeNext(f *testing.F) {
	for _, seed := range []string{"/console", "/oauth/authorize?a=b", "//x", `/\x`, "/console/%2e%2e/", "/console?next=//x", "/console;//x"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://here.example/console/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		safe := console.SafeNext(next)
		if again := console.SafeNext(safe); again != safe {
			t.Fatalf("%q becomes %q becomes %q", next, safe, again)
		}
		u, err := base.Parse(safe)
		if err != nil || u.Scheme != "https" || u.Host != "here.example" || strings.ContainsAny(safe, "\\\r\n\x00#") {
			t.Fatalf("%q leads to %v", next, u)
		}
		if path := u.Path; path != "/console" && !strings.HasPrefix(path, "/console/") && path != "/oauth/authorize" {
			t.Fatalf("%q leads to %q", next, path)
		}
		httptest.NewRequest("GET", safe, nil) // panics on what is no request target
	})
}
