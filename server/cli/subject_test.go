package cli_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestPrivacyCommands(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	s.run("dial", "020 123 4567", "--user", "anna@demo.test", "--follow").ok()
	plain := s.with("REDIS_URL", "", "PBX_URL", "")
	whole := []string{"+31201234567", "123 4567", "Anna Smit", "anna@demo.test"}
	for _, args := range [][]string{{"--user", "anna@demo.test"}, {"--number", "0201234567"}, {"--user", "anna@demo.test", "--format", "csv"}} {
		masked := plain.run(append([]string{"privacy", "export", "--tenant", tenant}, args...)...).ok().out
		for _, secret := range whole {
			if strings.Contains(masked, secret) {
				t.Errorf("%v shows %q: %s", args, secret, masked)
			}
		}
		if !strings.Contains(masked, "+31 20 123 4***") {
			t.Errorf("%v: %s", args, masked)
		}
	}
	reasons := func() string {
		return s.look("ctd_operator", "SELECT coalesce(string_agg(reason, ','), '') FROM audit WHERE action = 'reveal'")
	}
	if got := reasons(); got != "" {
		t.Errorf("revealed: %q", got)
	}
	got := plain.run("privacy", "export", "--tenant", tenant, "--number", "020 123 4567", "--json", "--format", "csv", "--reveal", "ticket 7").object()
	calls, ok := got["calls"].([]any)
	if subject, is := got["subject"].(map[string]any); !ok || !is || len(calls) != 1 || subject["number"] != "+31201234567" || reasons() != "ticket 7" {
		t.Errorf("%v, %q", got, reasons())
	}
	table := plain.run("--reveal", "ticket 8", "privacy", "export", "--tenant", tenant, "--user", "anna@demo.test", "--format", "csv").ok().out
	if rows, err := csv.NewReader(strings.NewReader(table)).ReadAll(); err != nil || len(rows) < 10 || !strings.Contains(table, "'+31201234567") {
		t.Errorf("%v %s", err, table)
	}
	receipt := s.run("privacy", "erase", "--tenant", tenant, "--number", "+31 20 123 4567", "--json").object()
	reference, ok := receipt["reference"].(string)
	if receipt["records"] != 1.0 || receipt["act"] != "erasure" || receipt["subject"] != "number" || !ok || len(reference) != 8 {
		t.Errorf("%v", receipt)
	}
	if left := s.look("ctd_follow", "SELECT count(*)::text FROM calls"); left != "0" {
		t.Errorf("%s records are left", left)
	}
	if out := plain.run("privacy", "erase", "--tenant", tenant, "--user", "anna@demo.test").ok().out; !strings.HasPrefix(out, "0 records erased; receipt ") {
		t.Errorf("%q", out)
	}
	if who := s.look("ctd_operator", "SELECT string_agg(DISTINCT actor_kind, ',') FROM audit WHERE action IN ('export', 'subject-erase')"); who != "operator" {
		t.Errorf("audited as %s", who)
	}
}

func TestPrivacyUsage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tenant := s.seed()
	other, _ := s.run("tenant", "create", "--name", "Other", "--admin", "admin@other.test", "--json").object()["tenantId"].(string)
	for _, args := range [][]string{
		{"--tenant", tenant}, {"--number", "101"}, {"--tenant", tenant, "--number", "101", "--user", "anna@demo.test"}, {"--tenant", "x", "--number", "101"},
		{"--tenant", tenant, "--user", "no mail"}, {"--tenant", tenant, "--number", "101", "--reveal", "xy"}, {"--tenant", tenant, "--number", "101", "--reveal", strings.Repeat("x", 201)},
		{"--tenant", tenant, "--number", "101", "--reveal", "a\nbcd"}, {"--tenant", tenant, "--number", "101", "--reveal", "  x  "},
	} {
		s.run(append([]string{"privacy", "export"}, args...)...).usage()
		s.run(append([]string{"privacy", "erase"}, args...)...).usage()
	}
	for _, what := range []string{"export", "erase"} {
		s.run("privacy", what, "--tenant", uuid.NewString(), "--number", "101", "--json").problem("not-found")
		s.run("privacy", what, "--tenant", other, "--user", "anna@demo.test", "--json").problem("not-found")
		s.run("privacy", what, "--tenant", tenant, "--user", "nobody@demo.test", "--json").problem("user-unknown")
		s.run("privacy", what, "--tenant", tenant, "--number", "hello", "--json").problem("number-invalid")
	}
	s.run("privacy", "export", "--tenant", tenant, "--number", "101", "--reveal", "xyz").ok()
	s.run("privacy", "export", "--tenant", tenant, "--number", "101", "--reveal", strings.Repeat("x", 200)).ok()
}
