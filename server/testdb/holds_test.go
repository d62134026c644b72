package testdb

import (
	"strings"
	"testing"
)

// Whatever type a key has, what it holds is found, and nothing of another prefix.
func TestRedisHolds(t *testing.T) {
	t.Parallel()
	service, prefix := RedisURL(t), Prefix()
	for _, row := range []struct {
		name  string
		write []string
	}{
		{"name", []string{"SET", "needle-name", "x"}},
		{"string", []string{"SET", "a", "a needle-string"}},
		{"hash", []string{"HSET", "b", "field", "needle-hash"}},
		{"field", []string{"HSET", "c", "needle-field", "x"}},
		{"list", []string{"RPUSH", "d", "x", "needle-list"}},
		{"set", []string{"SADD", "e", "x", "needle-set"}},
		{"zset", []string{"ZADD", "f", "1", "x", "2", "needle-zset"}},
		{"stream", []string{"XADD", "g", "*", "e", `{"call":"needle-stream"}`}},
	} {
		for _, under := range []string{prefix, "other:" + prefix} {
			words := append([]string{row.write[0], under + row.write[1]}, row.write[2:]...)
			Speak(t, service, words...)
			Speak(t, service, "EXPIRE", words[1], "60")
		}
		found := RedisHolds(t, service, prefix, "needle-"+row.name, "absent", "")
		if len(found) != 1 || !strings.HasPrefix(found[0], prefix) {
			t.Errorf("%s: %v", row.name, found)
		}
	}
	if found := RedisHolds(t, service, prefix+"*", "needle"); len(found) != 0 {
		t.Errorf("a prefix is no pattern: %v", found)
	}
}
