package api_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/server/api"
	"clicktodial/server/policy"
)

func TestStartCall(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	other := r.device(t, anna, "Mobile", "103")

	t.Run("a whole call", func(t *testing.T) {
		c := r.dial(anna, map[string]any{"number": "020 - 123 45 67", "name": " Jan  Jansen "})
		if c.Number == nil || *c.Number != number || c.Name == nil || *c.Name != "Jan  Jansen" || c.Display == nil || c.Private ||
			!c.Can.HangUp || c.Device.Label != "Desk" || *c.Device.ID != anna.device.ID || c.SignIn.Label != "Test browser" {
			t.Errorf("odd call %+v", c)
		}
		if got := c.ExpiresAt.Sub(c.CreatedAt); got != 90*24*time.Hour {
			t.Errorf("it lives %v", got)
		}
		end := r.finished(anna, c.ID)
		if end.Status != "disconnected" || *end.Reason != "hangUp" || end.Diagnosis.Code != "hung-up" || end.Diagnosis.Sentence == "" ||
			end.Can.HangUp || end.DurationSeconds == nil || end.CallerAnsweredAt == nil || end.ConnectedAt == nil || end.EndedAt == nil {
			t.Errorf("odd end %+v", end)
		}
	})
	t.Run("another phone of mine", func(t *testing.T) {
		c := r.dial(anna, map[string]any{"number": "tel:+31-20-123-4567;ext=12", "deviceId": other.ID})
		if *c.Device.ID != other.ID || *c.Number != number+";ext=12" {
			t.Errorf("odd call %+v", c)
		}
	})
	t.Run("private", func(t *testing.T) {
		c := r.dial(anna, map[string]any{"number": number, "name": "Jan Jansen", "private": true})
		if c.Number == nil || !c.Private {
			t.Errorf("odd call %+v", c)
		}
		if end := r.finished(anna, c.ID); end.Number != nil || end.Display != nil || end.Name != nil {
			t.Errorf("it keeps %v %v %v", end.Number, end.Display, end.Name)
		}
	})
	t.Run("the line is down", func(t *testing.T) {
		before := r.count(t, "ctd_follow", "calls")
		r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "down", body: map[string]any{"number": "0201234444"}}).problem(t, 503, "pbx-unavailable")
		if after := r.count(t, "ctd_follow", "calls"); after != before {
			t.Errorf("%d rows, were %d", after, before)
		}
	})
	r.silent(t, "1234567", "Jansen", "anna@", anna.Access)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{rules: policy.Rules{PerMinute: 3, AtOnce: 1}, practice: "practice://?ring=1h"})
	bert := r.colleague(t, anna, "bert@example.test")
	lone := r.colleague(t, anna, "lone@example.test")
	r.sql(t, "ctd_operator", "DELETE FROM devices WHERE id = $1", lone.device.ID)
	tests := []struct {
		name   string
		person person
		body   map[string]any
		status int
		code   string
		noted  bool
	}{
		{"emergency", anna, map[string]any{"number": "112"}, 422, "emergency-number", true},
		{"premium", anna, map[string]any{"number": "0900 8844"}, 422, "premium-number", true},
		{"star", anna, map[string]any{"number": "*21#"}, 422, "star-code", true},
		{"no number", anna, map[string]any{"number": "hello"}, 422, "number-invalid", true},
		{"too long", anna, map[string]any{"number": strings.Repeat("9", 65)}, 422, "number-too-long", true},
		{"too long a name", anna, map[string]any{"number": number, "name": strings.Repeat("x", 81)}, 422, "name-invalid", false},
		{"a colleague's phone", anna, map[string]any{"number": number, "deviceId": bert.device.ID}, 422, "device-unknown", true},
		{"nobody's phone", anna, map[string]any{"number": number, "deviceId": uuid.New()}, 422, "device-unknown", true},
		{"no phone", lone, map[string]any{"number": number}, 422, "no-device", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := r.do(ask{method: "POST", path: "/v1/calls", token: tt.person.Access, key: uuid.NewString(), body: tt.body}).problem(t, tt.status, tt.code)
			if (p.SupportCode != "") != tt.noted {
				t.Errorf("support code %q", p.SupportCode)
			}
		})
	}
	if n := r.count(t, "ctd_follow", "calls"); n != 0 {
		t.Errorf("%d calls", n)
	}
	t.Run("two at once", func(t *testing.T) {
		c := r.dial(anna, map[string]any{"number": number})
		r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "second", body: map[string]any{"number": number}}).problem(t, 422, "too-many-calls")
		r.do(ask{method: "DELETE", path: "/v1/calls/" + c.ID.String(), token: anna.Access}).ok(t, 204)
		r.finished(anna, c.ID)
	})
	t.Run("too fast", func(t *testing.T) {
		for range 2 {
			c := r.dial(anna, map[string]any{"number": number})
			r.do(ask{method: "DELETE", path: "/v1/calls/" + c.ID.String(), token: anna.Access}).ok(t, 204)
			r.finished(anna, c.ID)
		}
		got := r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "fast", body: map[string]any{"number": number}})
		got.problem(t, 429, "pace-exceeded")
		if got.header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", got.header.Values("Retry-After"))
		}
	})
}

func TestIdempotencyOverHTTP(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert := r.colleague(t, anna, "bert@example.test")
	start := func(p person, key string, body map[string]any) answer {
		return r.do(ask{method: "POST", path: "/v1/calls", token: p.Access, key: key, body: body})
	}
	click := map[string]any{"number": number, "name": "Jan"}

	first := start(anna, "k-1", click).ok(t, 201)
	c := read[api.Call](t, first)
	if first.header.Get("Idempotency-Replayed") != "" || first.header.Get("Location") != "/v1/calls/"+c.ID.String() {
		t.Errorf("headers %v", first.header)
	}
	r.finished(anna, c.ID)
	t.Run("replay gives the call as it is now", func(t *testing.T) {
		again := start(anna, "k-1", click).ok(t, 200)
		if got := read[api.Call](t, again); got.ID != c.ID || got.Status != "disconnected" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("replay %+v %v", got, again.header)
		}
	})
	t.Run("the same number written otherwise", func(t *testing.T) {
		start(anna, "k-1", map[string]any{"number": "020 1234567", "name": "Jan"}).ok(t, 200)
	})
	for name, body := range map[string]map[string]any{
		"other number": {"number": "0201234568", "name": "Jan"}, "other name": {"number": number, "name": "Piet"},
		"private":    {"number": number, "name": "Jan", "private": true},
		"with phone": {"number": number, "name": "Jan", "deviceId": anna.device.ID},
	} {
		t.Run(name, func(t *testing.T) { start(anna, "k-1", body).problem(t, 422, "idempotency-key-reused") })
	}
	t.Run("another user's key is another key", func(t *testing.T) {
		if got := read[api.Call](t, start(bert, "k-1", click).ok(t, 201)); got.ID == c.ID {
			t.Error("the same call")
		}
	})
	t.Run("50 at once", func(t *testing.T) {
		var mu sync.Mutex
		var work sync.WaitGroup
		ids, made := map[uuid.UUID]int{}, 0
		for range 50 {
			work.Go(func() {
				got, err := r.try(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "k-50", body: click})
				if err != nil || got.status != 200 && got.status != 201 {
					t.Errorf("%d %v %s", got.status, err, got.body)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[read[api.Call](t, got).ID]++
				if got.status == 201 {
					made++
				}
			})
		}
		work.Wait()
		if len(ids) != 1 || made != 1 {
			t.Errorf("%d calls, %d times 201", len(ids), made)
		}
	})
	t.Run("gone", func(t *testing.T) {
		r.do(ask{method: "DELETE", path: "/v1/history/" + c.ID.String(), token: anna.Access}).ok(t, 204)
		start(anna, "k-1", click).problem(t, 410, "call-gone")
	})
}

func TestHangUp(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=1h"})
	c := r.dial(anna, map[string]any{"number": number})
	r.do(ask{method: "DELETE", path: "/v1/history/" + c.ID.String(), token: anna.Access}).problem(t, 409, "call-live")
	if got := r.do(ask{method: "DELETE", path: "/v1/calls/" + c.ID.String(), token: anna.Access}).ok(t, 204); len(got.body) != 0 {
		t.Errorf("a body: %s", got.body)
	}
	if end := r.finished(anna, c.ID); *end.Reason != "callerAbandon" || end.Diagnosis.Code != "hung-up-by-client" {
		t.Errorf("ended as %s %s", *end.Reason, end.Diagnosis.Code)
	}
	r.do(ask{method: "DELETE", path: "/v1/calls/" + c.ID.String(), token: anna.Access}).problem(t, 409, "call-ended")
	r.do(ask{method: "DELETE", path: "/v1/calls/" + uuid.NewString(), token: anna.Access}).problem(t, 404, "not-found")
	r.do(ask{method: "GET", path: "/v1/calls/no-id", token: anna.Access}).problem(t, 400, "invalid-request")
}

// Strings of a request must not become another's: Fiber reuses its buffers.
func TestRequestsNeverMix(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=0s&callee=0s&talk=0s"})
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			for j := range 10 {
				digits := "02012" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + string(rune('0'+j)) + "55"
				name := "Name " + digits
				got, err := r.try(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "mix-" + digits, body: map[string]any{"number": digits, "name": name}})
				if err != nil || got.status != 201 {
					t.Errorf("%d %v %s", got.status, err, got.body)
					return
				}
				c := read[api.Call](t, got)
				if *c.Name != name || *c.Number != "+31"+digits[1:] {
					t.Errorf("asked %s, got %s %s", digits, *c.Name, *c.Number)
				}
				again, err := r.try(ask{method: "GET", path: "/v1/calls/" + c.ID.String(), token: anna.Access})
				if err != nil || again.status != 200 {
					t.Errorf("%d %v", again.status, err)
					return
				}
				if c := read[api.Call](t, again); *c.Name != name || *c.Number != "+31"+digits[1:] {
					t.Errorf("stored %s as %s %s", digits, *c.Name, *c.Number)
				}
			}
		})
	}
	work.Wait()
}

func TestStringsOutliveTheirRequest(t *testing.T) {
	t.Parallel()
	var kept []string // requests come one after another
	r, _ := up(t, options{deaf: true, more: func(app *fiber.App) {
		app.Get("/keep/:value", func(c *fiber.Ctx) error {
			kept = append(kept, c.Params("value"), c.Get("X-Value"))
			return nil
		})
	}})
	var sent []string
	for i := range 20 {
		value := strings.Repeat(string(rune('a'+i)), 8)
		sent = append(sent, value, value)
		r.do(ask{method: "GET", path: "/keep/" + value, header: map[string]string{"X-Value": value}}).ok(t, 200)
	}
	if !slices.Equal(kept, sent) {
		t.Errorf("kept %q", kept)
	}
}
