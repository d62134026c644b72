package live

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

const deadline = 10 * time.Second

// testdb cannot be used here: it imports this package, and these tests look
// inside. So the Redis of the test run is opened by hand.
func redisURL(t *testing.T) string {
	t.Helper()
	u := os.Getenv("TEST_REDIS_URL")
	if u == "" && os.Getenv("CI") != "" {
		t.Fatal("TEST_REDIS_URL is not set: run scripts/test")
	}
	if u == "" {
		t.Skip("SKIPPED: TEST_REDIS_URL is not set; scripts/test starts what this test needs")
	}
	return u
}

func setup(t *testing.T) *Redis {
	t.Helper()
	return open(t, redisURL(t), "ctdtest:"+uuid.NewString()+":")
}

func open(t *testing.T, url, prefix string) *Redis {
	t.Helper()
	r, err := Open(url, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
	return r
}

func newFanout(t *testing.T, r *Redis) *Fanout {
	t.Helper()
	f := NewFanout(r)
	t.Cleanup(func() { f.Close() }) //nolint:errcheck // the test is over
	return f
}

// keys are all keys of the test.
func keys(t *testing.T, r *Redis) []string {
	t.Helper()
	found, err := r.client.Keys(context.Background(), r.prefix+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTTLIndex(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	x := NewTTLIndex(r)
	now := time.Now().UTC()
	midnight := now.Truncate(models.Day).Add(2 * models.Day)
	rows := []struct {
		name    string
		expires time.Time
		gone    time.Time // when its key goes
	}{
		{"in a while", now.Add(90 * models.Day).Truncate(time.Millisecond), now.Truncate(models.Day).Add(91 * models.Day)},
		{"just before midnight", midnight.Add(-time.Millisecond), midnight},
		{"at midnight", midnight, midnight.Add(models.Day)},
		{"elsewhere's zone", midnight.Add(-time.Millisecond).In(time.FixedZone("", 7200)), midnight},
	}
	for _, row := range rows {
		user, call := uuid.New(), uuid.New()
		for range 2 { // a write that is repeated does no harm
			if err := x.Add(ctx, Entry{user, call, row.expires}); err != nil {
				t.Fatal(err)
			}
		}
		day := row.gone.Add(-models.Day).Format("2006-01-02")
		for key, gone := range map[string]time.Time{
			r.prefix + "hist:{" + user.String() + "}:" + day: row.gone,
			r.prefix + "due:" + day:                          row.gone.Add(models.Day),
		} {
			member := call.String()
			if strings.Contains(key, "due:") {
				member += ":" + user.String()
			}
			score, err := r.client.ZScore(ctx, key, member).Result()
			if err != nil || int64(score) != row.expires.UnixMilli() {
				t.Errorf("%s: score %v, %v, want %d", row.name, score, err, row.expires.UnixMilli())
			}
			at, err := r.client.PExpireTime(ctx, key).Result()
			if err != nil || at.Milliseconds() != gone.UnixMilli() {
				t.Errorf("%s: the key goes at %v, want %v (%v)", row.name, time.UnixMilli(at.Milliseconds()), gone, err)
			}
		}
		if err := x.Remove(ctx, Entry{user, call, row.expires}); err != nil {
			t.Fatal(err)
		}
		if n, err := r.client.ZCard(ctx, r.prefix+"hist:{"+user.String()+"}:"+day).Result(); err != nil || n != 0 {
			t.Errorf("%s: %d members after Remove, %v", row.name, n, err)
		}
	}
}

// An entry that has ended already leaves nothing behind.
func TestTTLIndexOfThePast(t *testing.T) {
	t.Parallel()
	r := setup(t)
	if err := NewTTLIndex(r).Add(context.Background(), Entry{uuid.New(), uuid.New(), time.Now().Add(-5 * models.Day)}); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, r); len(left) != 0 {
		t.Errorf("keys that should have gone: %v", left)
	}
}

func step(status models.Status) Event {
	return Event{CallID: uuid.New(), Status: status, CreatedAt: time.Now().UTC(), ExpiresAt: time.Now().UTC().Add(time.Hour)}
}

func awaitWake(t *testing.T, s *Subscription) {
	t.Helper()
	select {
	case <-s.Wake():
	case <-time.After(deadline):
		t.Fatal("nobody was woken")
	}
}

// awaitListening waits until Redis itself knows of the subscription.
func awaitListening(t *testing.T, r *Redis, f *Fanout, user uuid.UUID, want int64) {
	t.Helper()
	end := time.After(deadline)
	for {
		n, err := r.client.PubSubNumSub(context.Background(), f.pokeChannel(user)).Result()
		if err == nil && n[f.pokeChannel(user)] == want {
			return
		}
		select {
		case <-end:
			t.Fatalf("Redis has %v listeners, want %d", n, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// From one replica to the sockets of another, in order, to the user's only.
func TestFanout(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	here, there := newFanout(t, r), newFanout(t, open(t, redisURL(t), r.prefix))
	user := uuid.New()
	sub, stranger, own := there.Subscribe(ctx, user), there.Subscribe(ctx, uuid.New()), here.Subscribe(ctx, user)
	awaitListening(t, r, there, user, 2)
	want := []models.Status{models.CallingCaller, models.CallingCallee, models.Connected, models.Disconnected}
	reason := models.HangUp
	for _, status := range want {
		ev := step(status)
		if status.Ended() {
			ev.Reason = &reason
		}
		if err := here.Publish(ctx, user, ev); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]*Subscription{"the other replica": sub, "this replica": own} {
		awaitWake(t, s)
		events, err := s.Since(ctx, "")
		if err != nil || len(events) != len(want) {
			t.Fatalf("%s: %d events, %v", name, len(events), err)
		}
		for i, ev := range events {
			if ev.Status != want[i] || ev.ID == "" {
				t.Errorf("%s: event %d is %s %q", name, i, ev.Status, ev.ID)
			}
		}
		if last := events[3]; last.Reason == nil || *last.Reason != reason {
			t.Errorf("%s: the reason is %v", name, last.Reason)
		}
		after, err := s.Since(ctx, events[1].ID)
		if err != nil || len(after) != 2 || after[0].Status != models.Connected {
			t.Errorf("%s: after the second: %v, %v", name, after, err)
		}
		if none, err := s.Since(ctx, events[3].ID); err != nil || len(none) != 0 {
			t.Errorf("%s: after the last: %v, %v", name, none, err)
		}
	}
	select {
	case <-stranger.Wake():
		t.Error("another user was woken")
	default:
	}
	if events, err := stranger.Since(ctx, ""); err != nil || len(events) != 0 {
		t.Errorf("another user sees %v, %v", events, err)
	}
}

func TestLast(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	f := newFanout(t, r)
	user := uuid.New()
	s := f.Subscribe(ctx, user)
	if last, known, err := s.Last(ctx, ""); last != "" || known || err != nil {
		t.Errorf("of nothing: %q, %v, %v", last, known, err)
	}
	for range 3 {
		if err := f.Publish(ctx, user, step(models.Connected)); err != nil {
			t.Fatal(err)
		}
	}
	events, err := s.Since(ctx, "")
	if err != nil || len(events) != 3 {
		t.Fatal(len(events), err)
	}
	rows := map[string]struct {
		after string
		known bool
	}{
		"first":          {events[0].ID, true},
		"newest":         {events[2].ID, true},
		"none":           {"", false},
		"trimmed":        {"1-1", false},
		"of the future":  {"99999999999999-0", false},
		"malformed":      {"x", false},
		"half an id":     {"123", false},
		"a range's edge": {"-", false},
		"another edge":   {"+", false},
		"exclusive":      {"(" + events[0].ID, false},
		"huge":           {strings.Repeat("9", 19) + "-" + strings.Repeat("9", 19), false},
		"injection":      {"1-1\r\nFLUSHALL", false},
	}
	for name, row := range rows {
		last, known, err := s.Last(ctx, row.after)
		if last != events[2].ID || known != row.known || err != nil {
			t.Errorf("%s: %q, known %v, %v", name, last, known, err)
		}
		if _, err := s.Since(ctx, row.after); err != nil {
			t.Errorf("%s: Since: %v", name, err)
		}
	}
}

// All keys end, and hold ids, words and times only.
func TestKeysEndAndTellNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	user := uuid.New()
	if err := newFanout(t, r).Publish(ctx, user, step(models.Connected)); err != nil {
		t.Fatal(err)
	}
	if err := NewTTLIndex(r).Add(ctx, Entry{user, uuid.New(), time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for want := int64(1); want <= 3; want++ {
		if n, err := r.Count(ctx, "x", time.Minute, 1); err != nil || n != want {
			t.Errorf("counted %d, %v, want %d", n, err, want)
		}
	}
	found := keys(t, r)
	if len(found) != 4 {
		t.Fatalf("keys %v", found)
	}
	for _, key := range found {
		ttl, err := r.client.PTTL(ctx, key).Result()
		if err != nil || ttl <= 0 {
			t.Errorf("%s lives for ever: %v, %v", key, ttl, err)
		}
		if strings.Contains(key, ":ev:") && ttl > 10*time.Minute || strings.Contains(key, ":rate:") && ttl > time.Minute {
			t.Errorf("%s lives %v", key, ttl)
		}
	}
	entries, err := r.client.XRange(ctx, r.prefix+"ev:{"+user.String()+"}", "-", "+").Result()
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	for name := range entries[0].Values {
		if name != "e" {
			t.Errorf("an event has a field %q", name)
		}
	}
}

// The stream keeps a bounded number of events.
func TestStreamIsTrimmed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	f := newFanout(t, r)
	user := uuid.New()
	for range 2 * eventsAtMost {
		if err := f.Publish(ctx, user, step(models.Connected)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := r.client.XLen(ctx, f.redis.streamKey(user)).Result()
	if err != nil || n < eventsAtMost || n > eventsAtMost+200 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// The last socket of a user goes and the next comes, again and again: Redis's
// list of listeners follows.
func TestSubscribeAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	f := newFanout(t, r)
	user := uuid.New()
	for range 150 {
		var pages sync.WaitGroup
		for range 8 { // left and loaded again, all at once
			pages.Go(func() {
				for range 5 {
					f.Subscribe(ctx, user).Close(ctx)
				}
			})
		}
		var last *Subscription
		pages.Go(func() { last = f.Subscribe(ctx, user) })
		pages.Wait()
		awaitListening(t, r, f, user, 1)
		last.Close(ctx)
		awaitListening(t, r, f, user, 0)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subs) != 0 {
		t.Errorf("%d users are kept", len(f.subs))
	}
}

// line is a TCP line to Redis that can be cut and mended.
type line struct {
	url   string
	cut   chan bool
	ended chan struct{}
}

func newLine(t *testing.T) *line {
	t.Helper()
	u, err := url.Parse(redisURL(t))
	if err != nil {
		t.Fatal("TEST_REDIS_URL cannot be read")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{cut: make(chan bool), ended: make(chan struct{})}
	target := u.Host
	u.Host = listener.Addr().String()
	l.url = u.String()
	conns := make(chan net.Conn)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case conns <- c:
			case <-l.ended:
				return
			}
		}
	}()
	go l.serve(target, conns)
	t.Cleanup(func() {
		listener.Close() //nolint:errcheck // the test is over
		close(l.ended)
	})
	return l
}

// set cuts or mends; the second time it is heard, the first has been done.
func (l *line) set(cut bool) {
	l.cut <- cut
	l.cut <- cut
}

func (l *line) serve(target string, conns <-chan net.Conn) {
	var open []net.Conn
	isCut := false
	shut := func() {
		for _, c := range open {
			c.Close() //nolint:errcheck // that is the point
		}
		open = nil
	}
	defer shut()
	for {
		select {
		case isCut = <-l.cut:
			if isCut {
				shut()
			}
		case near := <-conns:
			far, err := net.Dial("tcp", target)
			if isCut || err != nil {
				near.Close() //nolint:errcheck // that is the point
				continue
			}
			open = append(open, near, far)
			go pipe(near, far)
			go pipe(far, near)
		case <-l.ended:
			return
		}
	}
}

func pipe(from, to net.Conn) {
	defer to.Close() //nolint:errcheck // over
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Redis goes and comes back: local sockets hear all the while, and a click loses
// no time to it.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	wire := newLine(t)
	r := open(t, wire.url, "ctdtest:"+uuid.NewString()+":")
	f := newFanout(t, r)
	user := uuid.New()
	s := f.Subscribe(ctx, user)
	if err := f.Publish(ctx, user, step(models.CallingCaller)); err != nil {
		t.Fatal(err)
	}
	awaitWake(t, s)
	before, err := s.Since(ctx, "")
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}

	wire.set(true)
	for i := range 5 {
		start := time.Now()
		if err := f.Publish(ctx, user, step(models.Connected)); !errors.Is(err, ErrDown) {
			t.Fatalf("while down: %v", err)
		}
		if took := time.Since(start); i > 0 && r.Down() && took > 50*time.Millisecond { // usually microseconds
			t.Errorf("while Redis rests, a step took %v", took)
		}
	}
	if !r.Down() {
		t.Error("Redis does not rest")
	}
	awaitWake(t, s)
	events, err := s.Since(ctx, before[0].ID)
	if !errors.Is(err, ErrDown) || len(events) != 5 || events[0].Status != models.Connected || events[0].ID != "" {
		t.Errorf("this replica's own: %d events, %v", len(events), err)
	}
	if err := NewTTLIndex(r).Add(ctx, Entry{user, uuid.New(), time.Now().Add(time.Hour)}); !errors.Is(err, ErrDown) {
		t.Errorf("the index: %v", err)
	}
	if _, _, err := s.Last(ctx, ""); !errors.Is(err, ErrDown) {
		t.Errorf("Last: %v", err)
	}
	start := time.Now()
	late := f.Subscribe(ctx, uuid.New()) // a socket that comes while it is down
	if took := time.Since(start); took > time.Second {
		t.Errorf("a socket waited %v for a Redis that is down", took)
	}
	if err := r.Ping(ctx); !errors.Is(err, ErrDown) {
		t.Errorf("Ping: %v", err)
	}

	wire.set(false)
	if err := r.Ping(ctx); err != nil {
		t.Fatalf("mended: %v", err)
	}
	if err := f.Publish(ctx, user, step(models.Disconnected)); err != nil {
		t.Fatalf("mended: %v", err)
	}
	awaitWake(t, s)
	events, err = s.Since(ctx, before[0].ID)
	if err != nil || len(events) == 0 || events[len(events)-1].Status != models.Disconnected {
		t.Errorf("afterwards: %v, %v", events, err)
	}
	// Pokes from other replicas come again, to the sockets of before and of meanwhile.
	direct := open(t, redisURL(t), r.prefix)
	awaitListening(t, direct, f, user, 1)
	awaitListening(t, direct, f, late.user, 1)
	if err := newFanout(t, direct).Publish(ctx, late.user, step(models.Connected)); err != nil {
		t.Fatal(err)
	}
	awaitWake(t, late)
}

// Who goes away does not make Redis rest for the others.
func TestCanceledCallerIsNoOutage(t *testing.T) {
	t.Parallel()
	r := setup(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Count(ctx, "x", time.Minute, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if r.Down() {
		t.Error("Redis rests")
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	if _, err := Open("redis://:secret@host:port/x", ""); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	policy, err := setup(t).Policy(context.Background())
	if err != nil || policy == "" {
		t.Errorf("policy %q, %v", policy, err)
	}
}

func TestCloseWhileDown(t *testing.T) {
	t.Parallel()
	f := NewFanout(open(t, "redis://127.0.0.1:1/0", "x:"))
	f.Subscribe(context.Background(), uuid.New())
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	select {
	case <-closed:
	case <-time.After(deadline):
		t.Fatal("Close does not end")
	}
}
