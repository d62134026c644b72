// Package live is Redis: the TTL index, event fan-out and counters. All of it may
// vanish at any moment and be rebuilt from Postgres; it holds ids and times, and
// no number, name, address or e-mail. Every key has a TTL.
package live

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// ErrDown is that Redis did not answer, or did not just before.
var ErrDown = errors.New("redis cannot be reached")

const (
	answerTimeout = 250 * time.Millisecond
	// After a failure Redis is left alone this long, so that a dead one costs a
	// click nothing.
	restTime = 500 * time.Millisecond
)

// Redis is the connection. Its methods may be called at once.
type Redis struct {
	client *redis.Client
	prefix string
	rests  atomic.Int64 // unix ns until which we do not try

	mu  sync.Mutex
	run string    // the run id of the Redis that we talk to
	met time.Time // when we first did
}

// Open makes a client; it does not connect yet. prefix begins every key, "ctd:"
// but in tests. The URL may hold a password and is in no error.
func Open(url, prefix string) (*Redis, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_URL cannot be read")
	}
	logging.Disable() // it writes addresses to standard error
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = answerTimeout, answerTimeout, answerTimeout
	opts.PoolTimeout = 2 * answerTimeout
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries = -1
	opts.DialerRetries = 1
	opts.ClientName = "clicktodial"
	r := &Redis{prefix: prefix}
	opts.OnConnect = r.meet
	r.client = redis.NewClient(opts)
	return r, nil
}

// runID is a line of INFO server: another one is another process.
var runID = regexp.MustCompile(`(?m)^run_id:([0-9a-f]+)\r?$`)

func runOf(info string) string {
	if found := runID.FindStringSubmatch(info); found != nil {
		return found[1]
	}
	return ""
}

// meet looks, on each new connection, whether it leads to the Redis that we know.
// One that does not tell is a stranger each time.
func (r *Redis) meet(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.Info(ctx, "server").Result()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	run := runOf(info)
	r.mu.Lock()
	defer r.mu.Unlock()
	if run == "" || run != r.run {
		r.run, r.met = run, time.Now()
	}
	return nil
}

func (r *Redis) since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.met
}

// Close ends all connections.
func (r *Redis) Close() error { return r.client.Close() }

// Ping asks Redis, rested or not.
func (r *Redis) Ping(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: ping", ErrDown)
	}
	r.rests.Store(0)
	return nil
}

// Down says whether the last try failed a moment ago.
func (r *Redis) Down() bool { return time.Now().UnixNano() < r.rests.Load() }

// do runs one round trip, unless Redis rests, and lets it rest when it fails.
func (r *Redis) do(ctx context.Context, fn func(context.Context) error) error {
	if r.Down() {
		return ErrDown
	}
	err := fn(ctx)
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return err
	case errors.As(err, &answer):
		return fmt.Errorf("redis refused: %w", answer)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err() // the caller went away; Redis may be well
	}
	r.rests.Store(time.Now().Add(restTime).UnixNano())
	return ErrDown
}

// probe asks Redis whether it is there, and lets it rest when it is not.
func (r *Redis) probe(ctx context.Context) (down bool) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if r.client.Ping(ctx).Err() == nil {
		r.rests.Store(0)
		return false
	}
	r.rests.Store(time.Now().Add(restTime + answerTimeout).UnixNano())
	return true
}

// Wipe drops what was derived from Postgres: the token cache, the TTL index and
// the event streams. A database that was restored knows nothing of what stands
// there. Limits and counters stay. It looks at every key of ours: for a service
// that stands still.
func (r *Redis) Wipe(ctx context.Context) error {
	for _, kind := range []string{"tok:", "hist:", "due:", "ev:"} {
		pattern := literal.Replace(r.prefix+kind) + "*"
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			var keys []string
			err := r.do(ctx, func(ctx context.Context) (err error) {
				keys, cursor, err = r.client.Scan(ctx, cursor, pattern, 1000).Result()
				if err != nil || len(keys) == 0 {
					return err
				}
				return r.client.Unlink(ctx, keys...).Err()
			})
			if err != nil {
				return fmt.Errorf("wiping Redis: %w", err)
			}
		}
	}
	return nil
}

// literal takes the meaning from what a pattern of SCAN has signs for.
var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)

// Policy gives maxmemory-policy; anything but noeviction may drop what we count on.
func (r *Redis) Policy(ctx context.Context) (policy string, err error) {
	err = r.do(ctx, func(ctx context.Context) error {
		got, err := r.client.ConfigGet(ctx, "maxmemory-policy").Result()
		policy = got["maxmemory-policy"]
		return err
	})
	return policy, err
}

// Count adds to a counter that is gone after window, and gives its value. name
// must hold no personal data: an HMAC where it is made of some.
func (r *Redis) Count(ctx context.Context, name string, window time.Duration, add int64) (n int64, err error) {
	key := r.prefix + "rate:" + name
	err = r.do(ctx, func(ctx context.Context) error {
		pipe := r.client.TxPipeline()
		count := pipe.IncrBy(ctx, key, add)
		pipe.ExpireNX(ctx, key, window)
		_, err := pipe.Exec(ctx)
		n = count.Val()
		return err
	})
	return n, err
}
