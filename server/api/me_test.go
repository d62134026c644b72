package api_test

import (
	"strings"
	"testing"
	"time"

	"clicktodial/server/api"
	"clicktodial/server/auth"
)

// GET /v1/me is told once more for a second; who asks is found out each time.
func TestMeAgain(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	me := func(token string) answer { return r.do(ask{method: "GET", path: "/v1/me", token: token}) }
	first := me(anna.Access).ok(t, 200)
	again := me(anna.Access).ok(t, 200)
	for _, name := range []string{"Content-Type", "Content-Length"} {
		if again.header.Get(name) != first.header.Get(name) {
			t.Errorf("%s: %q, then %q", name, first.header.Get(name), again.header.Get(name))
		}
	}
	colleague := r.colleague(t, anna, "bert@example.test")
	if got := read[api.Me](t, me(colleague.Access).ok(t, 200)); got.User.Email != "bert@example.test" {
		t.Errorf("a colleague is told %+v", got.User)
	}
	r.sql(t, "ctd_operator", "UPDATE users SET name = 'Anna Jansen' WHERE id = $1", anna.user.ID)
	r.ahead.Add(int64(time.Second))
	if got := read[api.Me](t, me(anna.Access).ok(t, 200)); got.User.Name != "Anna Jansen" {
		t.Errorf("a second later the name is %q", got.User.Name)
	}
	// A token of the same sign-in that may not read is told nothing, although the
	// answer is there.
	narrow, err := r.auth.Refresh(t.Context(), anna.Refresh, auth.ExtensionClient, auth.ScopeCreate)
	check(t, err)
	me(narrow.Access).problem(t, 403, "forbidden")
	me(anna.Access).ok(t, 200)
	_, err = r.auth.Revoke(t.Context(), auth.Actor{Role: anna.user.Role, UserID: anna.user.ID, TenantID: anna.tenant.ID}, auth.Which{User: anna.user.ID}, "")
	check(t, err)
	me(anna.Access).problem(t, 401, "unauthorized")
	me(strings.Repeat("x", 54)).problem(t, 401, "unauthorized")
}
