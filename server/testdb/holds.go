package testdb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisHolds reads every key that begins with prefix, of whatever type, past
// everything of ours, and says which of them hold one of the needles, in their
// name or in their value: none, when it is empty.
func RedisHolds(t testing.TB, service, prefix string, needles ...string) (found []string) {
	t.Helper()
	r := dialRedis(t, service)
	for _, key := range r.keys(prefix) {
		text := key + "\n" + strings.Join(r.value(key), "\n")
		for _, needle := range needles {
			if needle != "" && strings.Contains(text, needle) {
				found = append(found, fmt.Sprintf("%s holds %q", key, needle))
			}
		}
	}
	return found
}

// redisConn speaks RESP 2, https://redis.io/docs/latest/develop/reference/protocol-spec/.
type redisConn struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dialRedis(t testing.TB, service string) *redisConn {
	t.Helper()
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal("the service's URL cannot be read")
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test is over
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := &redisConn{t, conn, bufio.NewReader(conn)}
	if secret, has := u.User.Password(); has {
		r.say("AUTH", secret)
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		r.say("SELECT", db)
	}
	return r
}

// keys are all keys that begin with prefix.
func (r *redisConn) keys(prefix string) (keys []string) {
	r.t.Helper()
	seen := map[string]bool{}
	for cursor := "0"; ; {
		answer := r.say("SCAN", cursor, "MATCH", globbed(prefix)+"*", "COUNT", "1000")
		for _, key := range answer[1:] {
			if !seen[key] { // SCAN may give one twice
				seen[key] = true
				keys = append(keys, key)
			}
		}
		if cursor = answer[0]; cursor == "0" {
			return keys
		}
	}
}

var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func globbed(text string) string { return globs.Replace(text) }

// value is all that a key holds; nothing when it has just gone.
func (r *redisConn) value(key string) []string {
	r.t.Helper()
	read := map[string][]string{
		"string": {"GET", key}, "hash": {"HGETALL", key}, "list": {"LRANGE", key, "0", "-1"}, "set": {"SMEMBERS", key},
		"zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"}, "stream": {"XRANGE", key, "-", "+"},
	}
	kind := r.say("TYPE", key)[0]
	if kind == "none" {
		return nil
	}
	words, known := read[kind]
	if !known {
		r.t.Fatalf("a key of type %s cannot be read", kind)
	}
	return r.say(words...)
}

// say gives all texts of the answer, one after the other.
func (r *redisConn) say(words ...string) []string {
	r.t.Helper()
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	_, err := io.WriteString(r.conn, request.String())
	if err != nil {
		r.t.Fatalf("redis %s: %v", words[0], err)
	}
	answer, err := r.answer()
	if err != nil {
		r.t.Fatalf("redis %s: %v", words[0], err)
	}
	return answer
}

func (r *redisConn) answer() ([]string, error) {
	line, err := r.in.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil || line == "" {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	switch line[0] {
	case '-':
		return nil, fmt.Errorf("refused: %s", line[1:])
	case '$':
		return r.bulk(line[1:])
	case '*':
		n, err := strconv.Atoi(line[1:])
		var all []string
		for ; n > 0 && err == nil; n-- {
			var one []string
			one, err = r.answer()
			all = append(all, one...)
		}
		return all, err
	}
	return []string{line[1:]}, nil
}

func (r *redisConn) bulk(length string) ([]string, error) {
	size, err := strconv.Atoi(length)
	if err != nil || size < 0 {
		return nil, err
	}
	text := make([]byte, size+2)
	if _, err := io.ReadFull(r.in, text); err != nil {
		return nil, err
	}
	return []string{string(text[:size])}, nil
}
