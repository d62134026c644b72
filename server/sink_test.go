package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"clicktodial/server/testdb"
)

// needles are what may stand in no sink: spellings of the numbers, names,
// e-mails, addresses and secrets of a day.
type needles []string

// numberSpellings gives a number as it may leak: whole, national, with blanks,
// and its last seven digits, which a mask would hide.
func numberSpellings(e164 string) []string {
	digits := strings.TrimPrefix(e164, "+")
	national := "0" + strings.TrimPrefix(digits, "31")
	return []string{e164, digits, national, digits[len(digits)-7:], spaced(e164), spaced(national)}
}

// spaced is +31 20 123 4567 or 020 123 4567.
func spaced(number string) string {
	if rest, ok := strings.CutPrefix(number, "+31"); ok {
		return "+31 " + rest[:2] + " " + rest[2:5] + " " + rest[5:]
	}
	return number[:3] + " " + number[3:6] + " " + number[6:]
}

// sink is somewhere that personal data must not come to rest in.
type sink struct{ name, content string }

// found says which needles stand in which sinks.
func (n needles) found(sinks []sink) (hits []string) {
	for _, s := range sinks {
		lower := strings.ToLower(s.content)
		for _, needle := range n {
			if at := strings.Index(lower, strings.ToLower(needle)); at >= 0 {
				hits = append(hits, fmt.Sprintf("%s holds %q: …%s…", s.name, needle, lower[max(0, at-80):min(len(lower), at+60)]))
			}
		}
	}
	return hits
}

// logTail reads a log from where the test began.
type logTail struct {
	name, path string
	from       int64
}

func tailOf(t *testing.T, name, variable string) logTail {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" && os.Getenv("CI") != "" {
		t.Fatalf("%s is not set: run scripts/test", variable)
	}
	if path == "" {
		t.Logf("SKIPPED: the log of %s is not looked at: %s is not set", name, variable)
		return logTail{}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return logTail{name, path, info.Size()}
}

func (l logTail) read(t *testing.T) sink {
	t.Helper()
	if l.path == "" {
		return sink{name: "no log"}
	}
	body, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	return sink{l.name, string(body[min(l.from, int64(len(body))):])}
}

// personal tables hold people and numbers on purpose; every other one is a sink.
var personal = []string{"calls", "call_words", "users", "devices", "tenants"}

// tableSinks gives the rows of every table that should name nobody, as text.
func (in *installation) tableSinks() (sinks []sink) {
	in.t.Helper()
	db, err := sql.Open("pgx", in.database)
	if err != nil {
		in.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // read to its end
	conn, err := db.Conn(context.Background())
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // read to its end
	for _, table := range column(in.t, conn, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'") {
		if slices.Contains(personal, table) {
			continue
		}
		// The owner sees what row-level security forces on everybody else.
		if _, err := conn.ExecContext(context.Background(), "ALTER TABLE "+table+" NO FORCE ROW LEVEL SECURITY"); err != nil {
			in.t.Fatal(err)
		}
		rows := column(in.t, conn, "SELECT t::text FROM "+table+" t")
		sinks = append(sinks, sink{"table " + table, strings.Join(rows, "\n")})
	}
	return sinks
}

func column(t *testing.T, conn *sql.Conn, query string) (texts []string) {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close() //nolint:errcheck // read to its end
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// redisSink is every key with all that it holds.
func (in *installation) redisSink(prefix string) sink {
	in.t.Helper()
	const all = `local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind, held = redis.call('TYPE', key).ok, nil
  if kind == 'string' then held = {redis.call('GET', key)}
  elseif kind == 'hash' then held = redis.call('HGETALL', key)
  elseif kind == 'zset' then held = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then held = redis.call('SMEMBERS', key)
  elseif kind == 'list' then held = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'stream' then held = {cjson.encode(redis.call('XRANGE', key, '-', '+'))} end
  out[#out + 1] = key .. ' ' .. kind .. ' ' .. table.concat(held or {}, ' ')
end
return table.concat(out, '\n')`
	return sink{"Redis", testdb.Speak(in.t, testdb.RedisURL(in.t), "EVAL", all, "0", prefix)}
}

var (
	titles = regexp.MustCompile(`(?s)<title>.*?</title>`)
	links  = regexp.MustCompile(`(?:href|action|src)="[^"]*"`)
)

// pageSink is what of a page ends up in a browser's history: its title and URLs.
func pageSink(body string) string {
	return strings.Join(append(titles.FindAllString(body, -1), links.FindAllString(body, -1)...), "\n")
}
