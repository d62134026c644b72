package cli_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"clicktodial/server/testdb"
)

// on is the shell on another database.
func (s *shell) on(url string) *shell {
	c := s.with("DATABASE_URL", url)
	c.url = url
	return c
}

// post asks the API for something to be done, and wants the status.
func post(t *testing.T, address, access, key, body string, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + access, "Content-Type": "application/json", "Idempotency-Key": key} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close() //nolint:errcheck // the status says it
	if res.StatusCode != want {
		t.Fatalf("%s: %d", req.URL.Path, res.StatusCode)
	}
}

// click places a call and waits until it has ended.
func click(t *testing.T, base, access, key, number string) {
	t.Helper()
	post(t, base+"/v1/calls", access, key, `{"number":"`+number+`"}`, http.StatusCreated)
	eventually(t, "the call ends", func() bool {
		_, body := get(t, base+"/v1/history", access)
		return strings.Contains(body, `"items"`) && !strings.Contains(body, `"endedAt":null`)
	})
}

// asOwner reads past row-level security, which a transaction of its own lifts.
func (s *shell) asOwner(table, query string) (value string) {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // over
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the plan
	if _, err := tx.Exec("ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY"); err != nil {
		s.t.Fatal(err)
	}
	if err := tx.QueryRow(query).Scan(&value); err != nil {
		s.t.Fatal(err)
	}
	return value
}

// Dump; revoke and erase; restore: the service does not open before restore-check.
// After it the sign-in is dead, the person is gone, and their objection stands.
func TestRestore(t *testing.T) {
	t.Parallel()
	const person, somebody = "+31201234567", "+31201234568"
	s := setup(t)
	s = s.with("ERASURE_LEDGER", filepath.Join(t.TempDir(), "ledger"))
	tenant := s.seed()
	pair := func(base string) string {
		return signIn(t, base, text(s.run("user", "pair", "anna@demo.test", "--json").object()["code"]))
	}
	p, base := s.serve()
	lost, held := pair(base), pair(base)
	click(t, base, lost, "click-1", person)
	click(t, base, lost, "click-2", somebody)
	p.stop()
	if code := p.wait(); code != 0 {
		t.Fatalf("exit %d: %s", code, p.errOut.String())
	}
	dump := testdb.Clone(t, s.url)

	p, base = s.serve()
	young := pair(base)
	for _, access := range []string{lost, held, young} { // Redis knows them
		if got := status(t, base, access); got != 200 {
			t.Fatalf("before: %d", got)
		}
	}
	which := s.look("ctd_auth", "SELECT id::text FROM grants ORDER BY created_at, id LIMIT 1")
	s.run("token", "revoke", "--id", which).ok()
	if got := s.run("privacy", "erase", "--tenant", tenant, "--number", person, "--json").object(); text(got["records"]) != "1" {
		t.Fatalf("erased: %v", got)
	}
	admin := signIn(t, base, text(s.run("user", "pair", "admin@demo.test", "--json").object()["code"]))
	post(t, base+"/v1/admin/privacy/object", admin, "", `{"number":"`+person+`"}`, http.StatusOK)
	eventually(t, "the ledger has it all", func() bool { return len(s.ledger()) == 3 })
	if got := status(t, base, lost); got != 401 {
		t.Fatalf("after the revocation: %d", got)
	}
	p.stop()
	p.wait()
	for _, line := range s.ledger() {
		if strings.Contains(line, "1234567") || strings.Contains(line, which) {
			t.Errorf("the ledger says whom: %s", line)
		}
	}

	// The database is lost; the dump is what there is, and a Redis that knows more.
	r := s.on(dump)
	counted := func(number string) string {
		return r.asOwner("calls", "SELECT count(*)::text FROM calls WHERE number = '"+number+"'")
	}
	r.start("serve", "--json").refuses("database-restored")
	r.run("token", "revoke", "--tenant", tenant).ok() // whatever is counted meanwhile
	r.start("serve").refuses("database-restored")
	if counted(person) != "1" {
		t.Fatal("the dump proves nothing")
	}
	got := r.run("restore-check", "--json").object()
	if got["erased"] != 1.0 || got["objections"] != 1.0 || got["ledgerEntries"] != 2.0 {
		t.Errorf("%v", got)
	}
	if out := r.run("restore-check").ok().out; !strings.Contains(out, "0 sign-ins ended, 0 sessions closed\n2 entries of the ledger: 0 records erased again, 1 objections and 0 restrictions stand\n") {
		t.Errorf("again: %q", out)
	}
	p, base = r.serve()
	for name, access := range map[string]string{"revoked before": lost, "alive before": held, "made after the dump": young} {
		if got := status(t, base, access); got != 401 {
			t.Errorf("a sign-in %s: %d", name, got)
		}
	}
	if counted(person) != "0" || counted(somebody) != "1" {
		t.Errorf("%s calls to whom was erased, %s to somebody else", counted(person), counted(somebody))
	}
	if got := r.asOwner("do_not_dial", "SELECT count(*)::text FROM do_not_dial"); got != "1" {
		t.Errorf("%s objections", got)
	}
	if got := status(t, base, signIn(t, base, text(r.run("user", "pair", "anna@demo.test", "--json").object()["code"]))); got != 200 {
		t.Errorf("a new sign-in: %d", got)
	}
	p.stop()
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, p.errOut.String())
	}
	// The dump knows nothing of the erasure's evidence; both checks are in it, and
	// what they erased.
	chain := r.run("purge", "verify", "--json").object()
	if chain["ok"] != true || text(chain["restores"]) != "2" || text(chain["erasures"]) != "0" || text(chain["calls"]) != "1" {
		t.Errorf("the chain: %v", chain)
	}
	if chain := s.run("purge", "verify", "--json").object(); text(chain["erasures"]) != "1" || text(chain["calls"]) != "1" {
		t.Errorf("the chain of the lost database: %v", chain)
	}
}

// refuses waits for the end of a server that does not open.
func (p *process) refuses(code string) {
	p.t.Helper()
	if exit := p.wait(); exit != 1 || p.listening() != "" || !strings.Contains(p.errOut.String(), code) {
		p.t.Errorf("exit %d, want %s: %s", exit, code, p.errOut.String())
	}
}

// ledger reads the file's lines.
func (s *shell) ledger() (lines []string) {
	s.t.Helper()
	body, err := os.ReadFile(s.env["ERASURE_LEDGER"])
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		lines = append(lines, line)
	}
	return lines
}

// Killed at any moment between a revocation and its line, a server leaves the
// line to the next.
func TestLedgerSurvivesKill(t *testing.T) {
	t.Parallel()
	s := setup(t)
	path := filepath.Join(t.TempDir(), "ledger")
	tenant := s.seed()
	const rounds = 3
	for range rounds {
		p := s.with("ERASURE_LEDGER", path).start("serve")
		eventually(t, "it serves", func() bool { return p.listening() != "" || len(p.ended) > 0 })
		s.run("token", "revoke", "--tenant", tenant).ok() // without the ledger: serve writes it
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		p.wait()
	}
	l := s.with("ERASURE_LEDGER", path)
	p, _ := l.serve()
	eventually(t, "all lines are there", func() bool {
		seen := map[string]bool{}
		for _, line := range l.ledger() {
			seen[line] = true
		}
		return len(seen) == rounds && s.look("ctd_operator", "SELECT count(*)::text FROM ledger_outbox") == "0"
	})
	p.stop()
	p.wait()
}

// A ledger that cannot be written stops nobody, and shows.
func TestLedgerUnwritable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	s = s.with("ERASURE_LEDGER", filepath.Join(t.TempDir(), "missing", "ledger"))
	p, base := s.serve()
	s.run("token", "revoke", "--tenant", tenant).ok()
	eventually(t, "it is told", func() bool {
		code, body := get(t, base+"/readyz", "")
		return code == 200 && strings.Contains(body, `"ledger"`) && strings.Contains(body, "cannot be written")
	})
	p.stop()
	if code := p.wait(); code != 0 || !strings.Contains(p.errOut.String(), "the ledger is not written") {
		t.Errorf("exit %d: %s", code, p.errOut.String())
	}
	if got := s.look("ctd_operator", "SELECT count(*)::text FROM ledger_outbox"); got != "1" {
		t.Errorf("%s lines wait", got)
	}
}

func TestNoLedgerIsTold(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if r := s.run("config", "print").ok(); !strings.Contains(r.err, "ERASURE_LEDGER is not set") {
		t.Errorf("config print: %q", r.err)
	}
	if r := s.with("ERASURE_LEDGER", "/somewhere").run("config", "print").ok(); r.err != "" {
		t.Errorf("config print: %q", r.err)
	}
	p, base := s.serve()
	if code, body := get(t, base+"/readyz", ""); code == 200 && strings.Contains(body, "ledger") {
		t.Errorf("%s", body)
	}
	p.stop()
	if p.wait(); !strings.Contains(p.errOut.String(), "ERASURE_LEDGER is not set") {
		t.Errorf("%s", p.errOut.String())
	}
	s.run("restore-check").usage()
}

// Without Redis, restore-check says what is left to do; with one that is away, it
// is not through.
func TestRestoreCheckAndRedis(t *testing.T) {
	t.Parallel()
	s := setup(t).with("ERASURE_LEDGER", filepath.Join(t.TempDir(), "ledger"))
	s.seed()
	if r := s.with("REDIS_URL", "").run("restore-check").ok(); !strings.Contains(r.err, "empty that Redis") {
		t.Errorf("%q", r.err)
	}
	if r := s.with("REDIS_URL", "redis://"+freeAddress(t)).run("restore-check"); r.code != 1 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	s.start("serve").refuses("database-restored")
	s.run("restore-check").ok()
}
