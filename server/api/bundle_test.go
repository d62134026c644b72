package api_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/pbx/practice"
	"clicktodial/server/phone"
	"clicktodial/server/policy"
	"clicktodial/server/retention"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
	"clicktodial/server/web"
)

const (
	// deadline bounds every wait; a good run needs a tenth of it.
	deadline    = 20 * time.Second
	extensionID = "abcdefghijklmnopabcdefghijklmnop"
	origin      = "chrome-extension://" + extensionID
	number      = "+31201234567"
)

// bundle is an installation: a database, a Redis prefix, keys, and a clock that
// tests may push. Its replicas are started with start.
type bundle struct {
	dbURL, redisURL, prefix string

	db    *store.DB // not by way of any line that a test cuts
	keys  *secret.Keys
	auth  *auth.Service
	log   *syncBuffer
	ghost uuid.UUID    // a replica that is never found dead
	ahead atomic.Int64 // how far the services' clock is ahead of ours
	http  *http.Client
}

func (b *bundle) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{dbURL: testdb.URL(t), redisURL: testdb.RedisURL(t), prefix: testdb.Prefix(), log: &syncBuffer{}, ghost: uuid.New()}
	var err error
	if b.keys, err = secret.NewKeys([][]byte{bytes.Repeat([]byte{7}, 32)}); err != nil {
		t.Fatal(err)
	}
	b.db = openStore(t, b.dbURL)
	b.auth = &auth.Service{DB: b.db, Redis: openRedis(t, b.redisURL, b.prefix), Keys: b.keys, Now: b.now}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.http = &http.Client{Transport: transport, Timeout: deadline, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(transport.CloseIdleConnections)
	return b
}

func openStore(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

func openRedis(t *testing.T, url, prefix string) *live.Redis {
	t.Helper()
	r, err := live.Open(url, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
	return r
}

// replica is a running server, put together as package cli does it.
type replica struct {
	*bundle
	t       *testing.T
	url     string
	app     *fiber.App
	huma    huma.API
	calls   *call.Service
	auth    *auth.Service
	privacy *retention.Privacy
	lines   *call.Lines
	redis   *live.Redis
	closing chan struct{}
	end     func()
}

// options are what a test wants otherwise.
type options struct {
	pbx      pbx.Adapter // nil: a practice exchange in a hurry
	practice string      // its URL
	rules    policy.Rules
	maxAge   time.Duration
	pace     api.Pace
	dbURL    string // by way of a line, perhaps
	redisURL string
	deaf     bool // nobody runs the calls: the PBX is never up
	proxies  []string
	more     func(*fiber.App) // routes of the test's own
}

func (b *bundle) start(t *testing.T, o options) *replica {
	t.Helper()
	o = o.filled(b)
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := &replica{bundle: b, t: t, closing: make(chan struct{}), redis: openRedis(t, o.redisURL, b.prefix)}
	db := b.db
	if o.dbURL != b.dbURL {
		db = openStore(t, o.dbURL)
	}
	if o.pbx == nil {
		line, err := practice.Open(o.practice, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		o.pbx = line
	}
	none := func(context.Context, uuid.UUID) (pbx.Adapter, error) { return nil, store.ErrNotFound }
	fanout := live.NewFanout(r.redis)
	r.lines = call.NewLines(o.pbx, none, log)
	var err error
	if r.calls, err = call.New(call.Parts{
		DB: db, Index: live.NewTTLIndex(r.redis), Fanout: fanout, Lines: r.lines,
		Check: o.rules.Check, Keys: b.keys, MaxAge: o.maxAge, Now: time.Now, Log: log,
	}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + listener.Addr().String()
	r.app = web.New(web.Options{PublicURL: r.url, ExtensionIDs: []string{extensionID}, TrustedProxies: o.proxies, Log: log, Now: time.Now})
	r.auth = &auth.Service{
		DB: db, Redis: r.redis, Cache: live.NewTokenCache(r.redis), Keys: b.keys, PublicURL: r.url, Now: b.now, Log: log,
		OnEnded: r.calls.EndRevoked,
	}
	r.privacy = &retention.Privacy{
		DB: db, Index: live.NewTTLIndex(r.redis), Keys: b.keys, Now: b.now, Log: log, EndSignIns: r.auth.EndSignIns, ChangePerson: r.auth.ChangePerson,
	}
	r.huma = (&api.API{
		Calls: r.calls, Auth: r.auth, Privacy: r.privacy, Company: &call.Company{DB: db, Index: live.NewTTLIndex(r.redis), Keys: b.keys, Now: time.Now},
		Chooser: &retention.Chooser{DB: db, Ceiling: o.maxAge},
		Ready:   func(ctx context.Context) []api.Dependency { return r.ready(ctx, db) },
		Origin:  web.OwnOrigin(r.url, []string{extensionID}), MaxAge: o.maxAge, Now: b.now, Log: log, Closing: r.closing, Pace: o.pace,
	}).Register(r.app)
	if o.more != nil {
		o.more(r.app)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = r.app.Listener(listener) })
	work.Go(func() { _ = r.auth.Run(ctx) })
	if !o.deaf {
		work.Go(func() { _ = r.calls.Run(ctx) })
	}
	r.end = sync.OnceFunc(func() {
		close(r.closing)
		b.http.CloseIdleConnections()
		if err := r.app.ShutdownWithTimeout(deadline); err != nil {
			t.Errorf("the app does not stop: %v", err)
		}
		_ = listener.Close() // when it was stopped before it had begun
		cancel()
		work.Wait()
		_ = fanout.Close()
	})
	t.Cleanup(r.end)
	if !o.deaf {
		eventually(t, "the line to the PBX is up", func() bool { return r.lines.Up() == nil })
	}
	return r
}

func (o options) filled(b *bundle) options {
	if o.practice == "" {
		o.practice = "practice://?ring=5ms&callee=5ms&talk=5ms&unanswered=5ms"
	}
	if o.rules == (policy.Rules{}) {
		o.rules = policy.Rules{PerMinute: 100000, AtOnce: 1000}
	}
	if o.maxAge == 0 {
		o.maxAge = 90 * models.Day
	}
	if o.dbURL == "" {
		o.dbURL = b.dbURL
	}
	if o.redisURL == "" {
		o.redisURL = b.redisURL
	}
	return o
}

// ready is a small form of what package cli wires.
func (r *replica) ready(ctx context.Context, db *store.DB) []api.Dependency {
	return []api.Dependency{
		{Name: "postgres", Required: true, OK: db.Ping(ctx) == nil}, {Name: "redis", OK: r.redis.Ping(ctx) == nil},
		{Name: "pbx", OK: r.lines.Up() == nil},
	}
}

// up is an installation with one replica, and Anna signed in to it.
func up(t *testing.T, o options) (*replica, person) {
	t.Helper()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	return b.start(t, o), anna
}

// person is a user of a tenant of their own, who has a phone and is signed in.
type person struct {
	tenant models.Tenant
	user   models.User
	device models.Device
	auth.Tokens
}

func (b *bundle) person(t *testing.T, email string) person {
	t.Helper()
	p := person{tenant: models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, UsersMayDelete: true, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}}
	p.user = models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &p.tenant.ID, Email: email, Name: "Anna Smit", Role: models.RoleAdmin, CreatedAt: time.Now()}
	check(t, b.db.CreateTenant(context.Background(), p.tenant, p.user, nil, entry))
	p.device = b.device(t, p, "Desk", "101")
	p.Tokens = b.signIn(t, email)
	return p
}

// colleague is another user of the same tenant.
func (b *bundle) colleague(t *testing.T, of person, email string) person {
	t.Helper()
	p := person{tenant: of.tenant}
	p.user = models.User{ID: uuid.Must(uuid.NewV7()), TenantID: &p.tenant.ID, Email: email, Role: models.RoleUser, CreatedAt: time.Now()}
	check(t, b.db.CreateUser(context.Background(), p.user, entry))
	p.device = b.device(t, p, "Desk", "102")
	p.Tokens = b.signIn(t, email)
	return p
}

func (b *bundle) device(t *testing.T, of person, label, endpoint string) models.Device {
	t.Helper()
	d := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: of.tenant.ID, UserID: of.user.ID, Label: label, Endpoint: endpoint, CreatedAt: time.Now()}
	check(t, b.db.AddDevice(context.Background(), d, entry))
	return d
}

var entry = audit.Entry(audit.Operator, "test", audit.Subject{}, "")

func (b *bundle) pair(t *testing.T, email string) string {
	t.Helper()
	code, _, err := b.auth.Pair(context.Background(), email, audit.Operator)
	check(t, err)
	return code
}

func (b *bundle) signIn(t *testing.T, email string) auth.Tokens {
	t.Helper()
	tokens, err := b.auth.Redeem(context.Background(), b.pair(t, email), auth.ExtensionClient, "Test browser")
	check(t, err)
	return tokens
}

// sql runs a statement as a role of the migrations, and says how many rows it met.
func (b *bundle) sql(t *testing.T, role, statement string, args ...any) int64 {
	t.Helper()
	var n int64
	b.tx(t, role, func(tx *sql.Tx) error {
		res, err := tx.Exec(statement, args...)
		if err == nil {
			n, err = res.RowsAffected()
		}
		return err
	})
	return n
}

// count counts rows of a table as ctd_follow or another role sees them.
func (b *bundle) count(t *testing.T, role, table string) (n int) {
	t.Helper()
	b.tx(t, role, func(tx *sql.Tx) error { return tx.QueryRow("SELECT count(*) FROM " + table).Scan(&n) })
	return n
}

func (b *bundle) tx(t *testing.T, role string, fn func(*sql.Tx) error) {
	t.Helper()
	db, err := sql.Open("pgx", b.dbURL)
	check(t, err)
	defer db.Close() //nolint:errcheck // one statement long
	tx, err := db.Begin()
	check(t, err)
	if _, err := tx.Exec("SELECT set_config('role', $1, true)", role); err != nil {
		t.Fatal(err)
	}
	if err := fn(tx); err != nil {
		t.Fatal(err)
	}
	check(t, tx.Commit())
}

// ask is a request; the zero values send nothing.
type ask struct {
	method, path string
	token        string
	body         any // string and []byte go as they are, all else as JSON
	kind         string
	key          string
	header       map[string]string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (r *replica) do(a ask) answer {
	r.t.Helper()
	got, err := r.try(a)
	if err != nil {
		r.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	return got
}

// try is do for goroutines.
func (r *replica) try(a ask) (answer, error) {
	var body io.Reader
	kind := a.kind
	switch v := a.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(v)
	case []byte:
		body = bytes.NewReader(v)
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(raw)
	}
	if body != nil && kind == "" {
		kind = "application/json"
	}
	req, err := http.NewRequest(a.method, r.url+a.path, body)
	if err != nil {
		return answer{}, err
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if kind != "none" {
		set("Content-Type", kind)
	}
	set("Idempotency-Key", a.key)
	if a.token != "" {
		set("Authorization", "Bearer "+a.token)
	}
	for name, value := range a.header {
		set(name, value)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	got := answer{status: res.StatusCode, header: res.Header}
	got.body, err = io.ReadAll(res.Body)
	return got, err
}

// read decodes the body.
func read[T any](t testing.TB, a answer) (v T) {
	t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("answer %d is no JSON: %v: %s", a.status, err, a.body)
	}
	return v
}

// problem checks that the answer is a whole problem with this status and code;
// code "" takes any.
func (a answer) problem(t testing.TB, status int, code string) web.Problem {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d %s: %s", a.status, status, code, a.body)
	}
	p := read[web.Problem](t, a)
	if kind := a.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type %q", kind)
	}
	a.common(t)
	if p.Status != status || p.Code == "" || p.Type != "urn:clicktodial:problem:"+p.Code || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("odd problem %s", a.body)
	}
	if code != "" && p.Code != code {
		t.Fatalf("code %q, want %q", p.Code, code)
	}
	return p
}

// ok checks the status of an answer that is no problem.
func (a answer) ok(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	a.common(t)
	return a
}

// common is what every answer carries.
func (a answer) common(t testing.TB) {
	t.Helper()
	if _, err := uuid.Parse(a.header.Get("X-Request-Id")); err != nil || len(a.header.Values("X-Request-Id")) != 1 {
		t.Errorf("X-Request-Id %q", a.header.Values("X-Request-Id"))
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
	} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if bytes.Contains(a.body, []byte("$schema")) {
		t.Errorf("$schema in %s", a.body)
	}
}

// dial starts a call.
func (r *replica) dial(p person, body map[string]any) api.Call {
	r.t.Helper()
	return read[api.Call](r.t, r.do(ask{method: "POST", path: "/v1/calls", token: p.Access, key: uuid.NewString(), body: body}).ok(r.t, 201))
}

// finished waits until a call has ended, and gives it.
func (r *replica) finished(p person, id uuid.UUID) api.Call {
	r.t.Helper()
	var c api.Call
	eventually(r.t, "the call has ended", func() bool {
		c = read[api.Call](r.t, r.do(ask{method: "GET", path: "/v1/calls/" + id.String(), token: p.Access}).ok(r.t, 200))
		return models.Status(c.Status).Ended()
	})
	return c
}

// past enters an ended call of long ago, without a PBX.
func (b *bundle) past(t *testing.T, p person, text, name string, at time.Time) uuid.UUID {
	t.Helper()
	n, err := phone.Parse(text, "NL")
	check(t, err)
	check(t, b.db.Beat(context.Background(), b.ghost)) // or a replica would adopt the call before its end is written
	row, _, _, err := b.db.CreateCall(context.Background(), store.NewCall{
		TenantID: p.tenant.ID, UserID: p.user.ID, Number: n, Name: phone.Name(name), Key: uuid.NewString(),
		Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: at.Truncate(time.Millisecond), MaxAge: 90 * models.Day,
		Limits: store.Limits{AtOnce: 100000, PerWindow: 100000, Window: time.Minute}, ReplicaID: b.ghost, ChannelID: "test-" + uuid.NewString(),
	})
	check(t, err)
	_, changed, err := b.db.Advance(context.Background(), row.ChannelID, func(models.FollowedCall) (store.Step, bool) {
		return store.Step{Status: models.Disconnected, Reason: models.HangUp, Diagnosis: models.HungUp, At: at, EndedAt: &at}, true
	})
	if err != nil || !changed {
		t.Fatalf("ending a call: %v %v", changed, err)
	}
	return row.ID
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually looks until it is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// syncBuffer is a log that many write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// silent fails when the log holds any of the texts.
func (b *bundle) silent(t testing.TB, texts ...string) {
	t.Helper()
	log := b.log.String()
	for _, text := range texts {
		if text != "" && strings.Contains(log, text) {
			t.Errorf("the log tells %q: %s", text, excerpt(log, text))
		}
	}
}

func excerpt(log, text string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}
