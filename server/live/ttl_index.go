package live

import (
	"context"
	"slices"
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

const (
	dayFormat = "2006-01-02"
	// So many records at most go in one round trip: some milliseconds of Redis's
	// time, in which others wait.
	chunk = 2000
)

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
	for some := range slices.Chunk(entries, chunk) {
		err := x.redis.do(ctx, func(ctx context.Context) error {
			pipe := x.redis.client.Pipeline()
			for key, members := range x.byKey(some) {
				ids := make([]any, len(members))
				for i, m := range members {
					ids[i] = m.Member
				}
				pipe.ZRem(ctx, key, ids...)
			}
			_, err := pipe.Exec(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// byKey sorts entries by the keys in which they stand.
func (x *TTLIndex) byKey(entries []Entry) map[string][]redis.Z {
	keys := map[string][]redis.Z{}
	for _, e := range entries {
		hist, due, member := x.histKey(e.User, e.Expires), x.dueKey(e.Expires), e.member()
		keys[hist], keys[due] = append(keys[hist], member), append(keys[due], member)
	}
	return keys
}

// Due gives at most limit records whose time has come, those of the day before
// first. The queue may name some that are gone already (Drop), and lacks those that
// were entered while Redis was away: Postgres's own index finds them.
func (x *TTLIndex) Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, err error) {
	err = x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		var days []*redis.StringSliceCmd
		for _, key := range x.dueKeys(now) {
			days = append(days, pipe.ZRangeArgs(ctx, redis.ZRangeArgs{
				Key: key, Start: "-inf", Stop: now.UnixMilli(), ByScore: true, Count: int64(limit),
			}))
		}
		_, err := pipe.Exec(ctx)
		for _, day := range days {
			for _, member := range day.Val() {
				if id, err := uuid.Parse(member); err == nil && len(due) < limit {
					due = append(due, id)
				}
			}
		}
		return err
	})
	return due, err
}

// dueKeys are the queues that hold what is due and have not gone themselves.
func (x *TTLIndex) dueKeys(now time.Time) []string {
	return []string{x.dueKey(now.Add(-models.Day)), x.dueKey(now)}
}

// Drop takes out of the due queue what Due gave and Postgres has not any more.
func (x *TTLIndex) Drop(ctx context.Context, now time.Time, ids ...uuid.UUID) error {
	for some := range slices.Chunk(ids, chunk) {
		err := x.redis.do(ctx, func(ctx context.Context) error {
			members := make([]any, len(some))
			for i, id := range some {
				members[i] = id.String()
			}
			pipe := x.redis.client.Pipeline()
			for _, key := range x.dueKeys(now) {
				pipe.ZRem(ctx, key, members...)
			}
			_, err := pipe.Exec(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
