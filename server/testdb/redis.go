package testdb

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Speak says one command to the Redis of a URL, past everything of ours, and gives
// the line, or the text, that it answers; "(nil)" for none.
func Speak(t testing.TB, service string, words ...string) string {
	t.Helper()
	answer, err := speak(service, words...)
	if err != nil {
		t.Fatalf("redis %s: %v", words[0], err)
	}
	return answer
}

func speak(service string, words ...string) (string, error) {
	u, err := url.Parse(service)
	if err != nil {
		return "", err
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // one command long
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	if secret, has := u.User.Password(); has {
		if answer, err := say(conn, r, "AUTH", secret); err != nil || answer != "OK" {
			return "", fmt.Errorf("AUTH: %q, %w", answer, err)
		}
	}
	return say(conn, r, words...)
}

// say is one command and its answer in RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/.
func say(conn net.Conn, r *bufio.Reader, words ...string) (string, error) {
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return "", err
	}
	line, err := r.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil || line == "" {
		return "", fmt.Errorf("no answer: %w", err)
	}
	if line[0] != '$' {
		return line[1:], nil
	}
	size, err := strconv.Atoi(line[1:])
	if err != nil || size < 0 {
		return "(nil)", err
	}
	text := make([]byte, size+2)
	for read := 0; read < len(text); {
		n, err := r.Read(text[read:])
		if err != nil {
			return "", err
		}
		read += n
	}
	return string(text[:size]), nil
}

// RedisServer is a Redis process of the test's own, on a port that it keeps.
type RedisServer struct {
	URL string

	t       testing.TB
	program string
	folder  string
	port    string
	process *osexec.Cmd
}

// NewRedisServer starts one; it writes no dump but when it is told to.
func NewRedisServer(t testing.TB) *RedisServer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s := &RedisServer{URL: "redis://127.0.0.1:" + port, t: t, program: need(t, "CTD_REDIS_SERVER"), folder: t.TempDir(), port: port}
	t.Cleanup(s.Kill)
	s.Start()
	return s
}

// Start starts it, with the dump that it finds, and waits until it answers.
func (s *RedisServer) Start() {
	s.t.Helper()
	s.process = osexec.Command(s.program, "--port", s.port, "--bind", "127.0.0.1", "--dir", s.folder,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no")
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		if answer, err := speak(s.URL, "PING"); err == nil && answer == "PONG" {
			return
		}
		if time.Now().After(end) {
			s.t.Fatal("the test's own Redis does not answer")
		}
	}
}

// Kill ends it at once, as a power cut would.
func (s *RedisServer) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill() // it may have ended
	_ = s.process.Wait()         // killed, as it should be
	s.process = nil
}

// Save writes the dump that the next start finds.
func (s *RedisServer) Save() {
	s.t.Helper()
	if answer := Speak(s.t, s.URL, "SAVE"); answer != "OK" {
		s.t.Fatalf("SAVE: %s", answer)
	}
	if _, err := os.Stat(filepath.Join(s.folder, "dump.rdb")); err != nil {
		s.t.Fatal(err)
	}
}
