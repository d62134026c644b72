package cli_test

import (
	"strings"
	"testing"

	"clicktodial/server/testdb"
)

// A running server builds the index, again when it is lost, and says that a Redis
// drops what it should keep; calls go through all the same.
func TestServeLooksAfterTheIndex(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.seed()
	redis := testdb.NewRedisServer(t)
	testdb.Speak(t, redis.URL, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	s = s.with("REDIS_URL", redis.URL, "PURGE_INTERVAL", "1s")
	p, base := s.serve()
	mark := s.env["REDIS_PREFIX"] + "index:built"
	built := func() bool { return testdb.Speak(t, redis.URL, "EXISTS", mark) == "1" }
	eventually(t, "the index is built", built)
	testdb.Speak(t, redis.URL, "FLUSHALL")
	eventually(t, "it is built again", built)
	redis.Kill()
	redis.Start()
	eventually(t, "it is built in another Redis", built)

	const policy = "maxmemory-policy"
	if !strings.Contains(p.errOut.String(), policy) {
		t.Error("the log does not tell of the policy")
	}
	if code, body := get(t, base+"/readyz", ""); code != 200 || strings.Contains(body, policy) {
		t.Errorf("noeviction: %d %s", code, body)
	}
	testdb.Speak(t, redis.URL, "CONFIG", "SET", policy, "allkeys-lru")
	if code, body := get(t, base+"/readyz", ""); code != 200 || !strings.Contains(body, policy) || strings.Contains(body, `"ok":false`) {
		t.Errorf("allkeys-lru: %d %s", code, body)
	}
	p.stop()
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
