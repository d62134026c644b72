package cli_test

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/google/uuid"

	"clicktodial/server/testdb"
)

func (p *process) stop() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// setupLike is the shell with Redis and PBX again.
func setupLike(s *shell) *shell {
	return s.with("REDIS_URL", testdb.RedisURL(s.t), "PBX_URL", "practice://?ring=20ms&callee=20ms&talk=20ms&unanswered=20ms")
}

func signIn(t *testing.T, base, code string) (access string) {
	t.Helper()
	res, err := http.PostForm(base+"/oauth/token", url.Values{ //nolint:noctx // a test's own server
		"grant_type": {"urn:clicktodial:pairing-code"}, "code": {code}, "client_id": {"extension"}, "device_name": {"Test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&tokens); err != nil || tokens.AccessToken == "" {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	return tokens.AccessToken
}

func get(t *testing.T, address, access string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func status(t *testing.T, base, access string) int {
	t.Helper()
	code, _ := get(t, base+"/v1/me", access)
	return code
}

func TestServeAndStop(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.seed()
	s = s.with("METRICS_LISTEN", freeAddress(t))
	one, first := s.serve()
	two, second := s.with("METRICS_LISTEN", "127.0.0.1:0").serve()
	access := signIn(t, first, text(s.run("user", "pair", "anna@demo.test", "--json").object()["code"]))
	for _, base := range []string{first, second} {
		eventually(t, "ready", func() bool {
			code, body := get(t, base+"/readyz", "")
			return code == 200 && !strings.Contains(body, `"ok":false`)
		})
		if got := status(t, base, access); got != 200 {
			t.Errorf("me: %d", got)
		}
		if code, _ := get(t, base+"/metrics", ""); code != 404 {
			t.Errorf("metrics on the public side: %d", code)
		}
		if code, body := get(t, base+"/demo", ""); code != 200 || !strings.Contains(body, "tel:") {
			t.Errorf("demo: %d", code)
		}
	}
	if code, body := get(t, "http://"+s.env["METRICS_LISTEN"]+"/metrics", ""); code != 200 || !strings.Contains(body, "ctd_pbx_up 1") ||
		!strings.Contains(body, `route="/v1/me"`) || strings.Contains(body, access) {
		t.Errorf("metrics: %d %s", code, body)
	}
	conn, _, err := fastws.DefaultDialer.Dial("ws"+strings.TrimPrefix(first, "http")+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // over
	began := time.Now()
	one.stop()
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !fastws.IsCloseError(err, fastws.CloseGoingAway) {
		t.Errorf("the socket ends with %v", err)
	}
	if code := one.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, one.errOut.String())
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := status(t, second, access); got != 200 {
		t.Errorf("the other: %d", got)
	}
	two.cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // it lives
	if code := two.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, two.errOut.String())
	}
	for _, p := range []*process{one, two} {
		for _, secret := range []string{access, s.env["SECRET_KEY"], s.env["DATABASE_URL"], "anna@", "Anna"} {
			if strings.Contains(p.errOut.String(), secret) {
				t.Errorf("the log tells %q", secret)
			}
		}
	}
}

func TestServeRefusesAnOldDatabase(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.with("DATABASE_URL", testdb.EmptyURL(t)).run("serve", "--json").lastly(t, "schema-outdated")
	s.with("LISTEN", taken(t)).run("serve").lastly(t, "listen-failed")
	s.with("METRICS_LISTEN", taken(t)).run("serve", "--json").lastly(t, "listen-failed")
}

func TestServeRefusesALoginThatInherits(t *testing.T) {
	t.Parallel()
	s := setup(t)
	db, err := sql.Open("pgx", s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test is over
	name := "ctd_test_login_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	password := uuid.NewString()
	if _, err := db.Exec("CREATE ROLE " + name + " LOGIN INHERIT PASSWORD '" + password + "'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db, err := sql.Open("pgx", s.url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // over
		if _, err := db.Exec("DROP ROLE " + name); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	r := s.with("DATABASE_URL", u.String()).run("serve", "--json")
	r.lastly(t, "login-role-unsafe")
	if strings.Contains(r.err, password) {
		t.Error("the password is told")
	}
}

// lastly is problem for commands that log to standard error before.
func (r result) lastly(t *testing.T, code string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	if r.code != 1 || !strings.Contains(lines[len(lines)-1], code) {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	t.Run("follow", func(t *testing.T) {
		out := s.with("PBX_URL", "practice://?ring=400ms&callee=400ms&talk=400ms").run("dial", "020 123 4567", "--user", "anna@demo.test", "--follow").ok().out
		at := -1
		for _, state := range []string{"initiating", "callingCaller", "callingCallee", "connected", "disconnected  hangUp  The call has ended."} {
			i := strings.Index(out, state)
			if i < 0 && state == "initiating" {
				continue // it may be over before the first look
			}
			if i <= at {
				t.Errorf("%s is missing or late: %s", state, out)
			}
			at = i
		}
		if strings.Contains(out, "4567") {
			t.Errorf("the number: %s", out)
		}
	})
	t.Run("json", func(t *testing.T) {
		got := s.run("dial", "0201231111", "--user", "anna@demo.test", "--follow", "--json").object()
		if got["number"] != "+31 20 123 1***" || got["status"] != "disconnected" || got["reason"] != "calleeBusy" || got["diagnosis"] != "number-busy" || got["sentence"] == "" {
			t.Errorf("%v", got)
		}
	})
	t.Run("reveal", func(t *testing.T) {
		got := s.run("dial", "0201234567", "--user", "anna@demo.test", "--follow", "--json", "--device", "Desk", "--reveal", "ticket 7").object()
		if got["number"] != "+31201234567" || s.look("ctd_operator", "SELECT reason FROM audit WHERE action = 'reveal'") != "ticket 7" {
			t.Errorf("%v", got)
		}
	})
	for code, args := range map[string][]string{
		"emergency-number": {"112", "--user", "anna@demo.test"}, "number-invalid": {"hello", "--user", "anna@demo.test"},
		"user-unknown": {"0201234567", "--user", "nobody@demo.test"}, "device-unknown": {"0201234567", "--user", "anna@demo.test", "--device", "Other"},
		"pbx-unavailable": {"0201234444", "--user", "anna@demo.test"}, "no-device": {"0201234567", "--user", "admin@demo.test"},
	} {
		t.Run(code, func(t *testing.T) { s.run(append([]string{"dial"}, args...)...).lastly(t, code) })
	}
	t.Run("nobody serves", func(t *testing.T) {
		out := s.with("PBX_URL", "practice://?ring=1h").run("dial", "0201234567", "--user", "anna@demo.test").ok().out
		if !strings.Contains(out, "No `serve` is running") || strings.Contains(out, "4567") {
			t.Errorf("%q", out)
		}
		if got := s.with("PBX_URL", "practice://?ring=1h").run("dial", "0201234567", "--user", "anna@demo.test", "--json").object(); got["followed"] != false {
			t.Errorf("%v", got)
		}
	})
	t.Run("a serve adopts it, and cannot find it at its own practice exchange", func(t *testing.T) {
		p, _ := s.serve()
		defer p.wait()
		defer p.stop()
		left := func(what string) string {
			return s.look("ctd_follow", "SELECT count(*)::text FROM calls WHERE rank < 4 AND tenant_id = $1"+what, tenant)
		}
		eventually(t, "the two of before are ended", func() bool { return left("") == "0" })
		got := s.with("PBX_URL", "practice://?ring=1h").run("dial", "0201234567", "--user", "anna@demo.test", "--json").object()
		if got["followed"] != true {
			t.Errorf("%v", got)
		}
		eventually(t, "it is ended", func() bool { return left("") == "0" })
		if d := s.look("ctd_follow", "SELECT status||' '||diagnosis FROM calls WHERE id = $1", got["id"]); d != "failed lost-track" {
			t.Errorf("it ended as %q", d)
		}
	})
	t.Run("0 days", func(t *testing.T) {
		s.run("tenant", "set", tenant, "--days", "0").ok()
		if got := s.run("dial", "0201234567", "--user", "anna@demo.test", "--follow", "--json").object(); got["status"] != "disconnected" || got["reason"] != "hangUp" {
			t.Errorf("%v", got)
		}
	})
	t.Run("an interrupt hangs up", func(t *testing.T) {
		p := s.with("PBX_URL", "practice://?ring=1h").start("dial", "0201234567", "--user", "anna@demo.test", "--follow")
		eventually(t, "it rings", func() bool { return strings.Contains(p.out.String(), "callingCaller") })
		_ = p.cmd.Process.Signal(syscall.SIGINT)
		if code := p.wait(); code != 0 || !strings.Contains(p.out.String(), "disconnected") {
			t.Errorf("exit %d: %s %s", code, p.out.String(), p.errOut.String())
		}
	})
}
