package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/live"
	"clicktodial/server/testdb"
)

// Of a call without a row who comes back hears only what took the row with it, and
// that not after its time; without Postgres, what has not ended.
func TestReplayOfCallsWithoutARow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	wire := testdb.NewLine(t, b.dbURL)
	r := b.start(t, options{dbURL: wire.URL, pace: api.Pace{Ping: 20 * time.Millisecond}})
	fanout := live.NewFanout(openRedis(t, b.redisURL, b.prefix))
	t.Cleanup(func() { fanout.Close() }) //nolint:errcheck // the test is over
	publish := func(gone bool, left time.Duration) uuid.UUID {
		ev := live.Event{CallID: uuid.New(), Status: models.Connected, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(left), Gone: gone}
		check(t, fanout.Publish(context.Background(), anna.user.ID, ev))
		return ev.CallID
	}
	publish(true, time.Hour)
	open, ready := r.listen(t, anna.Access, "")
	type row struct {
		name                string
		id                  uuid.UUID
		told, toldWithoutDB bool
	}
	rows := func() []row {
		return []row{
			{"over", publish(false, 0), false, false},
			{"gone with its end, and over", publish(true, 0), false, false},
			{"erased", publish(false, time.Hour), false, true},
			{"gone with its end", publish(true, time.Hour), true, true},
		}
	}
	first := rows()
	back, _ := r.listen(t, anna.Access, ready.ID)
	told := ""
	for m := back.next(); m.Type != "ping"; m = back.next() {
		told += m.raw
	}
	for _, row := range first {
		if got := strings.Contains(told, row.id.String()); got != row.told {
			t.Errorf("%s: told %v, want %v", row.name, got, row.told)
		}
	}
	wire.Cut()
	second := rows()
	told = ""
	for _, m := range open.upTo(func(m message) bool { return m.Call.ID == second[3].id }) {
		told += m.raw
	}
	for _, row := range second[:3] {
		if got := strings.Contains(told, row.id.String()); got != row.toldWithoutDB {
			t.Errorf("%s, without Postgres: told %v, want %v", row.name, got, row.toldWithoutDB)
		}
	}
}

// upTo reads what is said up to one message, in time.
func (c *client) upTo(is func(message) bool) (seen []message) {
	c.t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		m := c.next()
		if seen = append(seen, m); is(m) {
			return seen
		}
	}
	c.t.Fatal("it never came")
	return nil
}

// The end of a call of 0 days is told once more to who comes back.
func TestReplayOfZeroDays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	b.sql(t, "ctd_operator", "UPDATE tenants SET retention_days = 0")
	r := b.start(t, options{pace: api.Pace{Ping: 20 * time.Millisecond}})
	fanout := live.NewFanout(openRedis(t, b.redisURL, b.prefix))
	t.Cleanup(func() { fanout.Close() }) //nolint:errcheck // the test is over
	check(t, fanout.Publish(context.Background(), anna.user.ID, live.Event{CallID: uuid.New(), ExpiresAt: time.Now()}))
	open, ready := r.listen(t, anna.Access, "")
	made := r.dial(anna, map[string]any{"number": number, "name": "Jan"})
	open.upTo(func(m message) bool { return m.Type == "call" && ended(m) })
	back, _ := r.listen(t, anna.Access, ready.ID)
	var told []message
	for m := back.next(); m.Type != "ping"; m = back.next() {
		told = append(told, m)
	}
	if len(told) != 1 || told[0].Call.ID != made.ID || !ended(told[0]) || strings.Contains(told[0].raw, "4567") {
		t.Errorf("told %v", statuses(told))
	}
}

// A click asks nothing of the index: it costs no round trip more. A look at a call
// costs one.
func TestAClickDoesNotAskTheIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	server := testdb.NewRedisServer(t)
	b.redisURL = server.URL
	anna := b.person(t, "anna@example.test")
	r := b.start(t, options{})
	made := r.dial(anna, map[string]any{"number": number})
	asked := func() bool {
		return strings.Contains(testdb.Speak(t, server.URL, "INFO", "commandstats"), "cmdstat_zmscore")
	}
	if asked() {
		t.Error("a click asked the index")
	}
	r.do(ask{method: "GET", path: "/v1/calls/" + made.ID.String(), token: anna.Access}).ok(t, 200)
	if !asked() {
		t.Error("a look did not")
	}
}
