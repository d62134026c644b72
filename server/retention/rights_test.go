package retention_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// company is a tenant with an admin and a user who each have a phone.
type company struct {
	id          uuid.UUID
	admin, user models.User
}

func (c company) by() models.Actor {
	return models.Actor{Role: models.RoleAdmin, UserID: c.admin.ID, TenantID: c.id}
}

func (c company) self() models.Actor {
	return models.Actor{Role: models.RoleUser, UserID: c.user.ID, TenantID: c.id}
}

func (c company) operator() models.Actor {
	return models.Actor{Role: models.RoleOperator, TenantID: c.id}
}

// rights is an installation with two companies.
type rights struct {
	*retention.Privacy
	url          string
	keys         *secret.Keys
	auth         *auth.Service
	redis        *live.Redis
	redisURL     string
	prefix       string
	ours, theirs company
}

var note = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

func newRights(t *testing.T) *rights {
	t.Helper()
	r := &rights{url: testdb.URL(t), redisURL: testdb.RedisURL(t), prefix: testdb.Prefix()}
	db, err := store.Open(r.url, 8)
	check(t, err)
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	r.redis, err = live.Open(r.redisURL, r.prefix)
	check(t, err)
	t.Cleanup(func() { r.redis.Close() }) //nolint:errcheck // the test is over
	r.keys, err = secret.NewKeys([][]byte{bytes.Repeat([]byte{7}, 32)})
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	r.auth = &auth.Service{DB: db, Redis: r.redis, Cache: live.NewTokenCache(r.redis), Keys: r.keys, Now: time.Now, Log: log}
	r.Privacy = &retention.Privacy{
		DB: db, Index: live.NewTTLIndex(r.redis), Keys: r.keys, Now: time.Now, Log: log, EndSignIns: r.auth.EndSignIns, ChangePerson: r.auth.ChangePerson,
	}
	r.ours, r.theirs = r.company(t, "ours.test"), r.company(t, "theirs.test")
	return r
}

func (r *rights) company(t *testing.T, domain string) company {
	t.Helper()
	tenant := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, UsersMayDelete: true, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}
	c := company{id: tenant.ID}
	c.admin = models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &c.id, Email: "admin@" + domain, Name: "Bas Baas", Role: models.RoleAdmin, CreatedAt: time.Now()}
	check(t, r.DB.CreateTenant(t.Context(), tenant, c.admin, nil, note))
	c.user = r.person(t, c, "anna@"+domain, models.RoleUser)
	r.phone(t, c.admin, "Boss' desk", "100")
	return c
}

func (r *rights) person(t *testing.T, c company, email string, role models.Role) models.User {
	t.Helper()
	u := models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &c.id, Email: email, Name: "Anna Smit", Role: role, CreatedAt: time.Now()}
	check(t, r.DB.CreateUser(t.Context(), u, note))
	r.phone(t, u, "Anna's desk", "101")
	return u
}

func (r *rights) phone(t *testing.T, u models.User, label, endpoint string) {
	t.Helper()
	check(t, r.DB.AddDevice(t.Context(), models.Device{
		ID: uuid.Must(uuid.NewV7()), TenantID: *u.TenantID, UserID: u.ID, Label: label, Endpoint: endpoint, CreatedAt: time.Now(),
	}, note))
}

func (r *rights) signIn(t *testing.T, email string) auth.Tokens {
	t.Helper()
	code, _, err := r.auth.Pair(t.Context(), email, audit.Operator)
	check(t, err)
	tokens, err := r.auth.Redeem(t.Context(), code, auth.ExtensionClient, "Anna's browser")
	check(t, err)
	return tokens
}

func number(t *testing.T, text string) phone.Number {
	t.Helper()
	n, err := phone.Parse(text, "NL")
	check(t, err)
	return n
}

func to(t *testing.T, text string) retention.Subject {
	t.Helper()
	return retention.Subject{Number: number(t, text)}
}

// click is a call of the user, up, in the index and in the event stream.
func (r *rights) click(t *testing.T, u models.User, text, name string, age time.Duration) (models.Call, store.NewCall) {
	t.Helper()
	n := store.NewCall{
		TenantID: *u.TenantID, UserID: u.ID, Number: number(t, text), Name: phone.Name(name), Key: uuid.NewString(),
		Fingerprints: [2][]byte{[]byte(text), []byte("yesterday")}, At: time.Now().Add(-age).UTC().Truncate(time.Millisecond), MaxAge: 90 * models.Day,
		Limits: store.Limits{AtOnce: 100000}, ReplicaID: uuid.New(), ChannelID: "test-" + uuid.NewString(),
	}
	call, _, _, err := r.DB.CreateCall(t.Context(), n)
	check(t, err)
	check(t, r.Index.Add(t.Context(), live.Entry{User: u.ID, Call: call.ID, Expires: call.ExpiresAt}))
	return call, n
}

// end ends a call as the PBX would.
func (r *rights) end(t *testing.T, call models.Call) {
	t.Helper()
	_, changed, err := r.DB.Advance(t.Context(), call.ChannelID, func(c models.FollowedCall) (store.Step, bool) {
		connected, over := c.CreatedAt.Add(time.Second), c.CreatedAt.Add(61*time.Second)
		return store.Step{
			Status: models.Disconnected, Reason: models.HangUp, Diagnosis: models.HungUp, At: over,
			CallerAnsweredAt: &connected, ConnectedAt: &connected, EndedAt: &over,
		}, true
	})
	if err != nil || !changed {
		t.Fatalf("it does not end: %v %v", changed, err)
	}
}

// past is a call that has ended.
func (r *rights) past(t *testing.T, u models.User, text, name string) (models.Call, store.NewCall) {
	t.Helper()
	call, n := r.click(t, u, text, name, time.Hour)
	r.end(t, call)
	return call, n
}

// value asks as a role of the migrations, in the name of a tenant.
func (r *rights) value(t *testing.T, role string, tenant uuid.UUID, query string, args ...any) string {
	t.Helper()
	db, err := sql.Open("pgx", r.url)
	check(t, err)
	defer db.Close() //nolint:errcheck // one query long
	tx, err := db.Begin()
	check(t, err)
	of := ""
	if tenant != uuid.Nil {
		of = tenant.String()
	}
	_, err = tx.Exec("SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)", role, of)
	check(t, err)
	var found sql.NullString
	if err := tx.QueryRow(query, args...).Scan(&found); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	check(t, tx.Commit())
	return found.String
}

// calls counts the records of a company, restricted ones too.
func (r *rights) calls(t *testing.T, c company, where string, args ...any) string {
	t.Helper()
	return r.value(t, "ctd_follow", uuid.Nil, "SELECT count(*)::text FROM calls WHERE tenant_id = '"+c.id.String()+"' AND "+where, args...)
}

// everything is all that Redis holds of one prefix, keys and values.
const everything = `local all = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind, held = redis.call('TYPE', key).ok, ''
  if kind == 'string' then held = redis.call('GET', key)
  elseif kind == 'zset' then held = table.concat(redis.call('ZRANGE', key, 0, -1), ' ')
  elseif kind == 'stream' then held = cjson.encode(redis.call('XRANGE', key, '-', '+'))
  elseif kind == 'set' then held = table.concat(redis.call('SMEMBERS', key), ' ')
  elseif kind == 'hash' then held = table.concat(redis.call('HGETALL', key), ' ') end
  all[#all + 1] = key .. ' ' .. kind .. ' ' .. held
end
return table.concat(all, string.char(10))`

// remembers says whether Redis holds the text in any key or value of ours.
func (r *rights) remembers(t *testing.T, text string) bool {
	t.Helper()
	return strings.Contains(testdb.Speak(t, r.redisURL, "EVAL", everything, "0", r.prefix), text)
}

// export writes a whole export.
func (r *rights) export(t *testing.T, by models.Actor, s retention.Subject, wish retention.Wish) (string, retention.Receipt) {
	t.Helper()
	e, err := r.Export(t.Context(), by, s, wish)
	check(t, err)
	var out bytes.Buffer
	receipt, err := e.Write(t.Context(), &out, func() error { return nil })
	check(t, err)
	return out.String(), receipt
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
