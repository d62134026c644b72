package logfile

import (
	"bytes"
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
)

const day = 24 * time.Hour

// shelf is a folder whose clock a test sets.
type shelf struct {
	*Dir
	t  *testing.T
	at time.Time
}

func newShelf(t *testing.T, at time.Time) *shelf {
	t.Helper()
	s := &shelf{t: t, at: at}
	d, err := Open(filepath.Join(t.TempDir(), "logs"), 14*day, 90*day, func() time.Time { return s.at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) //nolint:errcheck // the test is over
	s.Dir = d
	return s
}

func (s *shelf) names() (names []string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func (s *shelf) read(name string) string {
	s.t.Helper()
	body, err := os.ReadFile(filepath.Join(s.path, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

func (s *shelf) tend() {
	s.t.Helper()
	if err := s.Tend(); err != nil {
		s.t.Fatal(err)
	}
}

func TestFilesOfADay(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	s := newShelf(t, midnight.Add(-time.Millisecond))
	log := slog.New(slog.NewJSONHandler(s, nil))
	log.Info("before")
	s.at = midnight.In(time.FixedZone("there", -3600))
	log.Info("after")
	if got := s.names(); !slices.Equal(got, []string{"clicktodial-2026-03-28.log", "clicktodial-2026-03-29.log"}) {
		t.Fatalf("%v", got)
	}
	if one, two := s.read("clicktodial-2026-03-28.log"), s.read("clicktodial-2026-03-29.log"); !strings.Contains(one, "before") || !strings.Contains(two, "after") {
		t.Errorf("%q %q", one, two)
	}
	about, err := os.Stat(filepath.Join(s.path, "clicktodial-2026-03-28.log"))
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", about, err)
	}
	again, err := Open(s.path, day, day, s.now)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close() //nolint:errcheck // the test is over
	slog.New(slog.NewJSONHandler(again, nil)).Info("another replica")
	if got := s.read("clicktodial-2026-03-29.log"); strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
}

// Both sides of both times.
func TestTimes(t *testing.T) {
	t.Parallel()
	const plainName, cleanName = "clicktodial-2026-01-01.log", "clicktodial-2026-01-01.anonymous.log"
	end := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) // of the file's day
	for _, row := range []struct {
		name string
		age  time.Duration
		want string
	}{
		{"young", 0, plainName},
		{"14 days", 14 * day, plainName},
		{"past 14 days", 14*day + time.Millisecond, cleanName},
		{"90 days", 90 * day, cleanName},
		{"past 90 days", 90*day + time.Millisecond, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, end.Add(-time.Hour))
			slog.New(slog.NewJSONHandler(s, nil)).Info("x", "call_id", "4711")
			stray := filepath.Join(s.path, "notes-2026-01-01.log")
			if err := os.WriteFile(stray, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.at = end.Add(row.age)
			s.tend()
			s.tend()
			want := []string{"notes-2026-01-01.log"}
			if row.want != "" {
				want = []string{row.want, "notes-2026-01-01.log"}
			}
			if got := s.names(); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			if row.want == cleanName && (strings.Contains(s.read(cleanName), "4711") || !strings.Contains(s.read(cleanName), `"msg":"x"`)) {
				t.Errorf("%q", s.read(cleanName))
			}
		})
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	const id = "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f506"
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Warn("a hang-up was not noted",
		"call_id", id, "request_id", id, "user_id", id, "tenant_id", id, "grant_id", id, "replica_id", id, "channel_id", "ctd-7", "listen", "10.0.0.1:80",
		"brand_new", "x4711", "status", 503, "took_ms", 12, "route", "/v1/calls/:id", "error", errors.New("call "+id+" and "+strings.ReplaceAll(id, "-", "")+": gone"),
		slog.Group("kind", "a", "x4711"), "code", []string{"x4711"})
	got := string(anonymous(line.Bytes()))
	for _, word := range []string{id, strings.ReplaceAll(id, "-", ""), "x4711", "ctd-7", "10.0.0.1"} {
		if strings.Contains(got, word) {
			t.Errorf("%q is left: %s", word, got)
		}
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(got), &o); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"msg": "a hang-up was not noted", "level": "WARN", "status": 503.0, "took_ms": 12.0, "route": "/v1/calls/:id",
		"error": "call - and -: gone", "call_id": "-", "kind": "-", "code": "-",
	} {
		if o[name] != want {
			t.Errorf("%s: %v, want %v", name, o[name], want)
		}
	}
	if !strings.HasPrefix(got, `{"time":`) {
		t.Errorf("the order: %s", got)
	}
	for _, text := range []string{"", "\n", "panic: x4711", `{"msg":"x4711`, `["x4711"]`, `"x4711"`, "null", `{"msg":"a"} {"msg":"b"}`} {
		if got := anonymous([]byte(text)); got != nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// Lines that are none of ours are left out, the others stay, whatever their length.
func TestAnonymiseLines(t *testing.T) {
	t.Parallel()
	long := `{"msg":"` + strings.Repeat("x", longestLine) + `"}`
	var out bytes.Buffer
	in := `{"msg":"1"}` + "\ntorn {\n" + long + "\n" + `{"msg":"2"}` + "\n" + `{"msg":"3"}`
	if err := anonymise(strings.NewReader(in), &out); err != nil || out.String() != `{"msg":"1"}`+"\n"+`{"msg":"2"}`+"\n"+`{"msg":"3"}`+"\n" {
		t.Errorf("%v %q", err, out.String())
	}
}

// Killed between two steps: the next time it is done.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newShelf(t, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	slog.New(slog.NewJSONHandler(s, nil)).Info("x", "call_id", "4711")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(s.path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".clicktodial-123.tmp", "half of ")
	write("clicktodial-2026-01-01.anonymous.log", `{"msg":"renamed, and the old one not deleted"}`)
	s.at = s.at.Add(20 * day)
	if err := os.Chtimes(filepath.Join(s.path, ".clicktodial-123.tmp"), s.at.Add(-2*tendEvery), s.at.Add(-2*tendEvery)); err != nil {
		t.Fatal(err)
	}
	s.tend()
	if got := s.names(); !slices.Equal(got, []string{"clicktodial-2026-01-01.anonymous.log"}) {
		t.Errorf("%v", got)
	}
	if got := s.read("clicktodial-2026-01-01.anonymous.log"); !strings.Contains(got, `"call_id":"-"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

// Many write while it is tended, by two replicas, over a midnight.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	at := time.Date(2026, 1, 1, 23, 59, 0, 0, time.UTC)
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); at = at.Add(time.Second); return at }
	path := t.TempDir()
	var work sync.WaitGroup
	for range 2 {
		d, err := Open(path, 14*day, 90*day, now)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close() //nolint:errcheck // the test is over
		log := slog.New(slog.NewJSONHandler(d, nil))
		for i := range 4 {
			work.Go(func() {
				for n := range 50 {
					log.Info("x", "call_id", fmt.Sprint(i, n))
				}
				if err := d.Tend(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	work.Wait()
	lines := 0
	for _, name := range []string{"clicktodial-2026-01-01.log", "clicktodial-2026-01-02.log"} {
		body, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(body) {
			if lines++; anonymous(line) == nil {
				t.Errorf("%q", line)
			}
		}
	}
	if lines != 400 {
		t.Errorf("%d lines", lines)
	}
}

// A folder that cannot be used is told at the start; one that goes later, once an hour.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, day, day, time.Now); err == nil || strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	s := newShelf(t, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err := os.RemoveAll(s.path); err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(day)
	if _, err := s.Write([]byte("x\n")); err == nil {
		t.Error("it was written")
	}
	if err := os.Mkdir(s.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Tend(); err == nil {
		t.Error("nobody is told")
	}
	if err := s.Tend(); err != nil {
		t.Errorf("told twice: %v", err)
	}
}
