package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/call"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/testdb"
)

const (
	lifetime   = 2 * time.Second        // HISTORY_MAX_AGE of these tests
	purgeEvery = 200 * time.Millisecond // PURGE_INTERVAL
	purgeSlack = 5 * time.Second
	rounds     = 10 // a busy machine may answer nothing in time, of a whole round
)

// A record ends at its instant, whichever way one looks, and not before: with all
// layers up, and with those gone that can be.
func TestARecordEndsOnTime(t *testing.T) {
	t.Parallel()
	for _, s := range []scene{
		{name: "all is well", purge: true, forgets: true},
		{name: "the purge is stopped"},
		{name: "Redis is stopped", purge: true, before: (*stage).stopRedis, lost: true, deaf: true},
		{name: "row-level security alone: both are stopped", before: (*stage).stopRedis, lost: true, deaf: true},
		{name: "Redis is emptied, and the index rebuilt", purge: true, forgets: true, before: (*stage).emptyRedis, lost: true},
		{name: "another Redis takes its place, and the index is rebuilt", before: (*stage).replaceRedis, lost: true},
		{name: "the index alone: Postgres shows the row for longer", before: (*stage).lengthen, noSQL: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := newStage(t, s)
			for round := range rounds {
				if st.play(t, round == rounds-1) {
					return
				}
			}
		})
	}
}

// The purge alone: with the policies opened and Redis away the record is seen after
// its end, and gone soon after. The API does not show it even so.
func TestThePurgeAlone(t *testing.T) {
	t.Parallel()
	st := newStage(t, scene{})
	st.mark(t)
	st.call = st.dial(st.anna, map[string]any{"number": number, "name": "Mrs Quince"})
	st.finished(st.anna, st.call.ID)
	st.server.Kill()
	st.pool.open(t)
	at := st.call.ExpiresAt
	<-time.NewTimer(time.Until(at.Add(20 * time.Millisecond))).C
	for _, p := range probes {
		if p.unasked(scene{deaf: true}) {
			continue
		}
		there, err := p.look(st, t, time.Now())
		if !errors.Is(err, errNotHeard) { // it is away
			check(t, err)
		}
		if isSQL := strings.HasPrefix(p.name, "SQL"); there != isSQL {
			t.Errorf("%s, after the end: there %v, want %v", p.name, there, isSQL)
		}
	}
	began := time.Now()
	st.while(t, (&retention.PurgeJob{DB: st.db, Interval: purgeEvery, Log: slog.New(slog.DiscardHandler)}).Run)
	eventually(t, "the row has gone", func() bool { return st.pool.owner(t, st.call.ID) == 0 })
	if took := time.Since(began); took > purgeEvery+purgeSlack {
		t.Errorf("it took %v", took)
	}
}

// scene is what is up while a record ends.
type scene struct {
	name    string
	purge   bool
	forgets bool                     // and Redis holds nothing of it soon after
	before  func(*stage, *testing.T) // what happens between the call and its end
	lost    bool                     // the events of the call are lost: a replay may be silent
	deaf    bool                     // Redis is not there to be asked
	noSQL   bool                     // Postgres shows the row; the API must not
}

// stage is an installation with a Redis of its own, and one record at a time.
type stage struct {
	scene
	*replica
	anna   person
	server *testdb.RedisServer
	pool   *sqlPool

	after  string           // the last event before the call
	call   api.Call         // whose record ends
	counts map[string]*seen // of all rounds; a probe that cannot be asked has none
}

func newStage(t *testing.T, s scene) *stage {
	t.Helper()
	b := setup(t)
	st := &stage{scene: s, server: testdb.NewRedisServer(t), anna: b.person(t, "anna@example.test"), pool: openPool(t, b.dbURL)}
	st.pool.noteEnds(t)
	b.redisURL = st.server.URL
	st.replica = b.start(t, options{maxAge: lifetime, pace: api.Pace{Ping: 20 * time.Millisecond}})
	quiet := slog.New(slog.DiscardHandler)
	index := live.NewTTLIndex(openRedis(t, b.redisURL, b.prefix))
	st.while(t, (&call.IndexJob{DB: b.db, Index: index, Every: 50 * time.Millisecond, Now: time.Now, Log: quiet}).Run)
	if s.purge {
		st.while(t, (&retention.PurgeJob{DB: b.db, Index: index, Interval: purgeEvery, Log: quiet}).Run)
	}
	st.counts = map[string]*seen{}
	for _, p := range probes {
		if p.unasked(s) {
			continue
		}
		st.counts[p.name] = &seen{}
		if p.silent(s) {
			st.counts[p.name].before = 1
		}
	}
	return st
}

// while runs a job until the test ends.
func (st *stage) while(t *testing.T, job func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = job(ctx) }) // ends with ctx
	t.Cleanup(func() { cancel(); work.Wait() })
}

// play makes a record and looks at its end; false when too few looks were
// decisive, which the last round does not forgive.
func (st *stage) play(t *testing.T, last bool) bool {
	t.Helper()
	st.server.Kill() // each round begins well
	st.server.Start()
	eventually(t, "Redis is well", func() bool { return st.redis.Ping(t.Context()) == nil })
	st.mark(t)
	st.call = st.dial(st.anna, map[string]any{"number": number, "name": "Mrs Quince"})
	st.finished(st.anna, st.call.ID)
	eventually(t, "the index has it", func() bool { return st.scored(t, time.Now()) })
	if st.before != nil {
		st.before(st, t)
	}
	st.probe(t)
	if t.Failed() {
		return true
	}
	for name, c := range st.counts {
		if c.before > 0 && c.after >= 5 {
			continue
		}
		if last {
			t.Errorf("%s: %d decisive looks before the end and %d after it are too few", name, c.before, c.after)
		} else {
			t.Logf("%s: %d decisive looks before the end and %d after it; once more", name, c.before, c.after)
			return false
		}
	}
	st.aftermath(t)
	return true
}

// mark writes an event that stays, so that a replay has where to begin.
func (st *stage) mark(t *testing.T) {
	t.Helper()
	f := live.NewFanout(openRedis(t, st.redisURL, st.prefix))
	defer f.Close() //nolint:errcheck // one event long
	check(t, f.Publish(t.Context(), st.anna.user.ID, live.Event{
		CallID: uuid.New(), Status: models.Connected, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}))
	_, ready := st.listen(t, st.anna.Access, "")
	st.after = ready.ID
}

// aftermath waits until the purge has been, and looks for what is left. When the row
// went Postgres itself has noted, and a look at Redis counts by when it was sent: how
// long a busy machine takes to come to it says nothing about the purge.
func (st *stage) aftermath(t *testing.T) {
	t.Helper()
	limit := st.call.ExpiresAt.Add(purgeEvery + purgeSlack)
	if st.purge {
		eventually(t, "the row has gone", func() bool { return st.count(t, "ctd_follow", "calls WHERE id = '"+st.call.ID.String()+"'") == 0 })
		if n := st.pool.owner(t, st.call.ID); n != 0 {
			t.Errorf("the owner sees %d rows of it", n)
		}
		if at := st.pool.wentAt(t, st.call.ID); at.After(limit) || at.Before(st.call.ExpiresAt) {
			t.Errorf("the row went %v after its time", at.Sub(st.call.ExpiresAt))
		}
	}
	if !st.forgets {
		return
	}
	eventually(t, "Redis has nothing of it", func() bool {
		sent := time.Now()
		found := testdb.RedisHolds(t, st.redisURL, "", st.call.ID.String(), "1234567", "4567", "Quince", "quince")
		if len(found) > 0 && sent.After(limit) {
			t.Fatalf("Redis: %v", found)
		}
		return len(found) == 0
	})
}

func (st *stage) stopRedis(*testing.T) { st.server.Kill() }

func (st *stage) emptyRedis(t *testing.T) {
	t.Helper()
	testdb.Speak(t, st.redisURL, "FLUSHALL")
	eventually(t, "the index is whole again", func() bool { return st.scored(t, time.Now()) })
}

func (st *stage) replaceRedis(t *testing.T) {
	t.Helper()
	st.server.Kill()
	st.server.Start()
	eventually(t, "the index is whole again", func() bool { return st.scored(t, time.Now()) })
}

// lengthen has Postgres show the row for longer than was said, as its owner may.
func (st *stage) lengthen(t *testing.T) {
	t.Helper()
	longer := st.call.ExpiresAt.Add(20 * time.Second)
	// The index looks for a record in the key of its day: both ends are of one.
	if midnight := longer.UTC().Truncate(models.Day); midnight.After(st.call.ExpiresAt) {
		longer = midnight.Add(-time.Millisecond)
	}
	st.pool.lengthen(t, st.call.ID, longer)
}

// scored says whether the index holds the record as a living one, by its score. An
// earlier round's record may be there still, in its own right.
func (st *stage) scored(t *testing.T, now time.Time) bool {
	t.Helper()
	key := fmt.Sprintf("%shist:{%s}:%s", st.prefix, st.anna.user.ID, st.call.ExpiresAt.UTC().Format(time.DateOnly))
	score, err := strconv.ParseFloat(testdb.Speak(t, st.redisURL, "ZSCORE", key, st.call.ID.String()), 64)
	return err == nil && score > float64(now.UnixMilli())
}

// probe is a way to look whether the record is there.
type probe struct {
	name string
	look func(st *stage, t *testing.T, sent time.Time) (there bool, err error)
	// When it cannot be asked, or need not know of it before the end.
	unasked, silent func(scene) bool
	inTurn          bool // a long one: its looks follow each other
}

func never(scene) bool     { return false }
func isLost(s scene) bool  { return s.lost }
func isDeaf(s scene) bool  { return s.deaf }
func isNoSQL(s scene) bool { return s.noSQL }

// probes are all ways to the record. A new reader of records is a row here.
var probes = []probe{
	{"GET /v1/calls/{id}", lookAt("GET", func(st *stage) string { return "/v1/calls/" + st.call.ID.String() }, ""), never, never, false},
	{"GET /v1/history", lookAt("GET", at("/v1/history"), ""), never, never, false},
	{"search by number", lookAt("POST", at("/v1/history/search"), `{"q":"020 123 4567"}`), never, never, false},
	{"search by last four", lookAt("POST", at("/v1/history/search"), `{"q":"4567"}`), never, never, false},
	{"search by name", lookAt("POST", at("/v1/history/search"), `{"q":"quince"}`), never, never, false},
	{"GET /v1/admin/history/{id}", lookAt("GET", func(st *stage) string { return "/v1/admin/history/" + st.call.ID.String() }, ""), never, never, false},
	{"GET /v1/admin/history", lookAt("GET", at("/v1/admin/history"), ""), never, never, false},
	{"the admin's search", lookAt("POST", at("/v1/admin/history/search"), `{"number":"020 123 4567","name":"quince"}`), never, never, false},
	{"the company's export", exported("POST", "/v1/admin/history/export", `{"format":"csv"}`), never, never, true},
	{"a user's own export", exported("GET", "/v1/me/export", ""), never, never, true},
	{"the export of a number", exported("POST", "/v1/admin/privacy/export", `{"number":"020 123 4567"}`), never, never, true},
	{"the socket's replay", replayed, never, isLost, false},
	{"SQL: calls", bySQL("SELECT count(*) FROM calls WHERE id = $1"), isNoSQL, never, false},
	{"SQL: call_events", bySQL("SELECT count(*) FROM call_events WHERE call_id = $1"), isNoSQL, never, false},
	{"SQL: call_words", bySQL("SELECT count(*) FROM call_words WHERE call_id = $1"), isNoSQL, never, false},
	{"Redis by score", func(st *stage, t *testing.T, sent time.Time) (bool, error) { return st.scored(t, sent), nil }, isDeaf, never, false},
}

// seen counts the looks of a probe that decide something.
type seen struct{ before, after int }

// probe looks in every way, each 5 ms around the end and now and then further away.
func (st *stage) probe(t *testing.T) {
	t.Helper()
	var mu sync.Mutex
	var down bool
	var verdicts []func()
	look := func(p probe) {
		mu.Lock()
		down = down || st.redis.Down()
		mu.Unlock()
		sent := time.Now()
		there, err := p.look(st, t, sent)
		answered := time.Now()
		mu.Lock()
		defer mu.Unlock()
		down = down || st.redis.Down()
		end := st.call.ExpiresAt
		verdicts = append(verdicts, func() {
			st.judge(t, p, st.counts[p.name], there, err, sent.Sub(end), answered.Sub(end))
		})
	}
	var looks sync.WaitGroup
	looks.Go(func() { st.probeInTurn(look) })
	for _, offset := range offsets() {
		<-time.NewTimer(time.Until(st.call.ExpiresAt.Add(offset))).C
		for _, p := range probes {
			if !p.inTurn && st.counts[p.name] != nil {
				looks.Go(func() { look(p) })
			}
		}
	}
	looks.Wait()
	// Where the index is all that hides it, a machine too busy for Redis to be
	// heard in time shows nothing about the index.
	if st.noSQL && down {
		t.Log("Redis was not heard in time")
		return
	}
	for _, judge := range verdicts {
		judge()
	}
}

// probeInTurn looks in the ways that take long, from now until after the end. A
// queue of them at the end would answer when it decides nothing any more, and a
// user may have two exports at once.
func (st *stage) probeInTurn(look func(probe)) {
	after := 0
	for next := time.Now(); after < 10; {
		<-time.NewTimer(time.Until(next)).C
		for _, p := range probes {
			if p.inTurn && st.counts[p.name] != nil {
				look(p)
			}
		}
		pause, left := 100*time.Millisecond, time.Until(st.call.ExpiresAt)
		if left < 200*time.Millisecond {
			pause = 5 * time.Millisecond
		}
		if left < 0 {
			after++
		}
		next = time.Now().Add(pause)
	}
}

// judge counts a look by when it was sent: before the end the record is there,
// from the end on it is not. A look that was answered after the end decides
// nothing when it was sent before.
func (st *stage) judge(t *testing.T, p probe, c *seen, there bool, err error, sent, answered time.Duration) {
	t.Helper()
	switch {
	case errors.Is(err, errNotHeard) && sent < 0:
	case err != nil && !errors.Is(err, errNotHeard):
		t.Errorf("%s, sent %v from the end: %v", p.name, sent, err)
	case sent >= 0:
		c.after++
		if there {
			t.Errorf("%s, sent %v after the end: it is there", p.name, sent)
		}
	case answered < 0 && !p.silent(st.scene):
		c.before++
		if !there {
			t.Errorf("%s, sent %v and answered %v before the end: it is not there", p.name, -sent, -answered)
		}
	}
}

func offsets() (list []time.Duration) {
	for at := -1500 * time.Millisecond; at < -50*time.Millisecond; at += 100 * time.Millisecond {
		list = append(list, at)
	}
	for at := -50 * time.Millisecond; at <= 50*time.Millisecond; at += 5 * time.Millisecond {
		list = append(list, at)
	}
	return append(list, 100*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond)
}

func at(path string) func(*stage) string { return func(*stage) string { return path } }

// lookAt asks the API. What is there is there in the body; what is not is a 404 or
// a page without it.
func lookAt(method string, path func(*stage) string, body string) func(*stage, *testing.T, time.Time) (bool, error) {
	return func(st *stage, _ *testing.T, _ time.Time) (bool, error) {
		a := ask{method: method, path: path(st), token: st.anna.Access}
		if body != "" {
			a.body = body
		}
		got, err := st.try(a)
		if err == nil && got.status != 200 && got.status != 404 {
			err = fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return strings.Contains(string(got.body), st.call.ID.String()), err
	}
}

// exported looks through an export: for the call's id, or, in what a called party
// is given, for the moment of the call.
func exported(method, path, body string) func(*stage, *testing.T, time.Time) (bool, error) {
	return func(st *stage, _ *testing.T, _ time.Time) (bool, error) {
		a := ask{method: method, path: path, token: st.anna.Access}
		if body != "" {
			a.body = body
		}
		got, err := st.try(a)
		if err == nil && got.status != 200 {
			err = fmt.Errorf("status %d: %s", got.status, got.body)
		}
		text := string(got.body)
		return strings.Contains(text, st.call.ID.String()) || strings.Contains(text, st.call.CreatedAt.UTC().Format(time.RFC3339Nano)), err
	}
}

// errNotHeard says that the server did not hear Redis in time, and told its client
// so, or tells it later: before the end that decides nothing.
var errNotHeard = errors.New("Redis was not heard")

// replayed says whether a client that comes back is told of the call. The first
// ping comes when all that it missed has been said.
func replayed(st *stage, _ *testing.T, _ time.Time) (bool, error) {
	conn, _, err := fastws.DefaultDialer.Dial("ws"+strings.TrimPrefix(st.url, "http")+"/v1/events", nil)
	if err != nil {
		return false, err
	}
	defer conn.Close() //nolint:errcheck // one look long
	hello := map[string]string{"type": "hello", "token": st.anna.Access, "after": st.after}
	if err := conn.WriteJSON(hello); err != nil {
		return false, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		return false, err
	}
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			return false, err
		}
		var m struct {
			Type  string
			Reset bool
		}
		if err := json.Unmarshal(body, &m); err != nil {
			return false, err
		}
		switch {
		case m.Reset, m.Type == "ping" && st.redis.Down():
			return false, errNotHeard
		case m.Type == "ping":
			return false, nil
		}
		if strings.Contains(string(body), st.call.ID.String()) {
			return true, nil
		}
	}
}

func bySQL(query string) func(*stage, *testing.T, time.Time) (bool, error) {
	return func(st *stage, _ *testing.T, _ time.Time) (bool, error) {
		n, err := st.pool.app(st.anna.tenant.ID, query, st.call.ID)
		return n > 0, err
	}
}
