package live

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"clicktodial/models"
)

// TTLIndex is the Redis TTL index of the dial history: for each user and expiry
// day a sorted set of call ids by the millisecond at which each record ends. The
// score is exact; the key's own TTL drops the whole day. A second set lists what
// falls due for the purge job. Writes are idempotent, so that a repeated or late
// one does no harm; Postgres stays the truth.
type TTLIndex struct{ redis *Redis }

// NewTTLIndex makes the index.
func NewTTLIndex(r *Redis) *TTLIndex { return &TTLIndex{redis: r} }

const dayFormat = "2006-01-02"

// endOfDay is when the keys of the UTC day of at may go.
func endOfDay(at time.Time) time.Time { return at.UTC().Truncate(models.Day).Add(models.Day) }

func (x *TTLIndex) histKey(user uuid.UUID, expires time.Time) string {
	return x.redis.prefix + "hist:{" + user.String() + "}:" + expires.UTC().Format(dayFormat)
}

func (x *TTLIndex) dueKey(day time.Time) string {
	return x.redis.prefix + "due:" + day.UTC().Format(dayFormat)
}

// Entry is a record in the index.
type Entry struct {
	User, Call uuid.UUID
	Expires    time.Time // whole milliseconds
}

func (e Entry) member() redis.Z {
	return redis.Z{Score: float64(e.Expires.UnixMilli()), Member: e.Call.String()}
}

// Add enters records. The due queue outlives its day by one, so that the purge of
// the last minute before midnight still finds it.
func (x *TTLIndex) Add(ctx context.Context, entries ...Entry) error {
	return x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		for _, e := range entries {
			pipe.ZAdd(ctx, x.histKey(e.User, e.Expires), e.member())
			pipe.PExpireAt(ctx, x.histKey(e.User, e.Expires), endOfDay(e.Expires))
			pipe.ZAdd(ctx, x.dueKey(e.Expires), e.member())
			pipe.PExpireAt(ctx, x.dueKey(e.Expires), endOfDay(e.Expires).Add(models.Day))
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Remove takes out records that have gone, or that end at another time now.
func (x *TTLIndex) Remove(ctx context.Context, entries ...Entry) error {
	return x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		for _, e := range entries {
			pipe.ZRem(ctx, x.histKey(e.User, e.Expires), e.Call.String())
			pipe.ZRem(ctx, x.dueKey(e.Expires), e.Call.String())
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Forget takes out records that were erased, and what the event streams hold of them.
func (x *TTLIndex) Forget(ctx context.Context, entries ...Entry) error {
	return x.Remove(ctx, entries...) // TODO(4): and the streams
}

// Due gives at most limit records whose time has come, by the due queue.
func (x *TTLIndex) Due(ctx context.Context, now time.Time, limit int) ([]uuid.UUID, error) {
	return nil, nil // TODO(4)
}
