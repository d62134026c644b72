package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/pbx/practice"
	"clicktodial/server/testdb"
)

// office is an installation of two replicas with a line each to one Redis, and its
// people: the admin Anna, Bert of her company, Carl of another, and support.
type office struct {
	*bundle
	near, far           *replica
	nearRedis, farRedis *testdb.Line
	anna, bert, carl    person
	staff               auth.Tokens
}

func openOffice(t *testing.T, exchange string) *office {
	t.Helper()
	o := &office{bundle: setup(t)}
	o.anna = o.person(t, "anna@example.test")
	o.bert = o.colleague(t, o.anna, "bert@example.test")
	o.carl = o.person(t, "carl@other.test")
	support := models.User{ID: uuid.New(), Email: "help@provider.test", Role: models.RoleSupport, CreatedAt: time.Now()}
	check(t, o.db.CreateUser(t.Context(), support, entry))
	o.staff = o.signIn(t, support.Email)
	line, err := practice.Open(exchange, discard)
	check(t, err)
	o.nearRedis, o.farRedis = testdb.NewLine(t, o.redisURL), testdb.NewLine(t, o.redisURL)
	pace := api.Pace{Ping: 100 * time.Millisecond}
	o.near = o.start(t, options{pbx: line, redisURL: o.nearRedis.URL, pace: pace})
	o.far = o.start(t, options{pbx: line.Join(), redisURL: o.farRedis.URL, pace: pace})
	return o
}

// grant is the sign-in of a token.
func (o *office) grant(t *testing.T, r *replica, access string) uuid.UUID {
	t.Helper()
	p, err := r.auth.Authenticate(t.Context(), access)
	check(t, err)
	return p.GrantID
}

func (r *replica) refused(t *testing.T, what, token string) {
	t.Helper()
	if got := r.do(ask{method: "GET", path: "/v1/me", token: token}); got.status != http.StatusUnauthorized {
		t.Errorf("%s: %d %s", what, got.status, got.body)
	}
}

// Revoked on one replica, by whomever: refused on the other at the next request,
// sockets are told by whom and why and closed on both, nobody else's is.
func TestRevokedOnTheOtherReplica(t *testing.T) {
	t.Parallel()
	o := openOffice(t, "practice://?ring=1h")
	commandLine := &auth.Service{DB: o.db, Keys: o.keys, Now: o.now} // has no Redis
	for _, row := range []struct {
		name    string
		revoke  func(t *testing.T, grant uuid.UUID)
		by      string
		reason  string
		company bool // the admin's own sign-ins end too
	}{
		{"the user, one", func(t *testing.T, grant uuid.UUID) {
			o.near.do(ask{method: "DELETE", path: "/v1/me/sign-ins/" + grant.String(), token: o.signIn(t, o.bert.user.Email).Access}).ok(t, 204)
		}, "user", "", false},
		{"the user signs out", func(t *testing.T, _ uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/oauth/revoke", kind: formKind, body: "token=" + o.bert.Refresh}).ok(t, 200)
		}, "user", "signed out", false},
		{"the admin, all of a user", func(t *testing.T, _ uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/v1/admin/users/" + o.bert.user.ID.String() + "/revoke", token: o.anna.Access, body: map[string]any{"reason": "left"}}).ok(t, 200)
		}, "admin", "left", false},
		{"the admin, account closed", func(t *testing.T, _ uuid.UUID) {
			path := "/v1/admin/users/" + o.bert.user.ID.String()
			o.near.do(ask{method: "PATCH", path: path, token: o.anna.Access, body: map[string]any{"disabled": true}}).ok(t, 200)
			t.Cleanup(func() {
				o.near.do(ask{method: "PATCH", path: path, token: o.anna.Access, body: map[string]any{"disabled": false}}).ok(t, 200)
			})
		}, "admin", "account closed", false},
		{"support, one", func(t *testing.T, grant uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/v1/support/sign-ins/" + grant.String() + "/revoke", token: o.staff.Access, body: map[string]any{"reason": "lost laptop"}}).ok(t, 200)
		}, "support", "lost laptop", false},
		{"support, all of a user", func(t *testing.T, _ uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/v1/support/users/" + o.bert.user.ID.String() + "/revoke", token: o.staff.Access, body: map[string]any{"reason": "lost laptop"}}).ok(t, 200)
		}, "support", "lost laptop", false},
		{"the command line, all of a user", func(t *testing.T, _ uuid.UUID) {
			_, err := commandLine.RevokeByOperator(context.Background(), auth.Which{User: o.bert.user.ID}, audit.Subject{Kind: "user", ID: o.bert.user.ID}, "by hand")
			check(t, err)
		}, "support", "by hand", false},
		{"a token used twice", func(t *testing.T, _ uuid.UUID) {
			o.near.token(refreshForm(o.bert.Refresh))
			o.ahead.Add(int64(31 * time.Second))
			o.near.token(refreshForm(o.bert.Refresh))
		}, "system", "a used refresh token came back", false},
		{"the admin, the company", func(t *testing.T, _ uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/v1/admin/revoke", token: o.anna.Access, body: map[string]any{"reason": "everybody"}}).ok(t, 200)
		}, "admin", "everybody", true},
		{"support, the company", func(t *testing.T, _ uuid.UUID) {
			o.near.do(ask{method: "POST", path: "/v1/support/tenants/" + o.anna.tenant.ID.String() + "/revoke", token: o.staff.Access, body: map[string]any{"reason": "everybody"}}).ok(t, 200)
		}, "support", "everybody", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			o.bert.Tokens = o.signIn(t, o.bert.user.Email)
			o.anna.Tokens = o.signIn(t, o.anna.user.Email)
			var his []*client
			var others []*client
			for _, r := range []*replica{o.near, o.far} {
				if !r.mayRead(o.bert.Access) {
					t.Fatal("it never worked")
				}
				c, _ := r.listen(t, o.bert.Access, "")
				carls, _ := r.listen(t, o.carl.Access, "")
				his, others = append(his, c), append(others, carls)
			}
			row.revoke(t, o.grant(t, o.far, o.bert.Access))
			o.far.refused(t, "the other replica", o.bert.Access)
			o.near.refused(t, "this replica", o.bert.Access)
			if row.company {
				o.far.refused(t, "the admin's own", o.anna.Access)
			} else if !o.far.mayRead(o.anna.Access) {
				t.Error("the admin was signed out")
			}
			began := time.Now()
			for i, c := range his {
				code, before := c.closed()
				if len(before) == 0 {
					t.Fatalf("replica %d: closed with %d, and nothing said", i, code)
				}
				last := before[len(before)-1]
				if code != 4403 || last.Type != "revoked" || last.By != row.by || last.Reason != row.reason || last.At == nil {
					t.Errorf("replica %d: %d after %s", i, code, last.raw)
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the sockets were closed after %v", took)
			}
			for _, c := range others {
				for range 2 {
					if m := c.next(); m.Type != "ping" {
						t.Errorf("another company hears %s", m.raw)
					}
				}
			}
			if !o.far.mayRead(o.carl.Access) || !o.near.mayRead(o.carl.Access) {
				t.Error("another company was signed out")
			}
		})
	}
}

// Redis cut off from one replica or both: refused all the same, sockets told all
// the same, and still so when the lines are mended.
func TestRevokedWithLinesCut(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*office) []*testdb.Line{
		"the one that revokes": func(o *office) []*testdb.Line { return []*testdb.Line{o.nearRedis} },
		"the other":            func(o *office) []*testdb.Line { return []*testdb.Line{o.farRedis} },
		"both":                 func(o *office) []*testdb.Line { return []*testdb.Line{o.nearRedis, o.farRedis} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, "practice://?ring=1h")
			replicas := []*replica{o.near, o.far}
			var his []*client
			for _, r := range replicas {
				c, _ := r.listen(t, o.bert.Access, "")
				his = append(his, c)
			}
			for _, line := range cut(o) {
				line.Cut()
			}
			o.near.do(ask{method: "POST", path: "/v1/support/users/" + o.bert.user.ID.String() + "/revoke", token: o.staff.Access, body: map[string]any{"reason": "lost laptop"}}).ok(t, 200)
			o.far.refused(t, "the other replica", o.bert.Access)
			o.near.refused(t, "this replica", o.bert.Access)
			for i, c := range his {
				code, before := c.closed()
				if last := before[len(before)-1]; code != 4403 || last.Type != "revoked" || last.By != "support" {
					t.Errorf("replica %d: %d after %s", i, code, last.raw)
				}
			}
			for _, line := range cut(o) {
				line.Mend()
			}
			for _, r := range replicas {
				r.refused(t, "just mended", o.bert.Access)
				eventually(t, "Redis is back", func() bool {
					r.refused(t, "mending", o.bert.Access)
					return r.redis.Ping(t.Context()) == nil
				})
				r.refused(t, "mended", o.bert.Access)
				if !r.mayRead(o.carl.Access) {
					t.Error("another company was signed out")
				}
			}
		})
	}
}

// A call that only rings the user's own phone ends with the sign-in; two people
// who speak go on speaking.
func TestCallsOfARevokedSignIn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, exchange string
		until          models.Status
		ends           bool
	}{
		{"the own phone rings", "practice://?ring=1h", models.CallingCaller, true},
		{"the callee's phone rings", "practice://?ring=1ms&callee=1h", models.CallingCallee, false},
		{"they speak", "practice://?ring=1ms&callee=1ms&talk=1h", models.Connected, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, row.exchange)
			grant := o.grant(t, o.near, o.bert.Access)
			call := o.near.dial(o.bert, map[string]any{"number": number})
			theirs := o.near.dial(o.carl, map[string]any{"number": number})
			status := func(p person, id uuid.UUID) models.Status {
				c, err := o.db.Call(t.Context(), p.tenant.ID, p.user.ID, id)
				check(t, err)
				return c.Status
			}
			for p, id := range map[*person]uuid.UUID{&o.bert: call.ID, &o.carl: theirs.ID} {
				eventually(t, "the call has come as far", func() bool { return status(*p, id) == row.until })
			}
			// By the replica that does not follow the call.
			o.far.do(ask{method: "POST", path: "/v1/support/users/" + o.bert.user.ID.String() + "/revoke", token: o.staff.Access, body: map[string]any{}}).ok(t, 200)
			if row.ends {
				eventually(t, "the call has ended", func() bool { return status(o.bert, call.ID).Ended() })
				c, err := o.db.Call(t.Context(), o.bert.tenant.ID, o.bert.user.ID, call.ID)
				if err != nil || c.Status != models.Disconnected || c.Reason == nil || *c.Reason != models.CallerAbandon || c.Diagnosis == nil {
					t.Errorf("it ended %s %v %v, %v", c.Status, c.Reason, c.Diagnosis, err)
				}
			} else {
				for _, r := range []*replica{o.near, o.far} { // whatever is still to be told of it, is
					r.calls.EndRevoked(t.Context(), []uuid.UUID{grant})
				}
				if n := o.count(t, "ctd_follow", "calls WHERE hang_up_why IS NOT NULL OR ended_at IS NOT NULL"); n != 0 {
					t.Errorf("%d calls are to end", n)
				}
			}
			if now := status(o.carl, theirs.ID); now != row.until {
				t.Errorf("another's call: %s", now)
			}
		})
	}
}

// Postgres away, or both stores: what is revoked is never let in, and with nobody
// to ask the answer is 503, never a yes.
func TestStoresAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	postgres, redis := testdb.NewLine(t, b.dbURL), testdb.NewLine(t, b.redisURL)
	r := b.start(t, options{dbURL: postgres.URL, redisURL: redis.URL, deaf: true})
	revoked := b.signIn(t, anna.user.Email)
	for _, token := range []string{anna.Access, revoked.Access} {
		if !r.mayRead(token) {
			t.Fatal("it never worked")
		}
	}
	unseen := b.signIn(t, anna.user.Email) // the cache does not know it
	p, err := r.auth.Authenticate(t.Context(), revoked.Access)
	check(t, err)
	_, err = r.auth.Revoke(t.Context(), p.Actor(), auth.Which{SignIn: p.GrantID}, "")
	check(t, err)
	get := func(path, token string) int { return r.do(ask{method: "GET", path: path, token: token}).status }
	eventually(t, "the cache answers", func() bool {
		if !r.mayRead(anna.Access) {
			t.Fatal("refused")
		}
		hash := sha256.Sum256([]byte(anna.Access))
		return testdb.Speak(t, b.redisURL, "EXISTS", b.prefix+"tok:"+hex.EncodeToString(hash[:])) == "1"
	})

	postgres.Cut()
	for _, path := range []string{"/v1/me", "/v1/history", "/v1/me/sign-ins", "/v1/calls/" + uuid.NewString()} {
		if got := get(path, anna.Access); got != 200 && got != 503 {
			t.Errorf("Postgres away, %s: %d", path, got)
		}
		if got := get(path, revoked.Access); got != 401 {
			t.Errorf("Postgres away, revoked, %s: %d", path, got)
		}
		if got := get(path, unseen.Access); got != 503 {
			t.Errorf("Postgres away, not in the cache, %s: %d", path, got)
		}
	}
	redis.Cut()
	for _, name := range []string{"GET /v1/me", "GET /v1/history", "POST /v1/calls", "GET /v1/me/sign-ins"} {
		for what, token := range map[string]string{"alive": anna.Access, "not in the cache": unseen.Access} {
			if got := r.do(routes[name].ask(name, "", token)); got.status != 503 {
				t.Errorf("both away, %s, %s: %d", what, name, got.status)
			}
		}
		if got := r.do(routes[name].ask(name, "", revoked.Access)); got.status != 401 && got.status != 503 {
			t.Errorf("both away, revoked, %s: %d", name, got.status)
		}
	}
	for what, token := range map[string]string{"alive": anna.Access, "not in the cache": unseen.Access} {
		if _, err := r.auth.Authenticate(t.Context(), token); fault.Code(err) != "postgres-unavailable" {
			t.Errorf("both away, %s: %v", what, err)
		}
	}
	if got := get("/v1/me", "garbage"); got != 401 {
		t.Errorf("both away, garbage: %d", got)
	}
	for name, form := range map[string]string{"refresh": refreshForm(anna.Refresh).Encode(), "pairing": pairForm("BCDFGHJK").Encode()} {
		if got := r.do(ask{method: "POST", path: "/oauth/token", kind: formKind, body: form}); got.status != 503 {
			t.Errorf("both away, %s: %d %s", name, got.status, got.body)
		}
	}
	postgres.Mend()
	redis.Mend()
	eventually(t, "both are back", func() bool {
		r.refused(t, "coming back", revoked.Access)
		return get("/v1/me", anna.Access) == 200
	})
	r.refused(t, "back", revoked.Access)
}
