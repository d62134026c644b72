package cli_test

import (
	"database/sql"
	"strconv"
	"strings"
	"testing"
)

// enter makes n ended calls of the tenant's Anna, a minute apart, the newest of an
// hour ago.
func (s *shell) enter(tenant string, n int) {
	s.t.Helper()
	s.inTenant(tenant, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, status, rank, reason, diagnosis, dispatch,
				replica_id, channel_id, created_at, ended_at, expires_at)
			SELECT gen_random_uuid(), u.tenant_id, u.id, 'Desk', '+31201234567', '+31 20 123 4***', 'disconnected', 4, 'hangUp', 'hung-up', 'dispatched',
				gen_random_uuid(), 'test-' || i, at, at, at + interval '90 days' -- timezone UTC: no day is longer than another
			FROM users u, generate_series(1, $1) i, LATERAL (SELECT date_trunc('milliseconds', now()) - i * interval '1 minute' - interval '1 hour' AS at) a
			WHERE u.email = 'anna@demo.test'`, n)
		if err != nil {
			return err
		}
		return tx.Commit()
	})
}

func (s *shell) inTenant(tenant string, fn func(*sql.Tx) error) {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url+"&timezone=UTC")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // one transaction long
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has been committed, or not to be
	if _, err := tx.Exec("SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', $1, true)", tenant); err != nil {
		s.t.Fatal(err)
	}
	if err := fn(tx); err != nil {
		s.t.Fatal(err)
	}
}

// A shortening on the command line is done by whoever serves: killed in the middle,
// it is gone on with. A lowered HISTORY_MAX_AGE is noticed at the next start, a
// raised one touches nothing.
func TestRetentionOfARunningService(t *testing.T) {
	t.Parallel()
	const calls, batch = 2500, 2000
	s := setup(t)
	tenant := s.seed()
	s.enter(tenant, calls)
	got := s.run("tenant", "set", tenant, "--days", "30", "--json").object()
	if got["endsEarlier"] != float64(calls) || got["endsNow"] != float64(0) || got["tenantId"] != tenant {
		t.Errorf("%v", got)
	}
	progress := func(column string) string {
		return s.look("ctd_retention", "SELECT max("+column+"::text) FROM restamps WHERE tenant_id = $1", tenant)
	}
	s.inTenant(tenant, func(tx *sql.Tx) error { // the newest is held by somebody: the second batch waits
		if _, err := tx.Exec("SELECT FROM calls ORDER BY created_at DESC LIMIT 1 FOR UPDATE"); err != nil {
			return err
		}
		one, _ := s.serve()
		eventually(t, "the first batch is done", func() bool { return progress("done") == strconv.Itoa(batch) })
		if err := one.cmd.Process.Kill(); err != nil {
			return err
		}
		<-one.ended
		one.once.Do(func() {})
		return nil
	})
	if got := progress("finished_at"); got != "" {
		t.Fatalf("finished %s", got)
	}
	lives := func(hours int) string {
		return s.look("ctd_follow", "SELECT count(*)::text FROM calls WHERE expires_at = created_at + $1 * interval '1 hour'", hours)
	}
	if lives(30*24) != strconv.Itoa(batch) {
		t.Errorf("%s were shortened", lives(30*24))
	}
	two, _ := s.serve()
	eventually(t, "another has gone on", func() bool { return progress("finished_at") != "" })
	if lives(30*24) != strconv.Itoa(calls) || progress("changed") != strconv.Itoa(calls) || progress("done") != strconv.Itoa(calls) {
		t.Errorf("%s live 30 days; %s changed, %s looked at", lives(30*24), progress("changed"), progress("done"))
	}
	two.stop()
	two.wait()

	three, _ := s.with("HISTORY_MAX_AGE", "240h").serve()
	kept := func() string {
		return s.look("ctd_retention", "SELECT kept_ms::text FROM tenants WHERE id = $1", tenant)
	}
	eventually(t, "the lowered ceiling holds", func() bool { return kept() == "864000000" && progress("finished_at") != "" })
	if lives(240) != strconv.Itoa(calls) {
		t.Errorf("%s live 240 hours", lives(240))
	}
	three.stop()
	three.wait()

	four, _ := s.serve()
	if kept() != "2592000000" { // before it listens
		t.Errorf("kept %s", kept())
	}
	four.stop()
	if code := four.wait(); code != 0 || lives(240) != strconv.Itoa(calls) {
		t.Errorf("exit %d; %s live 240 hours", code, lives(240))
	}
	if told := s.run("tenant", "set", tenant, "--days", "0").ok().out; !strings.Contains(told, "2500 records end now") {
		t.Errorf("%q", told)
	}
	for _, p := range []*process{two, three, four} {
		if log := p.errOut.String(); strings.Contains(log, "4567") || strings.Contains(log, "anna@") {
			t.Error("a log tells whom")
		}
	}
}
