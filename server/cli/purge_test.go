package cli_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPurgeCommand(t *testing.T) {
	t.Parallel()
	full := setup(t)
	full.seed()
	full.with("HISTORY_MAX_AGE", "2s").run("dial", "0201234567", "--user", "anna@demo.test", "--follow").ok()
	s := full.bare()
	if got := s.run("purge", "--once", "--json").object(); text(got["calls"]) != "0" && text(got["calls"]) != "1" {
		t.Errorf("%v", got)
	}
	eventually(t, "it is due", func() bool {
		return s.look("ctd_follow", "SELECT count(*)::text FROM calls WHERE expires_at > clock_timestamp()") == "0"
	})
	if got := s.run("purge", "--dry-run", "--json").object(); text(got["due"]) != "1" {
		t.Errorf("%v", got)
	}
	if got := s.run("purge", "--json").object(); text(got["calls"]) != "1" {
		t.Errorf("%v", got)
	}
	if got := s.run("purge", "--dry-run").ok(); !strings.Contains(got.out, "0 calls are due\n0 refusals") {
		t.Errorf("%q", got.out)
	}
	s.run("purge", "--once", "--dry-run").usage()
	if out := s.run("purge").ok().out; !strings.Contains(out, "deleted 0 calls") {
		t.Errorf("%q", out)
	}
	if n := s.look("ctd_follow", "SELECT count(*)::text FROM calls"); n != "0" {
		t.Errorf("%s calls", n)
	}
}

// owner is a connection that row-level security does not hold, while it lasts.
func (s *shell) owner() *sql.DB {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	for _, table := range []string{"calls", "tenants", "users", "evidence", "leases"} {
		if _, err := db.Exec("ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY"); err != nil {
			s.t.Fatal(err)
		}
	}
	return db
}

func (s *shell) dueCalls(db *sql.DB, n int) {
	s.t.Helper()
	s.calls(db, n, "0")
}

// calls makes n calls that end in some time from now, or up to 1000 seconds earlier.
func (s *shell) calls(db *sql.DB, n int, in string) {
	s.t.Helper()
	if _, err := db.Exec(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
		SELECT gen_random_uuid(), tenant_id, id, '', '+31201234567', '', gen_random_uuid(), gen_random_uuid()::text, now() - interval '100 days',
			date_trunc('milliseconds', now() + $2::interval - i % 1000 * interval '1 second') FROM users, generate_series(1, $1::int) i WHERE email = 'anna@demo.test'`, n, in); err != nil {
		s.t.Fatal(err)
	}
}

// Killed at whatever moment, again and again: what is left is made up for, and the
// evidence is of what was deleted, no more and no less.
func TestPurgeIsKilled(t *testing.T) {
	t.Parallel()
	full := setup(t)
	full.seed()
	db := full.owner()
	const rows = 30_000
	full.dueCalls(db, rows)
	left := func() (n int) {
		if err := db.QueryRow("SELECT count(*) FROM calls").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	kills := 0
	for range 8 {
		before := left()
		p := full.start("purge", "--once", "--json")
		eventually(t, "it deletes", func() bool { return left() < before || before == 0 || len(p.ended) > 0 })
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) //nolint:gosec // any moment will do
		how := syscall.SIGKILL
		if kills%3 == 2 {
			how = syscall.SIGINT
		}
		if p.cmd.Process.Signal(how) == nil {
			kills++
		}
		p.wait()
		if _, err := db.Exec("UPDATE leases SET until = '-infinity' WHERE until > clock_timestamp()"); err != nil { // 3 seconds later
			t.Fatal(err)
		}
	}
	if kills < 3 {
		t.Errorf("only %d were killed: the test proves little", kills)
	}
	full.run("purge").ok()
	chain := full.run("purge", "verify", "--json").object()
	if text(chain["calls"]) != text(float64(rows)) || chain["ok"] != true || left() != 0 {
		t.Errorf("%v, %d are left", chain, left())
	}
}

// What an officer does: verify, keep a head, recompute it with other tools, and
// find out what somebody has changed.
func TestPurgeVerify(t *testing.T) {
	t.Parallel()
	full := setup(t)
	full.seed()
	db := full.owner()
	s := full.bare()
	if out := s.run("purge", "verify").ok().out; !strings.Contains(out, "no entry") {
		t.Errorf("%q", out)
	}
	for range 3 {
		full.dueCalls(db, 2)
		s.run("purge").ok()
	}
	chain := s.run("purge", "verify", "--json").object()
	if chain["ok"] != true || text(chain["entries"]) != "3" || text(chain["runs"]) != "3" || text(chain["calls"]) != "6" || chain["broken"] != nil {
		t.Errorf("%v", chain)
	}
	heads, _ := chain["heads"].([]any)
	if len(heads) == 0 {
		t.Fatalf("%v", chain)
	}
	last, _ := heads[len(heads)-1].(map[string]any)
	head := text(last["hash"])
	if out := s.run("purge", "verify").ok().out; !strings.Contains(out, head) || !strings.Contains(out, "3 entries hold") || !strings.Contains(out, "6 calls") {
		t.Errorf("%q", out)
	}
	s.run("purge", "verify", "--head", head).ok()
	s.run("purge", "verify", "--head", "short").usage()
	if r := s.run("purge", "verify", "--head", strings.Repeat("a", 64)); r.code != 1 || !strings.Contains(r.err, "written down") {
		t.Errorf("%d %q", r.code, r.err)
	}
	lines := strings.Split(strings.TrimSpace(s.run("purge", "verify", "--entries").ok().out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	for _, line := range lines {
		var e struct{ Hash string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if got := recompute(t, line); got != e.Hash {
			t.Errorf("%s: recomputed %s", line, got)
		}
	}
	if _, err := db.Exec("UPDATE evidence SET calls = calls - 1 WHERE n = 2"); err != nil {
		t.Fatal(err)
	}
	r := s.run("purge", "verify")
	if r.code != 1 || !strings.Contains(r.err, "entry 2 was changed") || !strings.Contains(r.out, "1 entries hold") {
		t.Errorf("%d %q %q", r.code, r.out, r.err)
	}
	r = s.run("purge", "verify", "--json")
	if r.code != 1 || !strings.Contains(r.out, `"broken":{"n":2,`) || !strings.Contains(r.out, `"ok":false`) {
		t.Errorf("%d %q", r.code, r.out)
	}
}

// recompute is the recipe that --entries gives, with jq where there is one.
func recompute(t *testing.T, line string) string {
	t.Helper()
	body, _, _ := strings.Cut(line, `,"hash":`)
	canonical := []byte(body + "}")
	if jq, err := exec.LookPath("jq"); err == nil {
		cmd := exec.Command(jq, "-cj", "del(.hash)") //nolint:gosec // as it was found
		cmd.Stdin = strings.NewReader(line)
		out, err := cmd.Output()
		if err != nil || !bytes.Equal(out, canonical) {
			t.Errorf("jq: %q %v", out, err)
		}
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

func TestTenantCertificate(t *testing.T) {
	t.Parallel()
	full := setup(t)
	tenant := full.seed()
	db := full.owner()
	full.calls(db, 3, "1 day")
	s := full.bare()
	s.run("tenant", "certificate", "nonsense").usage()
	s.run("tenant", "certificate", "00000000-0000-0000-0000-000000000001").problem("not-found")
	if r := s.run("tenant", "certificate", tenant); r.code != 1 || !strings.Contains(r.out, "runs") || !strings.Contains(r.err, "not-wiped-yet") {
		t.Errorf("%d %q %q", r.code, r.out, r.err)
	}
	full.run("tenant", "end", tenant).ok()
	s.run("purge").ok()
	r := s.run("tenant", "certificate", tenant)
	if year := time.Now().Add(90 * 24 * time.Hour).UTC().Format("2006-01-02"); r.code != 1 || !strings.Contains(r.out, year) {
		t.Errorf("%d %q %q", r.code, r.out, r.err)
	}
	if r := s.run("tenant", "certificate", tenant, "--json"); r.code != 1 || !strings.Contains(r.out, `"wipeAt":"2`) || !strings.Contains(r.err, "not-wiped-yet") {
		t.Errorf("%d %q %q", r.code, r.out, r.err)
	}
	if got := s.run("purge", "--dry-run", "--json").object(); text(got["contracts"]) != "0" {
		t.Errorf("%v", got)
	}
	if _, err := db.Exec("UPDATE tenants SET wipe_at = now()"); err != nil {
		t.Fatal(err)
	}
	if got := s.run("purge", "--dry-run", "--json").object(); text(got["contracts"]) != "1" {
		t.Errorf("%v", got)
	}
	if got := s.run("purge", "--json").object(); text(got["calls"]) != "3" {
		t.Errorf("%v", got)
	}
	got := s.run("tenant", "certificate", tenant, "--json").object()
	if got["tenantId"] != tenant || got["verified"] != true || text(got["calls"]) != "3" || got["ended"] == nil || got["wiped"] == nil || len(text(got["hash"])) != 64 {
		t.Errorf("%v", got)
	}
	if out := s.run("tenant", "certificate", tenant).ok().out; !strings.Contains(out, "3 calls") || !strings.Contains(out, "holds up to it") {
		t.Errorf("%q", out)
	}
	if chain := s.run("purge", "verify", "--json").object(); text(chain["calls"]) != "3" || text(chain["contracts"]) != "1" {
		t.Errorf("%v", chain)
	}
	var n int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM users) + (SELECT count(*) FROM calls)").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows are left, %v", n, err)
	}
}
