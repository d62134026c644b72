package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"clicktodial/server/web"
)

// canary stands in everything that is sent and must come back nowhere.
const canary = "c4n4ry7731"

// fields lists the members of each body, with a value that is taken.
var fields = map[string]map[string]any{
	"POST /v1/calls":          {"number": number, "name": "Jan", "deviceId": "a1b2c3d4-0000-4000-8000-000000000000", "confirm": "x", "private": false},
	"POST /v1/numbers/check":  {"number": number},
	"POST /v1/history/search": {"q": "jan", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "limit": 10, "cursor": ""},
	"PATCH /v1/history/{id}":  {"name": "Jan"},
}

// texts are of the fields that hold text of the user's.
var texts = map[string]bool{"number": true, "name": true, "q": true, "confirm": true, "cursor": true}

// garbled gives broken bodies by name.
func garbled(good map[string]any) map[string]any {
	bodies := map[string]any{
		"broken":         `{"number":"` + canary,
		"no object":      `"` + canary + `"`,
		"null":           `null`,
		"array":          `["` + canary + `"]`,
		"text after":     `{} ` + canary,
		"two objects":    `{"` + canary + `":1}{}`,
		"unknown member": with(good, canary, canary),
		"endpoint":       with(good, "endpoint", canary),
		"callerId":       with(good, "callerId", canary),
		"deep":           `{"number":` + strings.Repeat("[", 5000) + `"` + canary + `"` + strings.Repeat("]", 5000) + `}`,
		"not UTF-8":      []byte("{\"number\":\"" + canary + "\xff\xfe\"}"),
		"empty":          "",
	}
	for _, name := range slices.Sorted(maps.Keys(good)) {
		raw, err := json.Marshal(good[name])
		if err != nil {
			panic(err)
		}
		whole, err := json.Marshal(good)
		if err != nil {
			panic(err)
		}
		bodies[name+" twice"] = fmt.Sprintf(`{%q:%s,%s`, name, raw, whole[1:])
		bodies[name+" twice, escaped"] = fmt.Sprintf(`{"\u%04x%s":%s,%s`, name[0], name[1:], raw, whole[1:])
		bodies[name+" in capitals"] = with(without(good, name), strings.ToUpper(name), good[name])
		bodies[name+" null"] = with(good, name, nil)
		bodies[name+" object"] = with(good, name, map[string]any{canary: canary})
		bodies[name+" array"] = with(good, name, []string{canary})
		if name != "limit" {
			bodies[name+" a number"] = with(good, name, 77317731)
		}
		if name != "private" {
			bodies[name+" a bool"] = with(good, name, true)
		}
		if !texts[name] {
			bodies[name+" text"] = with(good, name, canary)
			continue
		}
		bodies[name+" too long"] = with(good, name, strings.Repeat(canary, 60))
		bodies[name+" longer"] = with(good, name, strings.Repeat(canary, 1200))
	}
	return bodies
}

func with(m map[string]any, name string, value any) map[string]any {
	c := maps.Clone(m)
	c[name] = value
	return c
}

func without(m map[string]any, name string) map[string]any {
	c := maps.Clone(m)
	delete(c, name)
	return c
}

func TestGarbageBodies(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	id := r.past(t, anna, "0201230000", "Old", time.Now().Add(-time.Hour)).String()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		bodies := garbled(fields[name])
		for _, kind := range slices.Sorted(maps.Keys(bodies)) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a := routes[name].ask(name, id, anna.Access)
				a.body = bodies[kind]
				refused(t, r.do(a))
			})
		}
		for _, kind := range []string{"none", "text/plain", "application/x-www-form-urlencoded", "application/cbor", "application/vnd.x+json", "a+b;c=+"} {
			t.Run(name+"/type "+kind, func(t *testing.T) {
				a := routes[name].ask(name, id, anna.Access)
				a.body, a.kind = fields[name], kind
				if got := refused(t, r.do(a)); got.Status != 415 {
					t.Errorf("status %d", got.Status)
				}
			})
		}
		t.Run(name+"/1 MB", func(t *testing.T) {
			a := routes[name].ask(name, id, anna.Access)
			a.body = `{"number":"` + strings.Repeat(canary, 1<<20/len(canary)) + `"}`
			r.tooLarge(t, a)
		})
		t.Run(name+"/gzip bomb", func(t *testing.T) {
			a := routes[name].ask(name, id, anna.Access)
			a.body, a.header = bomb(t), map[string]string{"Content-Encoding": "gzip"}
			r.do(a).problem(t, 415, "unsupported-media-type")
		})
	}
	for _, control := range []string{"\r\n", "\n", "\x00", "\x1b[2J", "\u2028", "\u202e"} {
		for _, field := range []string{"number", "name"} {
			t.Run(fmt.Sprintf("control character %q in %s", control, field), func(t *testing.T) {
				a := routes["POST /v1/calls"].ask("POST /v1/calls", "", anna.Access)
				a.body = map[string]any{"number": number, field: map[string]string{"number": "020123", "name": canary}[field] + control + "Action: x"}
				refused(t, r.do(a))
			})
		}
	}
	for _, injected := range []string{"&PJSIP/104", "102,s,1", "${EXTEN}", "102;reboot", "<script>", "'; DROP TABLE calls; --"} {
		t.Run("injected "+injected, func(t *testing.T) {
			a := routes["POST /v1/calls"].ask("POST /v1/calls", "", anna.Access)
			a.body = map[string]any{"number": "0201234567" + injected}
			refused(t, r.do(a))
		})
	}
	if n := r.count(t, "ctd_follow", "calls"); n != 1 {
		t.Errorf("%d calls, want the old one", n)
	}
	if got := r.do(ask{method: "GET", path: "/v1/calls/" + id, token: anna.Access}); !strings.Contains(string(got.body), `"name":"Old"`) {
		t.Errorf("it was renamed: %s", got.body)
	}
	r.silent(t, canary, "77317731", "1234567", "Action", "PJSIP", "EXTEN", anna.Access)
}

// refused checks that an answer is a refusal that repeats nothing.
func refused(t *testing.T, got answer) web.Problem {
	t.Helper()
	if got.status < 400 || got.status >= 500 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	p := got.problem(t, got.status, "")
	for _, text := range []string{canary, "77317731", "Action", "1234567"} {
		if bytes.Contains(got.body, []byte(text)) {
			t.Errorf("the answer repeats %q: %s", text, got.body)
		}
	}
	return p
}

// tooLarge asks with a body that the server does not read: it answers and closes,
// which a client that is still writing may hear as a line that was cut.
func (r *replica) tooLarge(t *testing.T, a ask) {
	t.Helper()
	got, err := r.try(a)
	switch {
	case err == nil:
		got.problem(t, 413, "request-too-large")
	case !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE):
		t.Error(err)
	}
}

func bomb(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for range 8 {
		_, err := w.Write(bytes.Repeat([]byte(" "), 1<<20))
		check(t, err)
	}
	check(t, w.Close())
	return packed.Bytes()
}

func TestIdempotencyKeyForms(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for _, tt := range []struct {
		name, key string
		ok        bool
	}{
		{"none", "", false}, {"one", "a", true}, {"64", strings.Repeat("a", 64), true}, {"65", strings.Repeat("a", 65), false},
		{"blank", " ", false}, {"space inside", "a b", false}, {"slash", "a/b", false}, {"letters beyond ASCII", "ä", false},
		{"all that may be", "AZaz09_-", true}, {"dot", "a.b", false}, {"colon", "a:b", false}, {"8 kB", strings.Repeat("a", 7000), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: tt.key, body: map[string]any{"number": number}})
			if tt.ok {
				got.ok(t, 201)
				return
			}
			got.problem(t, 400, "invalid-request")
		})
	}
	if n := r.count(t, "ctd_follow", "calls"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestOddPathsAndQueries(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for _, path := range []string{
		"/v1/calls/" + canary, "/v1/calls/%00", "/v1/calls/" + strings.Repeat("a", 4000), "/v1/calls/..%2f..%2fetc",
		"/v1/history?limit=0", "/v1/history?limit=101", "/v1/history?limit=-1", "/v1/history?limit=" + canary, "/v1/history?limit=1e3",
		"/v1/history?cursor=" + canary, "/v1/history?cursor=" + strings.Repeat("A", 32), "/v1/history?cursor=" + strings.Repeat("_", 32),
		"/v1/history?cursor=" + strings.Repeat("A", 65), "/v1/" + canary, "/docs", "/schemas", "/schemas/Call.json", "/metrics", "/v1/admin/nothing",
	} {
		t.Run(path[:min(len(path), 40)], func(t *testing.T) { refused(t, r.do(ask{method: "GET", path: path, token: anna.Access})) })
	}
	r.silent(t, canary)
}
