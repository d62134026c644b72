package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve logs to files too, whose times it keeps from the start.
func TestServeLogFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	name := func(age time.Duration) string {
		return filepath.Join(folder, "clicktodial-"+time.Now().UTC().Add(-age).Format(time.DateOnly))
	}
	const day = 24 * time.Hour
	for _, age := range []time.Duration{100 * day, 20 * day, 10 * day} {
		if err := os.WriteFile(name(age)+".log", []byte(`{"msg":"adopting a call","call_id":"4711"}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := setup(t).with("LOG_DIR", folder)
	p, _ := s.serve()
	read := func(path string) string {
		body, _ := os.ReadFile(path) // "" when there is none
		return string(body)
	}
	eventually(t, "the old files are tended", func() bool {
		return read(name(100*day)+".log") == "" && read(name(20*day)+".log") == "" && read(name(20*day)+".anonymous.log") != ""
	})
	if got := read(name(20*day) + ".anonymous.log"); got != `{"msg":"adopting a call","call_id":"-"}`+"\n" {
		t.Errorf("%q", got)
	}
	if got := read(name(10*day) + ".log"); !strings.Contains(got, "4711") {
		t.Errorf("a young one: %q", got)
	}
	p.stop()
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, p.errOut.String())
	}
	today := read(name(0)+".log") + read(name(day)+".log") // it may be midnight
	for _, text := range []string{`"msg":"serving"`, `"msg":"stopping"`} {
		if !strings.Contains(today, text) || !strings.Contains(p.errOut.String(), text) {
			t.Errorf("%s is missing in the file or on standard error: %q", text, today)
		}
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.with("LOG_DIR", file).run("serve").usage()
}
