package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/api"
	"clicktodial/server/testdb"
	"clicktodial/server/web"
)

func TestProblemsSpeakTheLanguage(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for accept, want := range map[string]string{
		"": "Emergency numbers", "nl": "Noodnummers", "nl-BE,en;q=0.5": "Noodnummers", "de-AT": "Notrufnummern",
		"fr,de;q=0.4,en;q=0.2": "Notrufnummern", "fr": "Emergency numbers", "*": "Emergency numbers",
		strings.Repeat("nl,", 100): "Emergency numbers", "\"'<": "Emergency numbers",
	} {
		t.Run(accept[:min(20, len(accept))], func(t *testing.T) {
			p := r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "k", body: map[string]any{"number": "112"},
				header: map[string]string{"Accept-Language": accept}}).problem(t, 422, "emergency-number")
			if !strings.HasPrefix(p.Detail, want) {
				t.Errorf("detail %q", p.Detail)
			}
		})
	}
	for name, a := range map[string]ask{
		"route": {method: "GET", path: "/nothing"}, "method": {method: "PUT", path: "/v1/me"}, "token": {method: "GET", path: "/v1/me"},
		"body": {method: "POST", path: "/v1/numbers/check", token: anna.Access, body: "{"},
	} {
		t.Run(name, func(t *testing.T) {
			a.header = map[string]string{"Accept-Language": "nl"}
			p := r.do(a).problem(t, map[string]int{"route": 404, "method": 405, "token": 401, "body": 400}[name], "")
			if p.Detail != web.Sentence(p.Code, "nl", "") {
				t.Errorf("%s in %q", p.Code, p.Detail)
			}
		})
	}
}

func TestAnswersToWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	r, _ := up(t, options{})
	for name, tt := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"header too large": {"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: " + origin + "\r\nX-Long: " + strings.Repeat(canary, 1000) + "\r\n\r\n", 431, "request-too-large"},
		"URL too large":    {"GET /healthz?" + strings.Repeat(canary, 1000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, "request-too-large"},
		"body too large":   {"POST /v1/calls HTTP/1.1\r\nHost: x\r\nOrigin: " + origin + "\r\nContent-Length: 100000\r\n\r\n" + canary, 413, "request-too-large"},
		"no HTTP":          {canary + "\r\n\r\n", 400, "invalid-request"},
		"odd length":       {"POST /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: " + canary + "\r\n\r\n", 400, "invalid-request"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.raw(t, tt.request)
			got.problem(t, tt.status, tt.code)
			if strings.Contains(string(got.body), canary) {
				t.Errorf("it repeats: %s", got.body)
			}
			if strings.Contains(tt.request, "Origin") && !strings.Contains(tt.request, "X-Long") && got.header.Get("Access-Control-Allow-Origin") != origin {
				t.Error("the extension may not read it")
			}
		})
	}
	r.silent(t, canary)
	r.do(ask{method: "GET", path: "/healthz"}).ok(t, 200)
}

// raw sends bytes and reads one answer.
func (r *replica) raw(t *testing.T, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	check(t, err)
	defer conn.Close()               //nolint:errcheck // over
	go io.WriteString(conn, request) //nolint:errcheck // the server may stop reading
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	defer res.Body.Close() //nolint:errcheck // over
	body, err := io.ReadAll(res.Body)
	check(t, err)
	return answer{res.StatusCode, res.Header, body}
}

func TestMethodsAndRoutes(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/", 404, "not-found"}, {"GET", "/v2/calls", 404, "not-found"}, {"GET", "/v1/calls", 405, "method-not-allowed"},
		{"PUT", "/v1/calls", 405, "method-not-allowed"}, {"PATCH", "/v1/me", 405, "method-not-allowed"}, {"OPTIONS", "/v1/me", 405, "method-not-allowed"},
		{"DELETE", "/healthz", 405, "method-not-allowed"}, {"GET", "/oauth/token", 405, "method-not-allowed"},
		{"GET", "/docs", 404, "not-found"}, {"GET", "/schemas/Call.json", 404, "not-found"}, {"GET", "/demo", 404, "not-found"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r.do(ask{method: tt.method, path: tt.path, token: anna.Access}).problem(t, tt.status, tt.code)
		})
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	secret := "c4n4ry-panic"
	r, _ := up(t, options{more: func(app *fiber.App) {
		app.Get("/panic", func(*fiber.Ctx) error { panic(secret) })
		app.Get("/error", func(*fiber.Ctx) error { return fmt.Errorf("with %s", "words") })
	}})
	p := r.do(ask{method: "GET", path: "/panic?x=" + secret}).problem(t, 500, "internal")
	if strings.Contains(p.Detail, secret) {
		t.Errorf("it tells %q", p.Detail)
	}
	if p := r.do(ask{method: "GET", path: "/error"}).problem(t, 500, "internal"); strings.Contains(p.Detail, "words") {
		t.Errorf("it tells %q", p.Detail)
	}
	r.silent(t, secret)
	if !strings.Contains(r.log.String(), "a handler panicked") || !strings.Contains(r.log.String(), "with words") {
		t.Error("the log says nothing")
	}
	r.do(ask{method: "GET", path: "/healthz"}).ok(t, 200)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for _, tt := range []struct {
		name, origin string
		allowed      bool
	}{
		{"the extension", origin, true}, {"another extension", "chrome-extension://" + strings.Repeat("p", 32), false},
		{"a page", "https://evil.example", false}, {"null", "null", false}, {"nobody", "", false},
		{"a longer id", origin + "a", false}, {"in capitals", strings.ToUpper(origin), false}, {"ourselves", r.url, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, a := range []ask{
				{method: "OPTIONS", path: "/v1/calls", header: map[string]string{"Access-Control-Request-Method": "POST"}},
				{method: "GET", path: "/v1/me", token: anna.Access}, {method: "GET", path: "/v1/me"}, {method: "GET", path: "/nothing"},
			} {
				if a.header == nil {
					a.header = map[string]string{}
				}
				a.header["Origin"] = tt.origin
				got := r.do(a)
				allow := got.header.Values("Access-Control-Allow-Origin")
				if tt.allowed != (len(allow) == 1 && allow[0] == tt.origin) || !tt.allowed && len(allow) > 0 {
					t.Errorf("%s %s: %q", a.method, a.path, allow)
				}
				if got.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are allowed")
				}
				if tt.allowed && (got.header.Get("Vary") == "" || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "X-Request-Id")) {
					t.Errorf("%s %s: %v", a.method, a.path, got.header)
				}
				if a.method == "OPTIONS" && tt.allowed && (got.status != 204 || !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")) {
					t.Errorf("preflight %d %v", got.status, got.header)
				}
			}
		})
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	r, _ := up(t, options{deaf: true})
	got := r.do(ask{method: "GET", path: "/openapi.json"}).ok(t, 200)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	check(t, json.Unmarshal(got.body, &doc))
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %q", doc.OpenAPI)
	}
	if codes := doc.Components.Schemas["Problem"].Properties["code"].Enum; !slices.Equal(codes, web.Codes()) {
		t.Errorf("codes %v", codes)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			for status, response := range op.Responses {
				if _, ok := response.Content["application/problem+json"]; status >= "400" && !ok && path != "/readyz" {
					t.Errorf("%s %s %s is no problem: %v", method, path, status, response.Content)
				}
			}
		}
	}
	if _, ok := doc.Paths["/v1/calls"]["post"].Responses["201"]; !ok {
		t.Error("POST /v1/calls gives no 201")
	}
	if b := got.body; strings.Contains(string(b), "$schema") {
		t.Error("$schema in the document")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ready := func(t *testing.T, r *replica, status int) api.Readiness {
		t.Helper()
		return read[api.Readiness](t, r.do(ask{method: "GET", path: "/readyz"}).ok(t, status))
	}
	down := func(got api.Readiness) (names []string) {
		for _, d := range got.Dependencies {
			if !d.OK {
				names = append(names, d.Name)
			}
		}
		return names
	}
	b := setup(t)
	postgres, redis := testdb.NewLine(t, b.dbURL), testdb.NewLine(t, b.redisURL)
	r := b.start(t, options{dbURL: postgres.URL, redisURL: redis.URL})
	deaf := b.start(t, options{deaf: true})
	if got := ready(t, r, 200); !got.Ready || len(down(got)) > 0 {
		t.Errorf("at first: %+v", got)
	}
	if got := ready(t, deaf, 200); !slices.Equal(down(got), []string{"pbx"}) {
		t.Errorf("PBX down: %+v", got)
	}
	redis.Cut()
	if got := ready(t, r, 200); !slices.Equal(down(got), []string{"redis"}) {
		t.Errorf("Redis down: %+v", got)
	}
	redis.Mend()
	postgres.Cut()
	if got := ready(t, r, 503); got.Ready || !slices.Equal(down(got), []string{"postgres"}) {
		t.Errorf("Postgres down: %+v", got)
	}
	r.do(ask{method: "GET", path: "/healthz"}).ok(t, 200)
	postgres.Mend()
	eventually(t, "ready again", func() bool { return r.do(ask{method: "GET", path: "/readyz"}).status == 200 })
}

func TestOutages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	postgres, redis := testdb.NewLine(t, b.dbURL), testdb.NewLine(t, b.redisURL)
	r := b.start(t, options{dbURL: postgres.URL, redisURL: redis.URL})
	redis.Cut()
	c := r.dial(anna, map[string]any{"number": number})
	r.finished(anna, c.ID)
	r.page(anna, "")
	redis.Mend()
	postgres.Cut()
	for _, name := range []string{"POST /v1/calls", "GET /v1/history", "GET /v1/me", "POST /v1/numbers/check"} {
		r.do(routes[name].ask(name, "", anna.Access)).problem(t, 503, "postgres-unavailable")
	}
	postgres.Mend()
	eventually(t, "Postgres is back", func() bool { return r.do(ask{method: "GET", path: "/v1/me", token: anna.Access}).status == 200 })
	if n := r.count(t, "ctd_follow", "calls"); n != 1 {
		t.Errorf("%d calls", n)
	}
	deaf := b.start(t, options{deaf: true})
	deaf.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "deaf", body: map[string]any{"number": number}}).problem(t, 503, "pbx-unavailable")
	deaf.page(anna, "")
	if n := r.count(t, "ctd_follow", "calls"); n != 1 {
		t.Errorf("%d calls", n)
	}
}
