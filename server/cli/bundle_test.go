package cli_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver for looks into the database

	"clicktodial/server/cli"
	"clicktodial/server/testdb"
)

const deadline = 30 * time.Second

// TestMain lets this test binary be the program itself, so that tests can run and
// signal it as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("CTD_TEST_RUN") != "" {
		os.Exit(cli.Main(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// shell runs commands with an environment of their own.
type shell struct {
	t   *testing.T
	url string
	env map[string]string
}

func setup(t *testing.T) *shell {
	t.Helper()
	url := testdb.URL(t)
	return &shell{t: t, url: url, env: map[string]string{
		"DATABASE_URL": url, "REDIS_URL": testdb.RedisURL(t), "REDIS_PREFIX": testdb.Prefix(),
		"SECRET_KEY": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"PBX_URL":    "practice://?ring=20ms&callee=20ms&talk=20ms&unanswered=20ms", "LOG_LEVEL": "debug", "LISTEN": "127.0.0.1:0", "METRICS_LISTEN": "127.0.0.1:0",
	}}
}

// bare is the shell of an operator who has set the database and nothing else.
func (s *shell) bare() *shell {
	return &shell{t: s.t, url: s.url, env: map[string]string{"DATABASE_URL": s.url}}
}

// with is the shell with variables set, or unset by "".
func (s *shell) with(pairs ...string) *shell {
	c := &shell{t: s.t, url: s.url, env: map[string]string{}}
	for name, value := range s.env {
		c.env[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		c.env[pairs[i]] = pairs[i+1]
	}
	return c
}

func (s *shell) environ() (list []string) {
	for name, value := range s.env {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// result is what a command left.
type result struct {
	t        *testing.T
	args     string
	code     int
	out, err string
}

// run runs one command in this process.
func (s *shell) run(args ...string) result { return s.typing("", args...) }

func (s *shell) typing(in string, args ...string) result {
	s.t.Helper()
	var out, errOut lockedBuffer
	code := cli.Main(args, s.environ(), strings.NewReader(in), &out, &errOut)
	return result{s.t, strings.Join(args, " "), code, out.String(), errOut.String()}
}

func (r result) ok() result {
	r.t.Helper()
	if r.code != 0 {
		r.t.Fatalf("%s: exit %d: %s", r.args, r.code, r.err)
	}
	return r
}

// object reads the one JSON object that --json prints.
func (r result) object() (o map[string]any) {
	r.t.Helper()
	r.ok()
	d := json.NewDecoder(strings.NewReader(r.out))
	if err := d.Decode(&o); err != nil || d.More() {
		r.t.Fatalf("%s: not one object: %v: %s", r.args, err, r.out)
	}
	return o
}

// problem checks exit 1 and the problem on standard error.
func (r result) problem(code string) {
	r.t.Helper()
	if r.code != 1 || r.out != "" {
		r.t.Fatalf("%s: exit %d, out %q, err %q", r.args, r.code, r.out, r.err)
	}
	if !strings.Contains(r.args, "--json") {
		if !strings.Contains(r.err, "("+code+")") {
			r.t.Errorf("%s: %q, want %s", r.args, r.err, code)
		}
		return
	}
	var p struct{ Code, Detail, Type string }
	if err := json.Unmarshal([]byte(r.err), &p); err != nil || p.Code != code || p.Detail == "" {
		r.t.Errorf("%s: %v %q, want %s", r.args, err, r.err, code)
	}
}

// usage checks exit 2 and that something was said.
func (r result) usage() {
	r.t.Helper()
	if r.code != 2 || r.out != "" || r.err == "" {
		r.t.Errorf("%s: exit %d, out %q, err %q", r.args, r.code, r.out, r.err)
	}
}

// seed makes a tenant with a user and a phone.
func (s *shell) seed() (tenant string) {
	s.t.Helper()
	made := s.run("tenant", "create", "--name", "Demo", "--admin", "admin@demo.test", "--json").object()
	tenant, _ = made["tenantId"].(string)
	s.run("user", "create", "--tenant", tenant, "--email", "anna@demo.test", "--name", "Anna Smit").ok()
	s.run("device", "add", "--user", "anna@demo.test", "--label", "Desk", "--endpoint", "101", "--caller-id", "+31201112233").ok()
	return tenant
}

// look runs a query as a role, and gives one value.
func (s *shell) look(role, query string, args ...any) (value string) {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // one query long
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only looked
	if _, err := tx.Exec("SELECT set_config('role', $1, true)", role); err != nil {
		s.t.Fatal(err)
	}
	var found sql.NullString
	if err := tx.QueryRow(query, args...).Scan(&found); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return found.String
}

// process is the program as a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    lockedBuffer
	errOut lockedBuffer
	ended  chan error
	once   sync.Once
}

func (s *shell) start(args ...string) *process {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{t: s.t, cmd: exec.Command(self, args...), ended: make(chan error, 1)} //nolint:gosec // ourselves
	p.cmd.Env = append(s.environ(), "CTD_TEST_RUN=1", "HOME="+s.t.TempDir(), "PATH="+os.Getenv("PATH"), "GOCOVERDIR="+filepath.Join(s.t.TempDir()))
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errOut
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	s.t.Cleanup(func() { p.once.Do(func() { _ = p.cmd.Process.Kill(); <-p.ended }) })
	return p
}

// wait gives the exit code.
func (p *process) wait() (code int) {
	p.t.Helper()
	p.once.Do(func() {
		select {
		case <-p.ended:
		case <-time.After(deadline):
			_ = p.cmd.Process.Signal(syscall.SIGQUIT)
			<-p.ended
			p.t.Errorf("it does not end: %s", p.errOut.String())
		}
	})
	return p.cmd.ProcessState.ExitCode()
}

// serve starts a server on a free port, and waits until it is ready.
func (s *shell) serve() (p *process, url string) {
	s.t.Helper()
	p = s.start("serve")
	eventually(s.t, "it serves", func() bool { return p.listening() != "" || len(p.ended) > 0 })
	if p.listening() == "" {
		s.t.Fatalf("it has ended: %s", p.errOut.String())
	}
	return p, "http://" + p.listening()
}

// listening finds the address in the log.
func (p *process) listening() string {
	for line := range strings.Lines(p.errOut.String()) {
		var entry struct{ Msg, Listen string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			return entry.Listen
		}
	}
	return ""
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// taken is an address that somebody listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // over
	return l.Addr().String()
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func text(v any) string { return fmt.Sprint(v) }

// freeAddress is one that nobody listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // that is the point
	return l.Addr().String()
}
