package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/testdb"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	for _, args := range [][]string{
		{}, {"nothing"}, {"tenant"}, {"serve", "--no-such-flag"}, {"dial"}, {"dial", "0201234567"},
		{"tenant", "create", "--name", "X"}, {"tenant", "create", "--name", "X", "--admin", "no mail"},
		{"tenant", "create", "--name", "X", "--admin", "Anna <anna@x.test>"},
		{"tenant", "create", "--name", "", "--admin", "a@x.test"}, {"tenant", "create", "--name", "a\nb", "--admin", "a@x.test"},
		{"tenant", "create", "--name", strings.Repeat("x", 201), "--admin", "a@x.test"},
		{"tenant", "create", "--name", "X", "--admin", "a@x.test", "--days", "366"}, {"tenant", "create", "--name", "X", "--admin", "a@x.test", "--days", "-1"},
		{"tenant", "create", "--name", "X", "--admin", "a@x.test", "--region", "NLD"}, {"tenant", "create", "--name", "X", "--admin", "a@x.test", "--caller-ids", "101"},
		{"tenant", "create", "--name", "X", "--admin", "a@x.test", "--pbx", "sip://c4n4ry@x"},
		{"tenant", "set", "no-id"}, {"tenant", "set", tenant, "--days", "1000"}, {"tenant", "end", "no-id"},
		{"user", "create", "--email", "b@x.test"}, {"user", "create", "--email", "b@x.test", "--tenant", "no-id"},
		{"user", "create", "--email", "b@x.test", "--role", "support", "--tenant", tenant}, {"user", "create", "--email", "b@x.test", "--role", "boss", "--tenant", tenant},
		{"user", "create", "--email", "b", "--tenant", tenant}, {"user", "create", "--email", "b@[192.0.2.1]", "--tenant", tenant}, {"user", "pair"}, {"user", "password"},
		{"device", "add", "--user", "anna@demo.test", "--label", "", "--endpoint", "101"},
		{"device", "add", "--user", "anna@demo.test", "--label", "X", "--endpoint", "101&PJSIP/104"},
		{"device", "add", "--user", "anna@demo.test", "--label", "X", "--endpoint", "103", "--caller-id", "101"},
		{"token", "revoke"}, {"token", "revoke", "--id", "no-id"}, {"token", "revoke", "--user", "anna@demo.test", "--tenant", tenant},
		{"token", "revoke", "--user", "anna@demo.test", "--reason", strings.Repeat("x", 201)},
		{"number", "check", "0201234567"}, {"number", "check", "0201234567", "--tenant", "no-id"},
		{"number", "check", "0201234567", "--tenant", tenant, "--reveal", strings.Repeat("x", 201)},
		{"dial", "0201234567", "--user", "no mail"}, {"dial", "0201234567", "--user", "anna@demo.test", "--reveal", "a\nb"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			for _, more := range [][]string{nil, {"--json"}} {
				r := s.run(append(slices.Clone(args), more...)...)
				r.t = t
				r.usage()
				if strings.Contains(r.err, "c4n4ry") {
					t.Errorf("a secret is repeated: %s", r.err)
				}
			}
		})
	}
	if r := s.run("--help"); r.code != 0 || !strings.Contains(r.out, "serve") {
		t.Errorf("--help: %d %q", r.code, r.out)
	}
}

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := s.with("LISTEN", "c4n4ry", "HISTORY_MAX_AGE", "9999h", "SECRET_KEY", "c4n4ry").run("serve")
	r.usage()
	for _, name := range []string{"LISTEN", "HISTORY_MAX_AGE", "SECRET_KEY"} {
		if !strings.Contains(r.err, name) {
			t.Errorf("%s is not told of: %s", name, r.err)
		}
	}
	r = (&shell{t: t}).run("serve")
	r.usage()
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "PBX_URL", "SECRET_KEY"} {
		if !strings.Contains(r.err, name) {
			t.Errorf("%s is not told of: %s", name, r.err)
		}
	}
	for name, bad := range map[string]string{"PBX_URL": "practice://?ring=c4n4ry", "DATABASE_URL": "postgres://c4n4ry@h:99999/x", "REDIS_URL": "redis://c4n4ry@h/nodb"} {
		r := s.with(name, bad).run("serve")
		r.usage()
		if !strings.Contains(r.err, name) || strings.Contains(r.err, "c4n4ry") {
			t.Errorf("%s: %s", name, r.err)
		}
	}
	s.with("PUBLIC_URL", "https://dial.example").run("serve").usage()
	s.with("PUBLIC_URL", "https://dial.example", "PBX_URL", "ami://u:p@127.0.0.1:1").run("tenant", "create", "--name", "X", "--admin", "a@x.test", "--pbx", "practice://").usage()
}

func TestTenantAndUsers(t *testing.T) {
	t.Parallel()
	s := setup(t).bare() // none of this needs Redis, a PBX or a key
	made := s.run("tenant", "create", "--name", "Acme", "--admin", "Boss@Acme.test", "--region", "de", "--days", "30", "--endpoints", "acme-*,2??",
		"--caller-ids", "+31201112233,030 901820", "--json").object()
	tenant, admin := text(made["tenantId"]), text(made["adminId"])
	link, _ := made["invitation"].(string)
	if uuid.Validate(tenant) != nil || uuid.Validate(admin) != nil || !strings.Contains(link, "/console/link?code=") || len(made) != 3 {
		t.Errorf("%v", made)
	}
	row := func(column string) string {
		return s.look("ctd_operator", "SELECT "+column+"::text FROM tenants WHERE id = $1", tenant)
	}
	if got := row("region") + row("retention_days") + row("endpoint_globs") + row("caller_ids"); got != "DE30{acme-*,2??}{+31201112233,+4930901820}" {
		t.Errorf("stored %s", got)
	}
	if got := s.look("ctd_operator", "SELECT email||role FROM users WHERE id = $1", admin); got != "boss@acme.testadmin" {
		t.Errorf("admin %s", got)
	}
	for _, json := range [][]string{nil, {"--json"}} {
		run := func(args ...string) result { return s.run(append(args, json...)...) }
		run("tenant", "create", "--name", "B", "--admin", "BOSS@acme.test").problem("email-taken")
		run("tenant", "create", "--name", "B", "--admin", "b@b.test", "--endpoints", "a b").problem("endpoints-malformed")
		run("tenant", "create", "--name", "B", "--admin", "b@b.test", "--caller-ids", "hello").problem("number-invalid")
		run("tenant", "set", uuid.NewString(), "--days", "7").problem("not-found")
		run("tenant", "set", tenant).problem("nothing-to-change")
		run("tenant", "end", uuid.NewString()).problem("not-found")
		run("user", "create", "--tenant", uuid.NewString(), "--email", "c@acme.test").problem("tenant-unknown")
		run("user", "create", "--tenant", tenant, "--email", "boss@acme.test").problem("email-taken")
		run("user", "create", "--tenant", tenant, "--email", "c@acme.test", "--name", "a\x00b").problem("name-invalid")
		run("device", "add", "--user", "nobody@acme.test", "--label", "X", "--endpoint", "201").problem("user-unknown")
		run("device", "add", "--user", "boss@acme.test", "--label", "X", "--endpoint", "301").problem("device-not-allowed")
		run("device", "add", "--user", "boss@acme.test", "--label", "X", "--endpoint", "201", "--caller-id", "+31209999999").problem("device-not-allowed")
		run("token", "list", "--user", "nobody@acme.test").problem("user-unknown")
		run("token", "revoke", "--user", "nobody@acme.test").problem("user-unknown")
		s.typing("short", append([]string{"user", "password", "--email", "boss@acme.test"}, json...)...).problem("password-weak")
		s.typing("long enough, surely", append([]string{"user", "password", "--email", "nobody@acme.test"}, json...)...).problem("user-unknown")
	}
	s.run("tenant", "set", tenant, "--name", "Acme 2", "--days", "0", "--region", "nl", "--endpoints", "*", "--caller-ids", "").ok()
	if got := row("name") + row("region") + row("retention_days") + row("endpoint_globs") + row("caller_ids"); got != "Acme 2NL0{*}{}" {
		t.Errorf("changed to %s", got)
	}
	user := text(s.run("user", "create", "--tenant", tenant, "--email", "c@acme.test", "--name", "Carl", "--role", "user", "--json").object()["userId"])
	s.run("user", "create", "--role", "support", "--email", "help@provider.test").ok()
	device := s.run("device", "add", "--user", "c@acme.test", "--label", "Desk", "--endpoint", "301", "--withheld", "--json").object()
	if uuid.Validate(user) != nil || uuid.Validate(text(device["deviceId"])) != nil {
		t.Errorf("%v %v", user, device)
	}
	s.run("device", "add", "--user", "c@acme.test", "--label", "Desk", "--endpoint", "302").problem("label-taken")
	s.run("device", "add", "--user", "help@provider.test", "--label", "Desk", "--endpoint", "302").usage()
	s.typing("a long password\n", "user", "password", "--email", "C@acme.test").ok()
	if got := s.look("ctd_auth", "SELECT password_hash FROM users WHERE id = $1", user); !strings.HasPrefix(got, "$argon2id$") {
		t.Errorf("password %q", got)
	}
	if got := s.run("tenant", "end", tenant, "--json").object(); got["status"] != "ended" || got["tenantId"] != tenant {
		t.Errorf("%v", got)
	}
	s.run("tenant", "end", tenant).problem("not-found")
	for _, act := range []string{"tenant-create", "tenant-set", "tenant-end", "user-create", "device-add", "password-set"} {
		if s.look("ctd_operator", "SELECT count(*)::text FROM audit WHERE action = $1 AND actor_kind = 'operator'", act) == "0" {
			t.Errorf("%s is not audited", act)
		}
	}
}

func TestSignIns(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	s = s.with("REDIS_URL", "", "PBX_URL", "")
	pair := s.run("user", "pair", "Anna@demo.test", "--json").object()
	at, err := time.Parse(time.RFC3339, text(pair["expiresAt"]))
	if len(text(pair["code"])) != 8 || len(pair) != 2 || err != nil || time.Until(at) > 5*time.Minute || time.Until(at) < 4*time.Minute {
		t.Errorf("%v", pair)
	}
	if human := s.run("user", "pair", "anna@demo.test").ok(); len(strings.Fields(human.out)[0]) != 8 {
		t.Errorf("%q", human.out)
	}
	s.run("user", "pair", "nobody@demo.test", "--json").problem("user-unknown")
	s.with("SECRET_KEY", "").run("user", "pair", "anna@demo.test").usage()

	full := setupLike(s)
	served, url := full.serve()
	defer served.wait()
	defer served.stop()
	access := signIn(t, url, text(pair["code"]))
	if got := status(t, url, access); got != 200 {
		t.Fatalf("me: %d", got)
	}
	list := s.run("token", "list", "--user", "anna@demo.test", "--json").object()
	items, _ := list["items"].([]any)
	if len(items) != 1 || len(list) != 1 {
		t.Fatalf("%v", list)
	}
	item, _ := items[0].(map[string]any)
	if item["deviceName"] != "Test" || item["revokedAt"] != nil || len(text(item["supportCode"])) != 6 {
		t.Errorf("%v", item)
	}
	if got := s.run("token", "revoke", "--id", text(item["id"]), "--json").object(); got["revoked"] != 1.0 {
		t.Errorf("%v", got)
	}
	if got := status(t, url, access); got != 401 {
		t.Errorf("revoked, and yet %d", got)
	}
	if got := s.run("token", "list", "--user", "anna@demo.test").ok(); !strings.Contains(got.out, "revoked") {
		t.Errorf("%q", got.out)
	}
	for _, which := range [][]string{{"--user", "anna@demo.test"}, {"--tenant", tenant}} {
		code := text(s.run("user", "pair", "anna@demo.test", "--json").object()["code"])
		access := signIn(t, url, code)
		if got := s.run(append([]string{"token", "revoke", "--json"}, which...)...).object(); got["revoked"] != 1.0 {
			t.Errorf("%v", got)
		}
		if got := status(t, url, access); got != 401 {
			t.Errorf("%v: revoked, and yet %d", which, got)
		}
	}
	if s.look("ctd_operator", "SELECT count(*)::text FROM audit WHERE action IN ('sign-in-revoke','pairing-code-create')") == "0" {
		t.Error("not audited")
	}
}

func TestNumberCheckAndReveal(t *testing.T) {
	t.Parallel()
	full := setup(t)
	tenant := full.seed()
	s := full.bare()
	got := s.run("number", "check", "020 123 4567", "--tenant", tenant, "--json").object()
	if got["number"] != "+31 20 123 4***" || got["class"] != "fixed" || got["verdict"] != "allowed" || got["region"] != "NL" {
		t.Errorf("%v", got)
	}
	if out := s.run("number", "check", "020 123 4567", "--tenant", tenant).ok().out; strings.Contains(out, "4567") || !strings.Contains(out, "allowed") {
		t.Errorf("%q", out)
	}
	if got := s.run("number", "check", "112", "--tenant", tenant, "--json").object(); got["verdict"] != "denied" || got["code"] != "emergency-number" || got["sentence"] == "" {
		t.Errorf("%v", got)
	}
	s.run("number", "check", "hello", "--tenant", tenant, "--json").problem("number-invalid")
	s.run("number", "check", "112", "--tenant", uuid.NewString(), "--json").problem("not-found")
	audited := func() string {
		return s.look("ctd_operator", "SELECT count(*)::text FROM audit WHERE action = 'number-reveal'")
	}
	if audited() != "0" {
		t.Error("audited without a reveal")
	}
	if got := s.run("number", "check", "020 123 4567", "--tenant", tenant, "--reveal", "ticket 7", "--json").object(); got["number"] != "+31201234567" {
		t.Errorf("%v", got)
	}
	if audited() != "1" || s.look("ctd_operator", "SELECT reason FROM audit WHERE action = 'number-reveal'") != "ticket 7" {
		t.Error("not audited")
	}
}

func TestPBXCheck(t *testing.T) {
	t.Parallel()
	s := (&shell{t: t}).with("PBX_URL", "practice://")
	got := s.run("pbx", "check", "--number", "0201231111", "--json").object()
	if got["ok"] != true || got["kind"] != "practice" || !strings.Contains(text(got["findings"]), "busy") {
		t.Errorf("%v", got)
	}
	if out := s.run("pbx", "check").ok().out; !strings.Contains(out, "rings nothing") {
		t.Errorf("%q", out)
	}
	s.run("pbx", "check", "--number", "hello").problem("number-invalid")
	r := s.with("PBX_URL", "ami://user:c4n4ry@127.0.0.1:1").run("pbx", "check", "--json")
	if r.code != 1 || strings.Contains(r.out+r.err, "c4n4ry") || !strings.Contains(r.out, `"ok":false`) {
		t.Errorf("%d %q %q", r.code, r.out, r.err)
	}
}

func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	url := testdb.EmptyURL(t)
	s := (&shell{t: t, url: url}).with("DATABASE_URL", url)
	first := s.run("migrate", "--json").object()
	if applied, _ := first["applied"].([]any); len(applied) == 0 {
		t.Errorf("%v", first)
	}
	if again, _ := s.run("migrate", "--json").object()["applied"].([]any); again == nil || len(again) != 0 {
		t.Errorf("again: %v", again)
	}
	if out := s.run("migrate").ok().out; !strings.Contains(out, "up to date") {
		t.Errorf("%q", out)
	}
	s.with("DATABASE_URL", "postgres://ctd:c4n4ry@127.0.0.1:1/x").run("migrate", "--json").problem("postgres-unavailable")
	(&shell{t: t}).run("migrate").usage()
}

func TestConfigPrint(t *testing.T) {
	t.Parallel()
	s := (&shell{t: t}).with("DATABASE_URL", "postgres://u:c4n4ry@h/d", "DEMO_PASSWORD", "c4n4ry")
	got := s.run("config", "print", "--json").object()
	if got["DATABASE_URL"] != "postgres://***@h/d" || got["DEMO_PASSWORD"] != "***" || got["HISTORY_MAX_AGE"] == nil {
		t.Errorf("%v", got)
	}
	out := s.run("config", "print").ok().out
	if strings.Contains(out, "c4n4ry") || !strings.Contains(out, "LISTEN=127.0.0.1:8080\n") {
		t.Errorf("%q", out)
	}
}

func TestOpenAPICommand(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal([]byte((&shell{t: t}).run("openapi").ok().out), &doc); err != nil || !strings.HasPrefix(text(doc["openapi"]), "3.1") {
		t.Errorf("%v %v", err, doc["openapi"])
	}
}
