package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// pgbenchScript is what accepting a call must write, and no more: the two rows,
// as the service's own role, in one transaction, with statements prepared once.
const pgbenchScript = `\set n :n + 1
\set u random(0, {people} - 1)
\set t :u % {tenants}
BEGIN;
SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', '00000000-0000-7000-8000-' || lpad(to_hex(:t::int), 12, '0'), true);
INSERT INTO calls (id, tenant_id, user_id, device_id, device_label, grant_id, sign_in_label, number, name, number_masked, last_four,
    private, delete_at_end, status, rank, reason, diagnosis, dispatch, hang_up_why, replica_id, pbx_id, channel_id,
    created_at, caller_answered_at, connected_at, ended_at, expires_at)
  VALUES (('01900000-0000-7' || lpad(to_hex(:client_id::int), 3, '0') || '-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid,
    ('00000000-0000-7000-8000-' || lpad(to_hex(:t::int), 12, '0'))::uuid, ('00000000-0000-7000-8001-' || lpad(to_hex(:u::int), 12, '0'))::uuid,
    ('00000000-0000-7000-8002-' || lpad(to_hex(:u::int), 12, '0'))::uuid, 'Desk phone', ('00000000-0000-7000-8003-' || lpad(to_hex(:u::int), 12, '0'))::uuid,
    'Chromium', '+31201234567', '', '+31 20 123 4***', '4567', false, false, 'initiating', 0, NULL, NULL, 'dispatching', NULL,
    '00000000-0000-7000-8005-000000000000', NULL, 'bench-' || lpad(to_hex(:client_id::int), 12, '0') || '-' || lpad(to_hex(:n::int), 14, '0'),
    date_trunc('milliseconds', now()), NULL, NULL, NULL, date_trunc('milliseconds', now()) + interval '90 days');
INSERT INTO idempotency (tenant_id, user_id, key, fingerprint, call_id, expires_at)
  VALUES (('00000000-0000-7000-8000-' || lpad(to_hex(:t::int), 12, '0'))::uuid, ('00000000-0000-7000-8001-' || lpad(to_hex(:u::int), 12, '0'))::uuid,
    'bench-' || :client_id::int || '-' || :n::int, '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ('01900000-0000-7' || lpad(to_hex(:client_id::int), 3, '0') || '-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid, now() + interval '1 day');
COMMIT;
`

var tpsForm = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench gives how many such transactions a second so many connections make.
func (b *bench) pgbench(ctx context.Context, connections int, during time.Duration) (float64, error) {
	path := filepath.Join(b.Dir, "pgbench.sql")
	script := strings.NewReplacer("{people}", strconv.Itoa(b.people), "{tenants}", strconv.Itoa(b.tenants)).Replace(pgbenchScript)
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return 0, err
	}
	u, err := url.Parse(b.Database)
	if err != nil {
		return 0, errors.New("DATABASE_URL cannot be read")
	}
	seconds := max(1, int(during.Seconds()))
	ctx, cancel := context.WithTimeout(ctx, during+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.PGBench, "--no-vacuum", "--protocol=prepared", "--file="+path, "--define=n=0",
		"--client="+strconv.Itoa(connections), "--jobs="+strconv.Itoa(min(2, connections)), "--time="+strconv.Itoa(seconds),
		"--host="+u.Hostname(), "--port="+u.Port(), "--username="+u.User.Username(), strings.TrimPrefix(u.Path, "/"))
	password, _ := u.User.Password()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "PGSSLMODE=disable"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	found := tpsForm.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench said no tps: %s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
