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

// Add enters a call. The due queue outlives its day by one, so that the purge of
// the last minute before midnight still finds it.
func (x *TTLIndex) Add(ctx context.Context, user, call uuid.UUID, expires time.Time) error {
	return x.redis.do(ctx, func(ctx context.Context) error {
		member := redis.Z{Score: float64(expires.UnixMilli()), Member: call.String()}
		pipe := x.redis.client.Pipeline()
		pipe.ZAdd(ctx, x.histKey(user, expires), member)
		pipe.PExpireAt(ctx, x.histKey(user, expires), endOfDay(expires))
		pipe.ZAdd(ctx, x.dueKey(expires), member)
		pipe.PExpireAt(ctx, x.dueKey(expires), endOfDay(expires).Add(models.Day))
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Remove takes out a call whose record has gone before its time.
func (x *TTLIndex) Remove(ctx context.Context, user, call uuid.UUID, expires time.Time) error {
	return x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		pipe.ZRem(ctx, x.histKey(user, expires), call.String())
		pipe.ZRem(ctx, x.dueKey(expires), call.String())
		_, err := pipe.Exec(ctx)
		return err
	})
}
