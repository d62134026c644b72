package retention

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver for what no code of ours does

	"clicktodial/server/fault"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// desk is a database with a ledger.
type desk struct {
	t    *testing.T
	url  string
	db   *store.DB
	path string
	log  *lockedLog
}

type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newDesk(t *testing.T, url string) *desk {
	t.Helper()
	db, err := store.Open(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return &desk{t: t, url: url, db: db, path: filepath.Join(t.TempDir(), "ledger"), log: &lockedLog{}}
}

func (d *desk) ledger() *Ledger {
	return NewLedger(d.db, d.path, slog.New(slog.NewJSONHandler(d.log, nil)))
}

// act counts one act.
func (d *desk) act() {
	d.t.Helper()
	if err := d.db.MarkLedger(context.Background()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) flush() {
	d.t.Helper()
	l := d.ledger()
	l.Flush(context.Background())
	if err := l.Failing(); err != nil {
		d.t.Fatal(err)
	}
}

// numbers reads the file.
func (d *desk) numbers() (all []int64) {
	d.t.Helper()
	if _, err := readLedger(d.path, func(line LedgerLine) { all = append(all, line.N) }); err != nil {
		d.t.Fatal(err)
	}
	return all
}

// exec does as the operator what no code of ours does.
func (d *desk) exec(statement string, args ...any) {
	d.t.Helper()
	raw, err := sql.Open("pgx", d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close() //nolint:errcheck // one statement long
	tx, err := raw.Begin()
	if err != nil {
		d.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing is left after a commit
	if _, err := tx.Exec("SELECT set_config('role', 'ctd_operator', true)"); err != nil {
		d.t.Fatal(err)
	}
	if _, err := tx.Exec(statement, args...); err != nil {
		d.t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		d.t.Fatal(err)
	}
}

func TestLedgerFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testdb.URL(t))
	d.act()
	d.act()
	d.flush()
	if got := d.numbers(); !slices.Equal(got, []int64{1, 2}) {
		t.Fatalf("%v", got)
	}
	about, err := os.Stat(d.path)
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", about, err)
	}
	// A crash, or a full disk, has torn the last line.
	f, err := os.OpenFile(d.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"n":3,"installation":"`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d.act()
	d.flush()
	if got := d.numbers(); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("after a torn line: %v", got)
	}
	if torn, err := readLedger(d.path, func(LedgerLine) {}); torn != 1 || err != nil {
		t.Errorf("%d torn, %v", torn, err)
	}
	if state, err := d.db.LedgerState(context.Background()); err != nil || state.Waiting != 4 {
		t.Errorf("%+v %v", state, err)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	const good = `{"n":7,"installation":"6b1b4d3c-9a5e-4a53-9d5e-0d6f6f1f2a3b","at":"2026-01-02T03:04:05.5+00:00","kind":"number","hash":"ab"}`
	for _, row := range []struct {
		name, text string
		want, torn int
	}{
		{"nothing", "", 0, 0},
		{"a line", good + "\n", 1, 0},
		{"twice", good + "\n" + good + "\n", 2, 0},
		{"the last without its end", good, 1, 0},
		{"torn at the end", good + "\n" + good[:30], 1, 1},
		{"torn, then healed", good[:30] + "\n" + good + "\n", 1, 1},
		{"empty lines", "\n\n" + good + "\n\n", 1, 0},
		{"zeros", strings.Repeat("\x00", 100) + "\n" + good + "\n", 1, 1},
		{"no end of it", strings.Repeat("x", 3*longestLine) + "\n" + good + "\n", 1, 1},
		{"no end of it, nor a line end", good + "\n" + strings.Repeat("x", 3*longestLine), 1, 1},
		{"another object", `{"a":1}` + "\n", 0, 1},
		{"no object", "7\n", 0, 1},
		{"a number below 1", strings.Replace(good, `"n":7`, `"n":0`, 1) + "\n", 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			torn, err := readLines(strings.NewReader(row.text), func(line LedgerLine) {
				if n++; line.N != 7 || line.Kind != "number" || line.Hash != "ab" || line.At.Nanosecond() != 5e8 {
					t.Errorf("%+v", line)
				}
			})
			if n != row.want || torn != row.torn || err != nil {
				t.Errorf("%d lines, %d torn, %v", n, torn, err)
			}
		})
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte(`{"n":1,"kind":"call","hash":"00"}` + "\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &plan{tenants: map[uuid.UUID]*replay{}}
		var file seen
		if _, err := readLines(bytes.NewReader(text), func(line LedgerLine) { file.add(line); p.add(line) }); err != nil {
			t.Error(err)
		}
	})
}

// What a database and its ledger have to say of each other at the start.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		setUp func(d *desk)
		code  string // of the refusal
		log   string // what is told
		lines int    // in the file once what waits is written
	}{
		{"a new installation", func(*desk) {}, "", "", 0},
		{"its first line waits", func(d *desk) { d.act() }, "", "", 1},
		{"level", func(d *desk) { d.act(); d.flush() }, "", "", 1},
		{"the ledger is behind", func(d *desk) { d.act(); d.flush(); d.act(); d.act() }, "", "", 3},
		{"the ledger is behind, and nothing waits", func(d *desk) { d.act(); d.flush(); d.exec("UPDATE ledger_counter SET n = 5") }, "", "", 1},
		{"the ledger is lost", func(d *desk) { d.act(); d.flush(); os.Remove(d.path) }, "", "it was lost", 1},         //nolint:errcheck // it is there
		{"the ledger is emptied", func(d *desk) { d.act(); d.flush(); os.Truncate(d.path, 0) }, "", "it was lost", 1}, //nolint:errcheck // it is there
		{"restored", func(d *desk) { d.act(); d.act(); d.flush(); d.exec("UPDATE ledger_counter SET n = 1") }, "database-restored", "", 2},
		{"restored, and its own ledger lost", func(d *desk) { d.exec("UPDATE ledger_counter SET restored_at = now()") }, "database-restored", "", 0},
		{"foreign", func(d *desk) { d.act(); d.flush(); d.exec("UPDATE ledger_counter SET installation = $1", uuid.New()) }, "ledger-foreign", "", 1},
		{"one foreign line", func(d *desk) {
			d.act()
			d.flush()
			d.exec("UPDATE ledger_counter SET installation = $1", uuid.New())
			d.act()
			line := d.waiting()
			if err := appendLines(d.path, []string{line}); err != nil {
				d.t.Fatal(err)
			}
		}, "ledger-foreign", "", 2},
		{"not to be read", func(d *desk) { d.path = d.t.TempDir() }, "", "ledger is not written", -1},
		{"none is kept", func(d *desk) { d.act(); d.path = "" }, "", "ERASURE_LEDGER is not set", -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, testdb.URL(t))
			row.setUp(d)
			l := d.ledger()
			err := l.Open(context.Background())
			if fault.Code(err) != row.code || row.code == "" && err != nil {
				t.Fatalf("%v, want %q", err, row.code)
			}
			if row.log == "" && d.log.String() != "" || !strings.Contains(d.log.String(), row.log) || strings.Contains(d.log.String(), d.path) && d.path != "" {
				t.Errorf("log: %s, want %q", d.log, row.log)
			}
			if row.code == "" {
				_ = l.flush(context.Background()) // the rows say what is left
			}
			if row.lines >= 0 && len(d.numbers()) != row.lines {
				t.Errorf("the file: %v", d.numbers())
			}
		})
	}
}

// waiting takes the line that waits.
func (d *desk) waiting() (line string) {
	d.t.Helper()
	if _, _, err := d.db.Flush(context.Background(), func(lines []string) error { line = lines[0]; return nil }); err != nil {
		d.t.Fatal(err)
	}
	return line
}

// What has been found out stays known, although the counter goes on.
func TestRestoredStaysRestored(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDesk(t, testdb.URL(t))
	d.act()
	d.act()
	d.flush()
	d.exec("UPDATE ledger_counter SET n = 1")
	if err := d.ledger().Open(ctx); !errors.Is(err, errRestored) {
		t.Fatal(err)
	}
	for range 3 {
		d.act()
	}
	if err := d.ledger().Open(ctx); !errors.Is(err, errRestored) {
		t.Errorf("counted on: %v", err)
	}
	d.path = ""
	if err := d.ledger().Open(ctx); !errors.Is(err, errRestored) {
		t.Errorf("without its ledger: %v", err)
	}
}

// A database that is exchanged for an older one under a running server.
func TestRestoredWhileServing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testdb.URL(t))
	d.act()
	d.act()
	l := d.ledger()
	if err := l.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(t.Context()) }()
	waitFor(t, func() bool { return len(d.numbers()) == 2 })
	d.exec("UPDATE ledger_counter SET n = 1")
	select {
	case err := <-ended:
		if !errors.Is(err, errRestored) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it goes on")
	}
}

// Nothing waits for a ledger that cannot be written, nothing is lost, and it is told.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDesk(t, testdb.URL(t))
	d.path = filepath.Join(t.TempDir(), "missing", "ledger")
	l := d.ledger()
	if err := l.Open(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.act()
		if err := l.flush(ctx); err == nil || l.Failing() == nil {
			t.Fatal("it was written")
		}
	}
	if n := strings.Count(d.log.String(), "not written"); n != 1 || strings.Contains(d.log.String(), d.path) {
		t.Errorf("told %d times: %s", n, d.log)
	}
	if err := os.Mkdir(filepath.Dir(d.path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.flush(ctx); err != nil || l.Failing() != nil || !slices.Equal(d.numbers(), []int64{1, 2, 3}) {
		t.Errorf("%v %v %v", err, l.Failing(), d.numbers())
	}
}

// Replicas flush at once while acts go on: no line is lost, and here none is twice.
func TestReplicasShareALedger(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	d := newDesk(t, testdb.URL(t))
	const acts = 60
	var running, acting sync.WaitGroup
	for range 2 {
		l := d.ledger()
		running.Go(func() {
			if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		for range acts / 2 {
			acting.Go(func() { d.act(); l.Soon() })
		}
	}
	acting.Wait()
	waitFor(t, func() bool { return len(d.numbers()) >= acts })
	stop()
	running.Wait()
	got := d.numbers()
	slices.Sort(got)
	for i, n := range got {
		if n != int64(i+1) || len(got) != acts {
			t.Fatalf("%v", got)
		}
	}
}

// A crash between the write and the commit: the line comes again.
func TestLineComesAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDesk(t, testdb.URL(t))
	d.act()
	crash := errors.New("killed")
	if _, _, err := d.db.Flush(ctx, func(lines []string) error { return errors.Join(appendLines(d.path, lines), crash) }); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	l := d.ledger()
	if err := l.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.flush(ctx); err != nil || !slices.Equal(d.numbers(), []int64{1, 1}) {
		t.Errorf("%v %v", err, d.numbers())
	}
}

// Without a ledger the outbox stays empty; a command leaves it to whoever has one.
func TestNoLedger(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDesk(t, testdb.URL(t))
	d.path = ""
	d.act()
	d.ledger().Flush(ctx)
	if state, err := d.db.LedgerState(ctx); err != nil || state.Waiting != 1 {
		t.Errorf("a command: %+v %v", state, err)
	}
	if err := d.ledger().flush(ctx); err != nil {
		t.Fatal(err)
	}
	if state, err := d.db.LedgerState(ctx); err != nil || state.Waiting != 2 || state.N != 1 {
		t.Errorf("serve: %+v %v", state, err)
	}
}

// A file system that hangs holds up nobody for longer than the limit.
func TestHangingFile(t *testing.T) {
	t.Parallel()
	l := NewLedger(nil, "x", slog.New(slog.DiscardHandler))
	release, returned := make(chan struct{}), make(chan struct{})
	if _, err := guarded(l, time.Millisecond, func() (int, error) { defer close(returned); <-release; return 1, nil }); !errors.Is(err, errHangs) {
		t.Error(err)
	}
	if _, err := guarded(l, time.Hour, func() (int, error) { return 1, nil }); !errors.Is(err, errHangs) {
		t.Errorf("a second one is let in: %v", err)
	}
	close(release)
	<-returned
	waitFor(t, func() bool {
		n, err := guarded(l, time.Hour, func() (int, error) { return 2, nil })
		return err == nil && n == 2
	})
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("never")
		}
	}
}

// The file holds nothing but what a line is said to hold.
func TestLineForm(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testdb.URL(t))
	d.act()
	d.flush()
	body, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil || len(o) != 4 || bytes.Count(body, []byte("\n")) != 1 {
		t.Errorf("%v %s", err, body)
	}
	for _, name := range []string{"n", "installation", "at", "kind"} {
		if fmt.Sprint(o[name]) == "" {
			t.Errorf("no %s: %s", name, body)
		}
	}
}

// in looks into the database as a role, in the name of a tenant.
func (d *desk) in(role, tenant string, fn func(scan func(query string, into *string, args ...any))) {
	d.t.Helper()
	raw, err := sql.Open("pgx", d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close() //nolint:errcheck // one look long
	tx, err := raw.Begin()
	if err != nil {
		d.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only looked
	if _, err := tx.Exec("SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.privacy', 'yes', true)", role, tenant); err != nil {
		d.t.Fatal(err)
	}
	fn(func(query string, into *string, args ...any) {
		var found sql.NullString
		if err := tx.QueryRow(query, args...).Scan(&found); err != nil {
			d.t.Fatalf("%s: %v", query, err)
		}
		*into = found.String
	})
}

// Whoever has been answered may come again at once: the file is free by then.
func TestGuardedIsFreeWhenItAnswers(t *testing.T) {
	t.Parallel()
	l := NewLedger(nil, "", slog.New(slog.DiscardHandler))
	for range 20_000 {
		if _, err := guarded(l, time.Minute, func() (struct{}, error) { return struct{}{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
}
