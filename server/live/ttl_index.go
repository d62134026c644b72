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

// Add enters records. Of two ends of one record the earlier holds, whichever is
// written last: a record's end is never put off, but who repairs the index may
// have read Postgres before it was brought forward.
func (x *TTLIndex) Add(ctx context.Context, entries ...Entry) error {
	for some := range slices.Chunk(entries, chunk) {
		err := x.redis.do(ctx, func(ctx context.Context) error {
			pipe := x.redis.client.Pipeline()
			for key, b := range x.buckets(some) {
				pipe.ZAddArgs(ctx, key, redis.ZAddArgs{LT: true, Members: b.members})
				pipe.PExpireAt(ctx, key, b.until)
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

// Remove takes out records that have gone, or that end at another time now.
func (x *TTLIndex) Remove(ctx context.Context, entries ...Entry) error {
	for some := range slices.Chunk(entries, chunk) {
		err := x.redis.do(ctx, func(ctx context.Context) error {
			pipe := x.redis.client.Pipeline()
			for key, b := range x.buckets(some) {
				ids := make([]any, len(b.members))
				for i, m := range b.members {
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

// bucket is what stands in one key, and until when.
type bucket struct {
	members []redis.Z
	until   time.Time
}

// buckets sorts entries by the keys in which they stand; those of one user and day
// that come together cost one look. The due queue outlives its day by one, so that
// the purge of the last minute before midnight finds it.
func (x *TTLIndex) buckets(entries []Entry) map[string]*bucket {
	keys := map[string]*bucket{}
	at := func(key string, until time.Time) *bucket {
		b := keys[key]
		if b == nil {
			b = &bucket{until: until}
			keys[key] = b
		}
		return b
	}
	var user uuid.UUID
	var until time.Time
	var hist, due *bucket
	for _, e := range entries {
		if end := endOfDay(e.Expires); hist == nil || e.User != user || !end.Equal(until) {
			user, until = e.User, end
			hist, due = at(x.histKey(user, e.Expires), until), at(x.dueKey(e.Expires), until.Add(models.Day))
		}
		member := e.member()
		hist.members, due.members = append(hist.members, member), append(due.members, member)
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
