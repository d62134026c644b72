package api_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/audit"

	"clicktodial/server/pbx/practice"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// message is what a socket says.
type message struct {
	Type   string
	ID     string
	Reset  bool
	Reason string
	By     string
	At     *time.Time
	Call   api.Call
	raw    string
}

// client is one socket.
type client struct {
	t    *testing.T
	conn *fastws.Conn
}

func (r *replica) connect(t *testing.T, from string) (*client, *http.Response, error) {
	t.Helper()
	header := http.Header{}
	if from != "" {
		header.Set("Origin", from)
	}
	conn, res, err := fastws.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.url, "http")+"/v1/events", header)
	if err != nil {
		return nil, res, err
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // over
	return &client{t, conn}, res, nil
}

// listen connects and says hello; it gives what the server says first.
func (r *replica) listen(t *testing.T, token, after string) (*client, message) {
	t.Helper()
	c, _, err := r.connect(t, origin)
	check(t, err)
	c.hello(token, after)
	ready := c.next()
	if ready.Type != "ready" || ready.ID == "" {
		t.Fatalf("not ready but %s", ready.raw)
	}
	return c, ready
}

func (c *client) say(text string) {
	c.t.Helper()
	check(c.t, c.conn.WriteMessage(fastws.TextMessage, []byte(text)))
}

func (c *client) hello(token, after string) {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"type": "hello", "token": token, "after": after})
	check(c.t, err)
	c.say(string(body))
}

func (c *client) try() (m message, err error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		return m, err
	}
	_, body, err := c.conn.ReadMessage()
	if err != nil {
		return m, err
	}
	m.raw = string(body)
	return m, json.Unmarshal(body, &m)
}

func (c *client) next() message {
	c.t.Helper()
	m, err := c.try()
	check(c.t, err)
	return m
}

// until reads the states of a call up to one that is so, in order; each is new.
func (c *client) until(id uuid.UUID, is func(message) bool) (seen []message) {
	c.t.Helper()
	end := time.Now().Add(deadline)
	for {
		m := c.next()
		if time.Now().After(end) {
			c.t.Fatalf("it never came; before: %v", statuses(seen))
		}
		if m.Type == "ping" {
			continue
		}
		if m.Type != "call" || m.Call.ID != id {
			c.t.Fatalf("not the call but %s", m.raw)
		}
		seen = append(seen, m)
		if is(m) {
			return seen
		}
	}
}

func ended(m message) bool { return models.Status(m.Call.Status).Ended() }

func statuses(seen []message) (s []string) {
	for _, m := range seen {
		s = append(s, m.Call.Status)
	}
	return s
}

// forward fails when a state goes backward.
func forward(t *testing.T, seen []message) {
	t.Helper()
	if !slices.IsSortedFunc(seen, func(a, b message) int {
		return models.Status(a.Call.Status).Rank() - models.Status(b.Call.Status).Rank()
	}) {
		t.Errorf("the states go back: %v", statuses(seen))
	}
}

// closed reads to the end, and gives the close code.
func (c *client) closed() (int, []message) {
	c.t.Helper()
	var before []message
	for {
		m, err := c.try()
		var ce *fastws.CloseError
		switch {
		case errors.As(err, &ce):
			return ce.Code, before
		case err != nil:
			c.t.Fatalf("no close but %v", err)
		}
		before = append(before, m)
	}
}

func TestEventsOrigin(t *testing.T) {
	t.Parallel()
	r, _ := up(t, options{deaf: true})
	for _, tt := range []struct {
		name, origin string
		ok           bool
	}{
		{"the extension", origin, true}, {"our own pages", r.url, true}, {"no browser", "", true},
		{"another extension", "chrome-extension://" + strings.Repeat("p", 32), false}, {"a page", "https://evil.example", false},
		{"null", "null", false}, {"our host by https", strings.Replace(r.url, "http:", "https:", 1), false}, {"our host as a part", r.url + ".evil.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, res, err := r.connect(t, tt.origin)
			if tt.ok != (err == nil) || !tt.ok && (res == nil || res.StatusCode != 403) {
				t.Errorf("%v %v", res, err)
			}
		})
	}
	r.do(ask{method: "GET", path: "/v1/events"}).problem(t, 426, "upgrade-required")
	r.do(ask{method: "GET", path: "/v1/events", header: map[string]string{"Origin": "https://evil.example"}}).problem(t, 403, "origin-forbidden")
}

func TestEventsHello(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true, pace: api.Pace{Hello: time.Second}})
	revoked := r.signIn(t, anna.user.Email)
	r.do(ask{method: "POST", path: "/oauth/revoke", kind: "application/x-www-form-urlencoded", body: "token=" + revoked.Access}).ok(t, 200)
	for name, first := range map[string]string{
		"nothing": "", "broken": `{"type":`, "another type": `{"type":"hi","token":"` + anna.Access + `"}`, "no token": `{"type":"hello"}`,
		"garbage": `{"type":"hello","token":"garbage"}`, "refresh token": `{"type":"hello","token":"` + anna.Refresh + `"}`,
		"revoked": `{"type":"hello","token":"` + revoked.Access + `"}`, "odd after": `{"type":"hello","token":"` + anna.Access + `","after":"x y"}`,
		"after is a number": `{"type":"hello","token":"` + anna.Access + `","after":7}`, "not UTF-8": "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, err := r.connect(t, "")
			check(t, err)
			if first != "" {
				check(t, c.conn.WriteMessage(fastws.TextMessage, []byte(first)))
			}
			if code, before := c.closed(); code != 4401 || len(before) > 0 {
				t.Errorf("closed with %d after %v", code, before)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		c, _, err := r.connect(t, "")
		check(t, err)
		c.say(`{"type":"hello","token":"` + strings.Repeat("a", 5000) + `"}`)
		if m, err := c.try(); err == nil {
			t.Errorf("it says %s", m.raw)
		}
	})
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		c, ready := r.listen(t, anna.Access, "")
		if ready.Reset {
			t.Error("reset for one who knew nothing")
		}
		c.say("garbage")
		if code, _ := c.closed(); code != 4401 {
			t.Errorf("closed with %d", code)
		}
	})
}

func TestEventsOfACall(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=100ms&callee=100ms&talk=100ms", pace: api.Pace{Ping: 20 * time.Millisecond}})
	bert := r.colleague(t, anna, "bert@example.test")
	c, _ := r.listen(t, anna.Access, "")
	his, _ := r.listen(t, bert.Access, "")
	made := r.dial(anna, map[string]any{"number": number, "name": "Jan"})
	// A step is told as the call stands when it is sent, so that one may show the next:
	// on a busy machine the end shows in the second of four.
	steps := map[string]bool{}
	seen := c.until(made.ID, func(m message) bool {
		steps[m.ID] = true
		return ended(m) && len(steps) >= 4
	})
	forward(t, seen)
	if statuses(seen)[0] == "disconnected" {
		t.Errorf("steps %v", statuses(seen))
	}
	last := seen[len(seen)-1].Call
	if *last.Number != number || *last.Name != "Jan" || *last.Reason != "hangUp" || last.Diagnosis.Sentence == "" || last.Can.HangUp {
		t.Errorf("last: %+v", last)
	}
	for _, m := range seen {
		if m.ID == "" {
			t.Errorf("no id: %s", m.raw)
		}
	}
	for range 3 {
		if m := c.next(); m.Type != "ping" {
			t.Errorf("not a ping: %s", m.raw)
		}
		if m := his.next(); m.Type != "ping" {
			t.Errorf("another's socket hears %s", m.raw)
		}
	}

	t.Run("resume", func(t *testing.T) {
		for i := range seen {
			again, ready := r.listen(t, anna.Access, seen[i].ID)
			if ready.Reset {
				t.Errorf("reset after %s", seen[i].ID)
			}
			var got []string
			for {
				m := again.next()
				if m.Type == "ping" {
					break
				}
				got = append(got, m.ID)
			}
			var want []string
			for _, m := range seen[i+1:] {
				if m.ID != seen[i].ID && !slices.Contains(want, m.ID) {
					want = append(want, m.ID)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("after %s came %v, want %v", seen[i].ID, got, want)
			}
		}
	})
	t.Run("unknown after", func(t *testing.T) {
		for _, after := range []string{"0-0", "1-1", "99999999999999999999-0", "99999999999999-99"} {
			again, ready := r.listen(t, anna.Access, after)
			if !ready.Reset || ready.ID != seen[len(seen)-1].ID {
				t.Errorf("after %s: %s", after, ready.raw)
			}
			if m := again.next(); m.Type != "ping" {
				t.Errorf("it hears %s", m.raw)
			}
		}
	})
	t.Run("another user's id", func(t *testing.T) {
		if _, ready := r.listen(t, bert.Access, seen[0].ID); !ready.Reset {
			t.Errorf("known to another: %s", ready.raw)
		}
	})
	t.Run("nothing yet, then a call while away", func(t *testing.T) {
		carl := r.colleague(t, anna, "carl@example.test")
		_, empty := r.listen(t, carl.Access, "")
		r.finished(carl, r.dial(carl, map[string]any{"number": number}).ID)
		if _, ready := r.listen(t, carl.Access, empty.ID); !ready.Reset {
			t.Errorf("a gap that nobody tells of: %s", ready.raw)
		}
	})
	r.silent(t, "1234567", "Jan", anna.Access)
}

func TestEventsBeginWithLiveCalls(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=1h"})
	made := r.dial(anna, map[string]any{"number": number})
	c, _ := r.listen(t, anna.Access, "")
	seen := c.until(made.ID, func(m message) bool { return m.Call.Status == "callingCaller" })
	r.do(ask{method: "DELETE", path: "/v1/calls/" + made.ID.String(), token: anna.Access}).ok(t, 204)
	forward(t, append(seen, c.until(made.ID, ended)...))
}

// What is left of a call without a record: id, status, reason, diagnosis, times.
var traceFields = []string{"callerAnsweredAt", "connectedAt", "createdAt", "diagnosis", "endedAt", "expiresAt", "id", "reason", "status"}

func fieldsOf(t *testing.T, m message) (names []string) {
	t.Helper()
	var whole struct{ Call map[string]any }
	check(t, json.Unmarshal([]byte(m.raw), &whole))
	for name := range whole.Call {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestEventsOfFleetingCalls(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=30ms&callee=30ms&talk=30ms"})
	t.Run("private", func(t *testing.T) {
		c, _ := r.listen(t, anna.Access, "")
		made := r.dial(anna, map[string]any{"number": number, "name": "Jan", "private": true})
		seen := c.until(made.ID, ended)
		last := seen[len(seen)-1]
		if strings.Contains(last.raw, "4567") || strings.Contains(last.raw, "Jan") || *last.Call.Reason != "hangUp" {
			t.Errorf("last: %s", last.raw)
		}
	})
	t.Run("0 days", func(t *testing.T) {
		days := 0
		check(t, r.db.SetTenant(t.Context(), anna.tenant.ID, store.TenantChange{RetentionDays: &days}, entry))
		c, _ := r.listen(t, anna.Access, "")
		made := r.dial(anna, map[string]any{"number": number, "name": "Jan"})
		last := c.until(made.ID, ended)
		end := last[len(last)-1]
		if got := fieldsOf(t, end); !slices.Equal(got, traceFields) {
			t.Errorf("its end tells %v", got)
		}
		if end.Call.Status != "disconnected" || *end.Call.Reason != "hangUp" || end.Call.Diagnosis.Sentence == "" || end.Call.EndedAt == nil {
			t.Errorf("its end: %s", end.raw)
		}
		r.do(ask{method: "GET", path: "/v1/calls/" + made.ID.String(), token: anna.Access}).problem(t, 404, "not-found")
		r.do(ask{method: "DELETE", path: "/v1/calls/" + made.ID.String(), token: anna.Access}).problem(t, 404, "not-found")
	})
}

func TestEventsEndWithTheToken(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true, pace: api.Pace{Ping: 50 * time.Millisecond}})
	expiring, _ := r.listen(t, anna.Access, "")
	renewed, _ := r.listen(t, anna.Access, "")
	other, _ := r.listen(t, anna.Access, "")
	r.ahead.Store(int64(9 * time.Minute))
	_, next := r.token(refreshForm(anna.Refresh))
	renewed.hello(next.AccessToken, "")
	other.hello(r.signIn(t, anna.user.Email).Access, "")
	if code, _ := other.closed(); code != 4401 {
		t.Errorf("a token of another sign-in: %d", code)
	}
	// The new hello has been read when a ping came after it; two, to be sure.
	for range 3 {
		renewed.next()
	}
	r.ahead.Store(int64(11 * time.Minute))
	code, before := expiring.closed()
	if code != 4401 {
		t.Errorf("expired: %d", code)
	}
	for _, m := range before {
		if m.Type == "revoked" {
			t.Errorf("an expired token is told as %s", m.raw)
		}
	}
	for range 3 {
		if m := renewed.next(); m.Type != "ping" {
			t.Errorf("renewed: %s", m.raw)
		}
	}
}

func TestEventsEndWithTheSignIn(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true, pace: api.Pace{Ping: 20 * time.Millisecond}})
	c, _ := r.listen(t, anna.Access, "")
	_, err := r.db.Revoke(t.Context(), store.CommandLine, store.Which{User: anna.user.ID}, "operator", "lost laptop", time.Now(), audit.Entry(audit.Operator, "sign-in-revoke", audit.Subject{}, ""))
	check(t, err)
	code, before := c.closed()
	last := before[len(before)-1]
	if code != 4403 || last.Type != "revoked" || last.Reason == "" || last.By == "" || last.At == nil {
		t.Errorf("%d after %s", code, last.raw)
	}
}

func TestEventsEndWithTheServer(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	c, _ := r.listen(t, anna.Access, "")
	early, _, err := r.connect(t, "")
	check(t, err)
	go r.end()
	for _, socket := range []*client{c, early} {
		if code, _ := socket.closed(); code != 1001 {
			t.Errorf("closed with %d", code)
		}
	}
}

func TestEventsAcrossReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	line, err := practice.Open("practice://?ring=50ms&callee=50ms&talk=50ms", discard)
	check(t, err)
	redis := testdb.NewLine(t, b.redisURL)
	near := b.start(t, options{pbx: line, redisURL: redis.URL})
	far := b.start(t, options{pbx: line.Join(), redisURL: redis.URL})
	c, _ := far.listen(t, anna.Access, "")
	made := near.dial(anna, map[string]any{"number": number})
	forward(t, c.until(made.ID, ended))

	redis.Cut()
	eventually(t, "Redis is missed", func() bool { return near.redis.Down() && far.redis.Down() })
	here, _ := near.listen(t, anna.Access, "")
	began := time.Now()
	made = near.dial(anna, map[string]any{"number": number})
	forward(t, here.until(made.ID, ended))
	forward(t, c.until(made.ID, ended))
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("without Redis it took %v", took)
	}
	redis.Mend()
	eventually(t, "Redis is back", func() bool { return !near.redis.Down() && !far.redis.Down() })
	made = near.dial(anna, map[string]any{"number": number})
	for _, socket := range []*client{c, here} {
		for {
			if m := socket.next(); m.Call.ID == made.ID && ended(m) {
				break
			}
		}
	}
}

func TestEventsWithoutPostgres(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	postgres := testdb.NewLine(t, b.dbURL)
	r := b.start(t, options{dbURL: postgres.URL, practice: "practice://?ring=300ms&callee=300ms&talk=600ms", pace: api.Pace{Ping: 50 * time.Millisecond}})
	c, _ := r.listen(t, anna.Access, "")
	made := r.dial(anna, map[string]any{"number": number})
	c.until(made.ID, func(message) bool { return true })
	postgres.Cut()
	seen := c.until(made.ID, ended)
	last := seen[len(seen)-1]
	if got := fieldsOf(t, last); !slices.Equal(got, traceFields) || *last.Call.Reason != "hangUp" {
		t.Errorf("its end: %s", last.raw)
	}
	postgres.Mend()
	whole := c.until(made.ID, func(m message) bool { return ended(m) && m.Call.Number != nil })
	if len(whole) > 4 {
		t.Errorf("it is told %d times more", len(whole))
	}
}

var discard = slog.New(slog.DiscardHandler)
