package main

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// holdupLimit is for how long a fill is kept back at most: long enough for a
// revocation to overtake it, and below the service's patience with Redis.
const holdupLimit = 40 * time.Millisecond

// holdup stands between a replica and Redis. It keeps back what fills the token
// cache, so that a fill with what Postgres said before a revocation arrives after
// it.
type holdup struct {
	*relay

	mu     sync.Mutex
	passed map[string]time.Time // when a token's fill was let go, by its hash
}

func newHoldup(target string) (h *holdup, err error) {
	h = &holdup{passed: map[string]time.Time{}}
	h.relay, err = newRelay(target, h.pass)
	return h, err
}

func (h *holdup) pass(from, to net.Conn, outward bool) {
	defer to.Close() //nolint:errcheck // what one side ends, ends the other
	readAll(from, func(part []byte, _ time.Time) {
		if hash := filled(part); outward && hash != "" {
			time.Sleep(rand.N(holdupLimit)) //nolint:gosec // no secret
			h.mu.Lock()
			h.passed[hash] = time.Now() // before Redis has it, so never too late
			h.mu.Unlock()
		}
		_, _ = to.Write(part) // if it is gone, the next read says so
	})
}

// filled gives the hash of the token that a command fills in: a SET that is made
// only where there is nothing (NX); a tombstone is set in any case.
func filled(part []byte) string {
	_, key, ok := bytes.Cut(part, []byte("tok:"))
	if !ok || len(key) < 64 || !bytes.Contains(bytes.ToLower(key[64:]), []byte("\r\nnx\r\n")) {
		return ""
	}
	return string(key[:64])
}

// letGo says when the token's fill went on to Redis; zero when there was none.
func (h *holdup) letGo(token string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passed[hex.EncodeToString(hashOf(token))]
}
