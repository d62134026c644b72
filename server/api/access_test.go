package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

// route says what a route wants. Each operation of the document must have one.
type route struct {
	scope  string // "" when anybody may
	body   any
	key    bool
	status int  // for who may
	onCall bool // its {id} is a call
	role   models.Role
	of     string // role routes: what {id} is: user, sign-in, tenant, call
}

var routes = map[string]route{
	"POST /v1/calls":          {scope: auth.ScopeCreate, body: map[string]any{"number": number}, key: true, status: 201},
	"GET /v1/calls/{id}":      {scope: auth.ScopeRead, status: 200, onCall: true},
	"DELETE /v1/calls/{id}":   {scope: auth.ScopeDelete, status: 409, onCall: true}, // it has ended
	"GET /v1/history":         {scope: auth.ScopeRead, status: 200},
	"POST /v1/history/search": {scope: auth.ScopeRead, body: map[string]any{"q": "jan"}, status: 200},
	"PATCH /v1/history/{id}":  {scope: auth.ScopeDelete, body: map[string]any{"name": "Piet"}, status: 200, onCall: true},
	"DELETE /v1/history/{id}": {scope: auth.ScopeDelete, status: 204, onCall: true},
	"DELETE /v1/history":      {scope: auth.ScopeDelete, status: 204},
	"GET /v1/me":              {scope: auth.ScopeRead, status: 200},
	"POST /v1/numbers/check":  {scope: auth.ScopeCreate, body: map[string]any{"number": number}, status: 200},
	"GET /v1/me/sign-ins":     {scope: auth.ScopeRead, status: 200},
	// Its {id} is none of the user's own here; TestRevokeMySignIn has the rest.
	"DELETE /v1/me/sign-ins/{id}": {scope: auth.ScopeDelete, status: 404},

	"POST /v1/support/users/search":         {role: models.RoleSupport, body: map[string]any{"email": "bert@example.test"}, status: 200},
	"GET /v1/support/users/{id}/sign-ins":   {role: models.RoleSupport, of: "user", status: 200},
	"GET /v1/support/users/{id}/calls":      {role: models.RoleSupport, of: "user", status: 200},
	"GET /v1/support/users/{id}/refusals":   {role: models.RoleSupport, of: "user", status: 200},
	"POST /v1/support/users/{id}/revoke":    {role: models.RoleSupport, of: "user", body: map[string]any{"reason": "lost laptop"}, status: 200},
	"POST /v1/support/tenants/{id}/revoke":  {role: models.RoleSupport, of: "tenant", body: map[string]any{}, status: 200},
	"POST /v1/support/sign-ins/{id}/revoke": {role: models.RoleSupport, of: "sign-in", body: map[string]any{}, status: 200},

	"GET /v1/admin/users":                         {role: models.RoleAdmin, status: 200},
	"POST /v1/admin/users":                        {role: models.RoleAdmin, body: map[string]any{"email": "new@example.test"}, status: 201},
	"GET /v1/admin/users/{id}":                    {role: models.RoleAdmin, of: "user", status: 200},
	"PATCH /v1/admin/users/{id}":                  {role: models.RoleAdmin, of: "user", body: map[string]any{"disabled": true}, status: 200},
	"POST /v1/admin/users/{id}/password-link":     {role: models.RoleAdmin, of: "user", status: 200},
	"GET /v1/admin/users/{id}/sign-ins":           {role: models.RoleAdmin, of: "user", status: 200},
	"POST /v1/admin/users/{id}/revoke":            {role: models.RoleAdmin, of: "user", body: map[string]any{}, status: 200},
	"POST /v1/admin/sign-ins/{id}/revoke":         {role: models.RoleAdmin, of: "sign-in", body: map[string]any{}, status: 200},
	"GET /v1/admin/users/{id}/devices":            {role: models.RoleAdmin, of: "user", status: 200},
	"POST /v1/admin/users/{id}/devices":           {role: models.RoleAdmin, of: "user", body: map[string]any{"label": "Hall", "endpoint": "109"}, status: 204},
	"DELETE /v1/admin/users/{id}/devices/{phone}": {role: models.RoleAdmin, of: "user", status: 204},
	"GET /v1/admin/settings":                      {role: models.RoleAdmin, status: 200},
	"PUT /v1/admin/settings":                      {role: models.RoleAdmin, body: map[string]any{"requireSecondFactor": false}, status: 200},
	"POST /v1/admin/settings/retention-preview":   {role: models.RoleAdmin, body: map[string]any{"days": 7}, status: 200},
	"GET /v1/admin/retention":                     {role: models.RoleAdmin, status: 200},
	"POST /v1/admin/revoke":                       {role: models.RoleAdmin, body: map[string]any{"reason": "everybody"}, status: 200},

	"DELETE /v1/admin/users/{id}":                 {role: models.RoleAdmin, of: "user", status: 200},
	"POST /v1/admin/privacy/find":                 {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}"}`, status: 200},
	"POST /v1/admin/privacy/export":               {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}"}`, status: 200},
	"POST /v1/admin/privacy/correct":              {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}","name":"Anna"}`, status: 200},
	"POST /v1/admin/privacy/erase":                {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}"}`, status: 200},
	"POST /v1/admin/privacy/object":               {role: models.RoleAdmin, body: `{"number":"020 765 4321"}`, status: 200},
	"POST /v1/admin/privacy/object/lift":          {role: models.RoleAdmin, body: `{"number":"020 765 4321"}`, status: 200},
	"POST /v1/admin/privacy/restrict":             {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}"}`, status: 200},
	"POST /v1/admin/privacy/restrict/lift":        {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}"}`, status: 409}, // it never was
	"GET /v1/admin/privacy/requests":              {role: models.RoleAdmin, status: 200},
	"POST /v1/admin/privacy/requests":             {role: models.RoleAdmin, of: "user", body: `{"userId":"{id}","act":"access"}`, status: 201},
	"POST /v1/admin/privacy/requests/{id}/refuse": {role: models.RoleAdmin, of: "request", status: 200},

	"GET /v1/me/export":             {scope: auth.ScopeRead, status: 200},
	"GET /v1/me/privacy-requests":   {scope: auth.ScopeRead, status: 200},
	"POST /v1/me/privacy-requests":  {scope: auth.ScopeRead, body: map[string]any{"act": "access"}, status: 201},
	"GET /v1/admin/history":         {role: models.RoleAdmin, status: 200},
	"POST /v1/admin/history/search": {role: models.RoleAdmin, body: map[string]any{"q": "jan"}, status: 200},
	"GET /v1/admin/history/{id}":    {role: models.RoleAdmin, of: "call", status: 200},
	"POST /v1/admin/history/export": {role: models.RoleAdmin, body: map[string]any{"format": "csv"}, status: 200},

	"GET /v1/admin/stats": {role: models.RoleAdmin, status: 200},
	"GET /v1/admin/audit": {role: models.RoleAdmin, status: 200},
	"GET /healthz":        {status: 200},
	"GET /readyz":         {status: 200},
}

// outside of the document: the socket and the RFC 6749 endpoints.
var undescribed = []string{"GET /v1/events", "POST /oauth/token", "POST /oauth/revoke", "POST /oauth/introspect",
	"GET /.well-known/oauth-authorization-server",
	"GET /openapi.json", "GET /openapi.yaml", "GET /openapi-3.0.json", "GET /openapi-3.0.yaml"}

func TestEveryRouteIsInTheTable(t *testing.T) {
	t.Parallel()
	r, _ := up(t, options{deaf: true})
	described := map[string]bool{}
	for path, item := range r.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete, "PUT": item.Put} {
			if name := method + " " + path; op != nil {
				described[name] = true
				if _, ok := routes[name]; !ok {
					t.Errorf("%s has no row in this test", name)
				}
			}
		}
	}
	for name := range routes {
		if !described[name] {
			t.Errorf("%s is not described", name)
		}
	}
	for _, fr := range r.app.GetRoutes(true) {
		path := strings.ReplaceAll(strings.ReplaceAll(fr.Path, ":id", "{id}"), ":phone", "{phone}")
		if name := fr.Method + " " + path; fr.Method != http.MethodHead && !described[name] && !slices.Contains(undescribed, name) {
			t.Errorf("the app answers %s, which is not described", name)
		}
	}
}

// ask makes the request of a route.
func (rt route) ask(name, id, token string) ask {
	method, path, _ := strings.Cut(name, " ")
	a := ask{method: method, path: strings.ReplaceAll(path, "{id}", id), token: token, body: rt.body}
	if text, ok := rt.body.(string); ok {
		a.body = strings.ReplaceAll(text, "{id}", id)
	}
	if rt.key {
		a.key = uuid.NewString()
	}
	return a
}

func TestAccess(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	colleague := r.colleague(t, anna, "bert@example.test")
	stranger := r.person(t, "carl@other.test")
	tokens := map[string]string{
		"nobody": "", "garbage": "garbage", "noise of the right shape": "c2da_" + strings.Repeat("a", 49),
		"the refresh token": anna.Refresh,
	}
	withOwn := func(name string) person {
		p := r.person(t, strings.ReplaceAll(name, " ", "-")+"@example.test")
		tokens[name] = p.Access
		return p
	}
	revoked := withOwn("revoked")
	_, err := r.db.Revoke(t.Context(), store.CommandLine, store.Which{User: revoked.user.ID}, "operator", "test", time.Now(), audit.Entry(audit.Operator, "sign-in-revoke", audit.Subject{}, ""))
	check(t, err)
	disabled := withOwn("disabled user")
	r.sql(t, "ctd_operator", "UPDATE users SET disabled_at = now() WHERE id = $1", disabled.user.ID)
	ended := withOwn("ended tenant")
	r.sql(t, "ctd_operator", "UPDATE tenants SET status = 'ended', ended_at = now() WHERE id = $1", ended.tenant.ID)
	old := withOwn("expired")
	r.sql(t, "ctd_auth", "UPDATE tokens SET expires_at = now() - interval '1 ms' WHERE tenant_id = $1", old.tenant.ID)
	oldGrant := withOwn("expired sign in")
	r.sql(t, "ctd_auth", "UPDATE grants SET expires_at = now() - interval '1 ms' WHERE tenant_id = $1", oldGrant.tenant.ID)
	narrow := map[string]person{}
	for _, scope := range []string{auth.ScopeCreate, auth.ScopeRead, auth.ScopeDelete} {
		p := r.colleague(t, anna, strings.ReplaceAll(scope, ":", "-")+"@example.test")
		var others []string
		for _, s := range []string{auth.ScopeCreate, auth.ScopeRead, auth.ScopeDelete} {
			if s != scope {
				others = append(others, s)
			}
		}
		r.sql(t, "ctd_auth", "UPDATE grants SET scopes = $1 WHERE user_id = $2", strings.Join(others, " "), p.user.ID)
		narrow[scope] = p
	}
	support := models.User{ID: uuid.New(), Email: "help@provider.test", Role: models.RoleSupport, CreatedAt: time.Now()}
	check(t, r.db.CreateUser(t.Context(), support, entry))
	staff := r.signIn(t, support.Email)

	cast := cast{refused: tokens, admin: anna, user: colleague, staff: staff.Access, stranger: stranger}
	for _, name := range slices.Sorted(maps.Keys(routes)) {
		rt := routes[name]
		t.Run(name, func(t *testing.T) {
			if rt.role != "" {
				r.roleAccess(t, name, rt, cast)
				return
			}
			mine := r.past(t, anna, number, "Jan Jansen", time.Now().Add(-time.Hour))
			if rt.scope == "" {
				r.do(rt.ask(name, "", "")).ok(t, rt.status)
				return
			}
			for who, token := range tokens {
				got := r.do(rt.ask(name, mine.String(), token))
				got.problem(t, 401, "unauthorized")
				if h := got.header.Values("WWW-Authenticate"); len(h) != 1 || h[0] != "Bearer" {
					t.Errorf("%s: WWW-Authenticate %q", who, h)
				}
			}
			basic := rt.ask(name, mine.String(), "")
			basic.header = map[string]string{"Authorization": "Basic " + anna.Access}
			r.do(basic).problem(t, 401, "unauthorized")
			r.do(rt.ask(name, mine.String(), narrow[rt.scope].Access)).problem(t, 403, "forbidden")
			r.do(rt.ask(name, mine.String(), staff.Access)).problem(t, 403, "forbidden")
			if rt.onCall {
				r.do(rt.ask(name, mine.String(), colleague.Access)).problem(t, 404, "not-found")
				r.do(rt.ask(name, mine.String(), stranger.Access)).problem(t, 404, "not-found")
				r.do(rt.ask(name, uuid.NewString(), anna.Access)).problem(t, 404, "not-found")
				if got := r.do(ask{method: "GET", path: "/v1/calls/" + mine.String(), token: anna.Access}).ok(t, 200); !strings.Contains(string(got.body), "Jan Jansen") {
					t.Errorf("a stranger changed it: %s", got.body)
				}
			}
			got := r.do(rt.ask(name, mine.String(), anna.Access))
			if got.status != rt.status {
				t.Errorf("status %d, want %d: %s", got.status, rt.status, got.body)
			}
		})
	}
	if n := r.count(t, "ctd_follow", "calls WHERE tenant_id = '"+stranger.tenant.ID.String()+"'"); n != 0 {
		t.Errorf("the stranger has %d calls", n)
	}
	for _, token := range tokens {
		r.silent(t, token)
	}
}

// cast is who tries the routes of a role.
type cast struct {
	refused               map[string]string // tokens that are no use
	admin, user, stranger person
	staff                 string // a token of support
}

// roleAccess tries a route of a role as everybody, on ids of one's own tenant and
// of another.
func (r *replica) roleAccess(t *testing.T, name string, rt route, c cast) {
	target := r.colleague(t, c.admin, "target-"+uuid.NewString()[:8]+"@example.test")
	other := r.person(t, "other-"+uuid.NewString()[:8]+"@other.test")
	idOf := func(p person) string {
		switch rt.of {
		case "sign-in":
			return r.signInID(t, p).String()
		case "tenant":
			return p.tenant.ID.String()
		case "request":
			by := models.Actor{Role: models.RoleAdmin, UserID: p.user.ID, TenantID: p.tenant.ID}
			filed, err := r.privacy.File(t.Context(), by, retention.Subject{User: p.user.ID}, models.ActAccess, time.Time{})
			check(t, err)
			return filed.ID.String()
		case "call":
			return r.past(t, p, number, "Jan Jansen", time.Now().Add(-time.Hour)).String()
		}
		return p.user.ID.String()
	}
	try := func(p person, token string) answer {
		a := rt.ask(name, idOf(p), token)
		a.path = strings.ReplaceAll(a.path, "{phone}", p.device.ID.String())
		return r.do(a)
	}
	for _, token := range c.refused {
		try(target, token).problem(t, 401, "unauthorized")
	}
	try(target, c.user.Access).problem(t, 403, "forbidden")
	admin := c.admin
	if rt.role == models.RoleSupport {
		try(target, admin.Access).problem(t, 403, "forbidden")
		if rt.of != "tenant" { // that would end the admin's, too
			try(target, c.staff).ok(t, rt.status)
		}
		if rt.of != "" {
			try(other, c.staff).ok(t, rt.status) // of every tenant
			unknown := rt.ask(name, uuid.NewString(), c.staff)
			r.do(unknown).problem(t, 404, "not-found")
		}
		return
	}
	try(target, c.staff).problem(t, 403, "forbidden")
	if rt.of != "" {
		try(other, admin.Access).problem(t, 404, "not-found")
		r.do(ask{method: "GET", path: "/v1/me", token: other.Access}).ok(t, 200) // nothing was done to them
	}
	if name == "POST /v1/admin/revoke" { // the admin's own ends with it
		admin = r.person(t, "everybody@example.test")
	}
	a := rt.ask(name, idOf(target), admin.Access)
	a.path = strings.ReplaceAll(a.path, "{phone}", target.device.ID.String())
	r.do(a).ok(t, rt.status)
}

// signInID is the id of a person's one sign-in.
func (r *replica) signInID(t *testing.T, p person) uuid.UUID {
	t.Helper()
	rows, err := r.db.SignIns(t.Context(), store.CommandLine, p.user.ID)
	check(t, err)
	if len(rows) != 1 {
		t.Fatalf("%d sign-ins", len(rows))
	}
	return rows[0].ID
}

func TestRevokeMySignIn(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	other := r.signIn(t, anna.user.Email)
	colleague := r.colleague(t, anna, "bert@example.test")
	list := func(token string) []api.SignIn {
		return read[api.SignIns](t, r.do(ask{method: "GET", path: "/v1/me/sign-ins", token: token}).ok(t, 200)).Items
	}
	items := list(anna.Access)
	if len(items) != 2 || items[0].Current || !items[1].Current || !items[0].Active || len(items[0].SupportCode) != 6 {
		t.Fatalf("%+v", items)
	}
	path := "/v1/me/sign-ins/" + items[0].ID.String()
	r.do(ask{method: "DELETE", path: path, token: colleague.Access}).problem(t, 404, "not-found")
	r.do(ask{method: "GET", path: "/v1/me", token: other.Access}).ok(t, 200)
	r.do(ask{method: "DELETE", path: path, token: anna.Access}).ok(t, 204)
	r.do(ask{method: "GET", path: "/v1/me", token: other.Access}).problem(t, 401, "unauthorized")
	r.do(ask{method: "DELETE", path: path, token: anna.Access}).ok(t, 204) // it has ended already
	// An admin may end the sign-ins of others, but not by the route for one's own.
	theirs := "/v1/me/sign-ins/" + r.signInID(t, colleague).String()
	r.do(ask{method: "DELETE", path: theirs, token: anna.Access}).problem(t, 404, "not-found")
	r.do(ask{method: "GET", path: "/v1/me", token: colleague.Access}).ok(t, 200)
	if items := list(anna.Access); items[0].Active || items[0].RevokedBy == nil || *items[0].RevokedBy != "user" {
		t.Errorf("%+v", items[0])
	}
}

// A page must not do for its reader what another tab did: nobody else's calls, and
// none whose time has come.
func TestRecordEndsForEverybody(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	id := r.past(t, anna, number, "Jan", time.Now().Add(-90*24*time.Hour+1500*time.Millisecond))
	path := "/v1/calls/" + id.String()
	r.do(ask{method: "GET", path: path, token: anna.Access}).ok(t, 200)
	eventually(t, "it is gone", func() bool {
		return r.do(ask{method: "GET", path: path, token: anna.Access}).status == 404
	})
	for _, name := range []string{"GET /v1/calls/{id}", "DELETE /v1/calls/{id}", "PATCH /v1/history/{id}", "DELETE /v1/history/{id}"} {
		r.do(routes[name].ask(name, id.String(), anna.Access)).problem(t, 404, "not-found")
	}
	if got := r.do(ask{method: "GET", path: "/v1/history", token: anna.Access}).ok(t, 200); strings.Contains(string(got.body), id.String()) {
		t.Errorf("the history shows it: %s", got.body)
	}
}
