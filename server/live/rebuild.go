package live

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// ErrLockLost is that a rebuild took so long over one page that another replica
// may have begun its own.
var ErrLockLost = errors.New("the lock of the rebuild was lost")

const (
	// How long the mark of a built index is kept after the last look at it.
	builtKept = 24 * time.Hour
	// How long a replica that died over a rebuild holds the others up.
	lockKept = 30 * time.Second
)

func (x *TTLIndex) builtKey() string { return x.redis.prefix + "index:built" }
func (x *TTLIndex) lockKey() string  { return x.redis.prefix + "index:lock" }

// Built says whether the Redis that answers holds the whole index: it carries the
// mark, and the mark is its own, not one of an old dump or of another Redis.
func (x *TTLIndex) Built(ctx context.Context) (built bool, err error) {
	_, built, err = x.mark(ctx)
	return built, err
}

// mark gives the id of the Redis that answers, "" when it does not tell, and
// whether its mark stands.
func (x *TTLIndex) mark(ctx context.Context) (run string, built bool, err error) {
	err = x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline() // one connection, so one Redis
		info := pipe.Info(ctx, "server")
		mark := pipe.Get(ctx, x.builtKey())
		pipe.PExpire(ctx, x.builtKey(), builtKept)
		_, err := pipe.Exec(ctx)
		var refused redis.Error
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		run = runOf(info.Val())
		built = mark.Err() == nil && mark.Val() == "run:"+run
		return nil
	})
	return run, built, err
}

// Of a lock only its holder keeps it, or gives it back. ARGV: the token, ms.
var (
	keepLock = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	giveLock = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// Rebuild has fill enter all living records, and marks the index as built.
// One replica does it: ran is false where another is at it. Meanwhile readers go
// on, and repair what they meet. load keeps the lock too; it is to be called
// several times a minute. Errors: ErrDown, ErrLockLost, fill's own; then nothing
// is marked, and the next try begins anew.
func (x *TTLIndex) Rebuild(ctx context.Context, fill func(load func([]Entry) error) error) (ran bool, err error) {
	token := uuid.NewString()
	if ran, err = x.lock(ctx, token); !ran {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
		defer cancel()
		_ = x.script(ctx, giveLock, token) // else it ends by itself
	}()
	run, built, err := x.mark(ctx)
	if err != nil || built { // by another, before we had the lock
		return false, err
	}
	kept := time.Now()
	err = fill(func(entries []Entry) error {
		if err := x.addWhenUp(ctx, entries); err != nil {
			return err
		}
		if time.Since(kept) < lockKept/10 {
			return nil
		}
		kept = time.Now()
		return x.script(ctx, keepLock, token)
	})
	if err != nil {
		return true, err
	}
	return true, x.redis.do(ctx, func(ctx context.Context) error {
		return x.redis.client.Set(ctx, x.builtKey(), "run:"+run, builtKept).Err()
	})
}

// addWhenUp waits a few times for a Redis that rests: a rebuild would else begin anew.
func (x *TTLIndex) addWhenUp(ctx context.Context, entries []Entry) error {
	const tries = 5
	for try := 1; ; try++ {
		err := x.Add(ctx, entries...)
		if try == tries || !errors.Is(err, ErrDown) {
			return err
		}
		select {
		case <-time.After(restTime):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (x *TTLIndex) lock(ctx context.Context, token string) (ours bool, err error) {
	err = x.redis.do(ctx, func(ctx context.Context) error {
		return x.redis.client.SetArgs(ctx, x.lockKey(), token, redis.SetArgs{Mode: "NX", TTL: lockKept}).Err()
	})
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// script runs one of the two on the lock; ErrLockLost when it is not ours.
func (x *TTLIndex) script(ctx context.Context, s *redis.Script, token string) error {
	done := 0
	err := x.redis.do(ctx, func(ctx context.Context) (err error) {
		done, err = s.Run(ctx, x.redis.client, []string{x.lockKey()}, token, lockKept.Milliseconds()).Int()
		return err
	})
	if err == nil && done == 0 {
		return ErrLockLost
	}
	return err
}
