package call

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/pbx/practice"
	"clicktodial/server/phone"
	"clicktodial/server/policy"
	"clicktodial/server/secret"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// deadline bounds every wait of these tests; a good run needs a tenth of it.
const deadline = 15 * time.Second

// quick is the usual timing for tests that cannot wait as long as people do.
var quick = timing{
	beatEvery: 50 * time.Millisecond, deadAfter: 600 * time.Millisecond, adoptEvery: 50 * time.Millisecond,
	dispatchLimit: time.Second, answerLimit: time.Second,
	goneAfter: 300 * time.Millisecond, again: 50 * time.Millisecond,
}

// bundle is a tenant whose user clicks, and replicas that dial.
type bundle struct {
	url    string // of the database
	redis  string // URL
	prefix string
	db     *store.DB // not by way of any line that a test cuts
	sub    *live.Subscription
	log    *syncBuffer

	tenant models.Tenant
	user   models.User
	device models.Device
	caller Caller

	open   func(context.Context, uuid.UUID) (pbx.Adapter, error) // a tenant's own PBX
	check  Check
	keys   *secret.Keys
	maxAge time.Duration
	timing timing
	now    func() time.Time
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{
		url: testdb.URL(t), redis: testdb.RedisURL(t), prefix: testdb.Prefix(), log: &syncBuffer{},
		maxAge: 90 * models.Day, timing: quick, now: time.Now,
		open:  func(context.Context, uuid.UUID) (pbx.Adapter, error) { return nil, store.ErrNotFound },
		check: policy.Rules{PerMinute: 1000, AtOnce: 100}.Check,
	}
	b.db = openStore(t, b.url)
	b.keys = newKeys(t, 7)
	b.tenant = models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: "Acme", Region: "NL", Status: models.TenantActive, RetentionDays: 90,
		RingSeconds: 25, UsersMayDelete: true, EndpointGlobs: models.Texts{"*"}, CreatedAt: time.Now(),
	}
	b.user = models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &b.tenant.ID, Email: "anna@example.test", Role: models.RoleAdmin, CreatedAt: time.Now(),
	}
	b.device = models.Device{
		ID: uuid.Must(uuid.NewV7()), TenantID: b.tenant.ID, UserID: b.user.ID, Label: "desk", Endpoint: "101", CreatedAt: time.Now(),
	}
	ctx := context.Background()
	entry := audit.Entry(audit.Operator, "test", audit.Subject{}, "")
	if err := b.db.CreateTenant(ctx, b.tenant, b.user, nil, entry); err != nil {
		t.Fatal(err)
	}
	if err := b.db.AddDevice(ctx, b.device, entry); err != nil {
		t.Fatal(err)
	}
	b.caller = Caller{TenantID: b.tenant.ID, UserID: b.user.ID, Region: "NL"}
	fanout := b.openFanout(t, b.redis)
	b.sub = fanout.Subscribe(ctx, b.user.ID)
	t.Cleanup(func() {
		b.sub.Close(context.Background())
		for _, secret := range []string{"1234567", "20123", "123 4567", "Jansen", "anna@"} {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("the log tells %q:\n%s", secret, b.log.String())
			}
		}
	})
	return b
}

// newKeys makes keys of SECRET_KEYs, each one byte 32 times over.
func newKeys(t testing.TB, masters ...byte) *secret.Keys {
	t.Helper()
	var list [][]byte
	for _, m := range masters {
		list = append(list, bytes.Repeat([]byte{m}, 32))
	}
	keys, err := secret.NewKeys(list)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func openStore(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

func (b *bundle) openFanout(t testing.TB, url string) *live.Fanout {
	t.Helper()
	f := live.NewFanout(b.openRedis(t, url))
	t.Cleanup(func() { f.Close() }) //nolint:errcheck // the test is over
	return f
}

func (b *bundle) openRedis(t testing.TB, url string) *live.Redis {
	t.Helper()
	r, err := live.Open(url, b.prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
	return r
}

// setTenant changes the tenant's retention.
func (b *bundle) setDays(t *testing.T, days int) {
	t.Helper()
	change := store.TenantChange{RetentionDays: &days}
	if err := b.db.SetTenant(context.Background(), b.tenant.ID, change, audit.Entry(audit.Operator, "test", audit.Subject{}, "")); err != nil {
		t.Fatal(err)
	}
}

// replica is a running Service.
type replica struct {
	*Service
	cancel context.CancelFunc
	done   chan struct{}
}

// newService makes a replica's service on a line to a PBX; nobody runs it.
func (b *bundle) newService(t *testing.T, line pbx.Adapter) *Service {
	t.Helper()
	return b.newServiceOn(t, line, openStore(t, b.url), b.redis)
}

func (b *bundle) newServiceOn(t *testing.T, line pbx.Adapter, db *store.DB, redisURL string) *Service {
	t.Helper()
	log := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(Parts{
		DB: db, Index: live.NewTTLIndex(b.openRedis(t, redisURL)), Fanout: b.openFanout(t, redisURL),
		Lines: NewLines(line, b.open, log), Check: b.check, Keys: b.keys, MaxAge: b.maxAge, Now: b.now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.timing = b.timing
	return s
}

// run runs a service until the test ends, or stop.
func (b *bundle) run(t *testing.T, s *Service) *replica {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{Service: s, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		pprof.Do(ctx, r.label(), func(ctx context.Context) {
			if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
	}()
	t.Cleanup(func() { r.stop(t) })
	eventually(t, "the line is up", func() bool { return s.Lines.Up() == nil })
	eventually(t, "Run's goroutines are seen", func() bool { return r.goroutines(t) > 0 })
	return r
}

// stop ends a replica in good order, and waits for it.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(deadline):
		t.Fatal("Run does not end")
	}
	eventually(t, "no goroutine of Run is left", func() bool { return r.goroutines(t) == 0 })
}

// label marks the goroutines that Run starts, and those that they start.
func (r *replica) label() pprof.LabelSet { return pprof.Labels("replica", r.Replica.String()) }

func (r *replica) goroutines(t *testing.T) (n int) {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, r.Replica.String()) && strings.Contains(stack, "clicktodial/server/call.") {
			n++
		}
	}
	return n
}

// start makes a running replica on a line.
func (b *bundle) start(t *testing.T, line pbx.Adapter) *replica {
	t.Helper()
	return b.run(t, b.newService(t, line))
}

// practicePBX is a practice exchange in a hurry.
func (b *bundle) practicePBX(t *testing.T, url string) *practice.PBX {
	t.Helper()
	p, err := practice.Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func number(t *testing.T, text string) phone.Number {
	t.Helper()
	n, err := phone.Parse(text, "NL")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// click is a click on a number, with a key of its own.
func click(t *testing.T, text string) Click {
	t.Helper()
	return Click{Number: number(t, text), Name: "Jan Jansen", Key: uuid.NewString()}
}

func (b *bundle) dial(t *testing.T, s *Service, c Click) models.Call {
	t.Helper()
	call, replayed, err := s.Start(context.Background(), b.caller, c)
	if err != nil || replayed {
		t.Fatalf("Start: replayed %v, %v", replayed, err)
	}
	return call
}

// call reads a call.
func (b *bundle) call(t *testing.T, id uuid.UUID) models.Call {
	t.Helper()
	call, err := b.db.Call(context.Background(), b.tenant.ID, b.user.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// await waits until the call's row is as wanted.
func (b *bundle) await(t *testing.T, id uuid.UUID, what string, is func(models.Call) bool) models.Call {
	t.Helper()
	var call models.Call
	b.eventually(t, what, func() bool {
		call = b.call(t, id)
		return is(call)
	})
	return call
}

func (b *bundle) awaitStatus(t *testing.T, id uuid.UUID, want models.Status) models.Call {
	t.Helper()
	return b.await(t, id, string(want), func(c models.Call) bool { return c.Status == want })
}

func (b *bundle) awaitEnd(t *testing.T, id uuid.UUID) models.Call {
	t.Helper()
	return b.await(t, id, "its end", func(c models.Call) bool { return c.Status.Ended() })
}

// eventually looks each time that something was announced, and now and then.
func (b *bundle) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	waitFor(t, what, b.sub.Wake(), is)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	waitFor(t, what, nil, is)
}

func waitFor(t *testing.T, what string, wake <-chan struct{}, is func() bool) {
	t.Helper()
	end := time.After(deadline)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-wake:
		case <-look.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (b *bundle) history(t *testing.T) []models.Call {
	t.Helper()
	calls, err := b.db.History(context.Background(), b.tenant.ID, b.user.ID, store.Page{Limit: 100}, store.Search{})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// ends gives an ended call's status, reason and diagnosis in one word each.
func ends(c models.Call) string {
	text := string(c.Status)
	if c.Reason != nil {
		text += " " + string(*c.Reason)
	}
	if c.Diagnosis != nil {
		text += " " + string(*c.Diagnosis)
	}
	return text
}

// orphan leaves a row as a replica leaves it that dies right after its commit.
func (b *bundle) orphan(t *testing.T, text string, at time.Time) models.Call {
	t.Helper()
	print := sha256.Sum256([]byte(text))
	call, _, _, err := b.db.CreateCall(context.Background(), store.NewCall{
		TenantID: b.tenant.ID, UserID: b.user.ID, Number: number(t, text), Key: uuid.NewString(),
		Fingerprints: [2][]byte{print[:], print[:]}, At: at.UTC().Truncate(time.Millisecond), MaxAge: b.maxAge,
		Limits: store.Limits{AtOnce: 100}, ReplicaID: uuid.New(), ChannelID: newChannelID(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// peer is the other end of an adapter: it does as it is told and remembers. All
// replicas of a test may share one.
type peer struct {
	originated chan pbx.Originate // buffered; every request that came

	mu        sync.Mutex
	sinks     map[int]func(pbx.Event)
	next      int
	down      error
	originate func(context.Context, pbx.Originate) error
	adopt     func(channel string) (pbx.Snapshot, error)
	hangup    func(channel string) error
	sent      []pbx.Originate
	hungUp    []string
	forgotten []string
}

func newPeer() *peer {
	return &peer{
		originated: make(chan pbx.Originate, 1000), sinks: map[int]func(pbx.Event){},
		originate: func(context.Context, pbx.Originate) error { return nil },
		adopt:     func(string) (pbx.Snapshot, error) { return pbx.Snapshot{}, pbx.ErrGone },
		hangup:    func(string) error { return nil },
	}
}

func (p *peer) Run(ctx context.Context, sink func(pbx.Event)) error {
	p.mu.Lock()
	id := p.next
	p.next++
	p.sinks[id] = sink
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	delete(p.sinks, id)
	p.mu.Unlock()
	return ctx.Err()
}

func (p *peer) Up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sinks) == 0 {
		return pbx.Unavailable(errors.New("not running"))
	}
	return p.down
}

func (p *peer) set(change func(p *peer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *peer) Originate(ctx context.Context, req pbx.Originate) error {
	p.mu.Lock()
	p.sent = append(p.sent, req)
	answer := p.originate
	p.mu.Unlock()
	p.originated <- req
	return answer(ctx, req)
}

func (p *peer) Hangup(_ context.Context, channel string) error {
	p.mu.Lock()
	p.hungUp = append(p.hungUp, channel)
	answer := p.hangup
	p.mu.Unlock()
	return answer(channel)
}

func (p *peer) Adopt(_ context.Context, channel string) (pbx.Snapshot, error) {
	p.mu.Lock()
	answer := p.adopt
	p.mu.Unlock()
	return answer(channel)
}

func (p *peer) Forget(channel string) {
	p.set(func(p *peer) { p.forgotten = append(p.forgotten, channel) })
}

func (p *peer) Devices(_ context.Context, endpoints []string) (map[string]pbx.DeviceState, error) {
	states := map[string]pbx.DeviceState{}
	for _, e := range endpoints {
		states[e] = pbx.DeviceIdle
	}
	return states, nil
}

func (p *peer) Check(context.Context, pbx.Check) (pbx.Report, error) { return pbx.Report{}, nil }

// emit tells all lines of an event.
func (p *peer) emit(channel string, kind pbx.EventKind, end pbx.End) {
	p.mu.Lock()
	sinks := make([]func(pbx.Event), 0, len(p.sinks))
	for _, sink := range p.sinks {
		sinks = append(sinks, sink)
	}
	p.mu.Unlock()
	for _, sink := range sinks {
		sink(pbx.Event{ChannelID: channel, Kind: kind, End: end, At: time.Now()})
	}
}

func (p *peer) sentCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

// nextOriginate waits for a request.
func (p *peer) nextOriginate(t *testing.T) pbx.Originate {
	t.Helper()
	select {
	case req := <-p.originated:
		return req
	case <-time.After(deadline):
		t.Fatal("nothing was dialled")
		return pbx.Originate{}
	}
}

func wantCode(t *testing.T, err error, code string) *fault.Error {
	t.Helper()
	f, ok := fault.Of(err)
	if !ok || f.Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
	return f
}

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
