package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/server/testdb"
)

// lab is what scripts/asterisk says of the real PBX that it started.
type lab struct {
	AMI struct {
		Host, User, Secret string
		Port               int
	} `json:"ami"`
}

// needLab gives the real PBX; without one the test is skipped, or fails in CI.
func needLab(t *testing.T) lab {
	t.Helper()
	path := os.Getenv("CTD_ASTERISK_LAB")
	if path == "" && os.Getenv("CI") != "" {
		t.Fatal("CTD_ASTERISK_LAB is not set: run scripts/test")
	}
	if path == "" {
		t.Skip("SKIPPED: no real PBX; scripts/test starts one")
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var l lab
	if err := json.Unmarshal(body, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ctd-server-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "clicktodial")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w: %s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(bin)) //nolint:errcheck // a temporary folder
	}
	os.Exit(code)
}

// installation is a database with one user and a phone, and the servers on it.
type installation struct {
	t        *testing.T
	bin      string
	database string
	env      []string
	token    string
}

// server is a running process of ours.
type server struct {
	cmd    *exec.Cmd
	base   string
	inside string // where its metrics are
	log    *logBuffer
	gone   chan struct{}
}

// logBuffer is what a process has logged so far.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func install(t *testing.T) *installation {
	t.Helper()
	database := testdb.URL(t)
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, bin: bin, database: database, env: []string{
		"PATH=" + os.Getenv("PATH"),
		"SECRET_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"REDIS_URL=" + testdb.RedisURL(t), "REDIS_PREFIX=" + testdb.Prefix(), "LOG_LEVEL=debug",
	}}
	tenant := in.command("tenant", "create", "--name", "Test", "--admin", "admin@test.example")["tenantId"].(string)
	in.command("user", "create", "--tenant", tenant, "--email", "user@test.example")
	in.command("device", "add", "--user", "user@test.example", "--label", "Desk", "--endpoint", "101", "--caller-id", "+31201112233")
	return in
}

func (in *installation) command(args ...string) map[string]any {
	in.t.Helper()
	cmd := exec.Command(in.bin, append(args, "--json")...)
	cmd.Env = append([]string{"DATABASE_URL=" + in.database}, in.env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("%v: %v\n%s", args, err, errOut.String())
	}
	var result map[string]any
	if err := json.Unmarshal(out, &result); err != nil {
		in.t.Fatalf("%v printed no JSON object: %v", args, err)
	}
	return result
}

// serve starts a server that reaches Postgres and the PBX where it is told.
func (in *installation) serve(database, pbx string) *server {
	in.t.Helper()
	listen := freeAddr(in.t)
	s := &server{cmd: exec.Command(in.bin, "serve"), base: "http://" + listen, inside: freeAddr(in.t), log: &logBuffer{}, gone: make(chan struct{})}
	s.cmd.Env = append([]string{"DATABASE_URL=" + database, "PBX_URL=" + pbx, "LISTEN=" + listen, "METRICS_LISTEN=" + s.inside}, in.env...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	go func() { s.cmd.Wait(); close(s.gone) }() //nolint:errcheck // a killed process has no better news
	in.t.Cleanup(func() {
		s.kill()
		<-s.gone
		if in.t.Failed() {
			in.t.Logf("log of %s:\n%s", s.base, s.log)
		}
	})
	in.await(20*time.Second, "the server to be ready, with its PBX", func() bool {
		ready, _ := in.ask(http.MethodGet, s.base+"/readyz", "", "")
		return strings.Count(string(ready), `"ok":true`) >= 5
	})
	return s
}

func (s *server) kill() { s.cmd.Process.Kill() } //nolint:errcheck // it may be dead already

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only its port was wanted
	return l.Addr().String()
}

// password sets a person's, from standard input.
func (in *installation) password(email, secret string) {
	in.t.Helper()
	cmd := exec.Command(in.bin, "user", "password", "--email", email)
	cmd.Env = append([]string{"DATABASE_URL=" + in.database}, in.env...)
	cmd.Stdin = strings.NewReader(secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		in.t.Fatalf("a password: %v\n%s", err, out)
	}
}

// signIn pairs with the server and keeps the access token.
func (in *installation) signIn(s *server) { in.signInAs(s, "user@test.example") }

func (in *installation) signInAs(s *server, email string) {
	in.t.Helper()
	code := in.command("user", "pair", email)["code"].(string)
	resp, err := http.PostForm(s.base+"/oauth/token", url.Values{
		"grant_type": {"urn:clicktodial:pairing-code"}, "code": {code}, "client_id": {"extension"}, "device_name": {"test"},
	})
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || tokens.Access == "" {
		in.t.Fatalf("no access token: %v", err)
	}
	in.token = tokens.Access
}

// ask sends a request and gives body and status; status 0 when nobody answered.
func (in *installation) ask(method, url, key, body string) ([]byte, int) {
	in.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+in.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0
	}
	return answer, resp.StatusCode
}

// await polls until the condition holds.
func (in *installation) await(limit time.Duration, what string, holds func() bool) {
	in.t.Helper()
	for deadline := time.Now().Add(limit); !holds(); {
		if time.Now().After(deadline) {
			in.t.Fatalf("waited %v in vain for %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// wireCall is what these tests read of a call.
type wireCall struct {
	ID        string
	Status    string
	Reason    string
	Diagnosis struct{ Code string }
	ExpiresAt time.Time
}

func (in *installation) history(s *server) []wireCall {
	in.t.Helper()
	body, status := in.ask(http.MethodGet, s.base+"/v1/history", "", "")
	var page struct{ Items []wireCall }
	if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
		in.t.Fatalf("history: %d %v", status, err)
	}
	return page.Items
}
