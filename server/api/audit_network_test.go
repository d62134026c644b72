package api_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/google/uuid"

	"clicktodial/server/audit"
	"clicktodial/server/auth"
)

// The audit knows from which network somebody acted, and nothing knows the address.
func TestAuditNetwork(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{proxies: []string{"127.0.0.1"}})
	other := r.start(t, options{}) // trusts no proxy
	for _, row := range []struct {
		name, from, want string
		r                *replica
	}{
		{"IPv4", "203.0.113.77", "203.0.113.0/24", r},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48", r},
		{"IPv4 in IPv6", "::ffff:203.0.113.77", "203.0.113.0/24", r},
		{"what a client invents", "203.0.113.77", "127.0.0.0/24", other},
	} {
		grant := r.grantOf(t, r.signIn(t, anna.user.Email).Access)
		row.r.do(ask{method: "DELETE", path: "/v1/me/sign-ins/" + grant.String(), token: anna.Access, header: map[string]string{"X-Forwarded-For": row.from}}).ok(t, 204)
		if got := r.network(t, grant); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	// The operator and the system act from nowhere.
	grant := r.grantOf(t, r.signIn(t, anna.user.Email).Access)
	commandLine := &auth.Service{DB: r.db, Keys: r.keys, Now: r.now}
	if _, err := commandLine.RevokeByOperator(t.Context(), auth.Which{SignIn: grant}, audit.Subject{Kind: "grant", ID: grant}, ""); err != nil {
		t.Fatal(err)
	}
	if got := r.network(t, grant); got != "" {
		t.Errorf("the operator: %q", got)
	}
	r.tx(t, "ctd_operator", func(tx *sql.Tx) error {
		var all string
		err := tx.QueryRow("SELECT coalesce(string_agg(audit::text, ' '), '') FROM audit").Scan(&all)
		for _, address := range []string{"203.0.113.77", "2001:db8:1:2", "127.0.0.1"} {
			if strings.Contains(all, address) {
				t.Errorf("an address stands in the audit: %s", address)
			}
		}
		return err
	})
	r.silent(t, "203.0.113", "2001:db8")
}

func (r *replica) grantOf(t *testing.T, access string) uuid.UUID {
	t.Helper()
	p, err := r.auth.Authenticate(context.Background(), access)
	check(t, err)
	return p.GrantID
}

// network is what the audit has of a sign-in's end.
func (r *replica) network(t *testing.T, grant uuid.UUID) (network string) {
	t.Helper()
	r.tx(t, "ctd_operator", func(tx *sql.Tx) error {
		return tx.QueryRow("SELECT coalesce(network, '') FROM audit WHERE subject_id = $1 AND action = 'sign-in-revoke'", grant).Scan(&network)
	})
	return network
}
