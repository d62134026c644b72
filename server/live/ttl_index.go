package live

import (
	"context"
	"slices"
	"strings"
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

// dueMember names the user as well: who finds a record there, that Postgres has no
// more, finds the user's keys too.
func (e Entry) dueMember() redis.Z {
	return redis.Z{Score: float64(e.Expires.UnixMilli()), Member: e.Call.String() + ":" + e.User.String()}
}

func readDue(member redis.Z) (e Entry, ok bool) {
	text, _ := member.Member.(string)
	call, user, _ := strings.Cut(text, ":")
	var errCall, errUser error
	e.Call, errCall = uuid.Parse(call)
	e.User, errUser = uuid.Parse(user)
	e.Expires = time.UnixMilli(int64(member.Score))
	return e, errCall == nil && errUser == nil
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
		hist.members, due.members = append(hist.members, e.member()), append(due.members, e.dueMember())
	}
	return keys
}

// Due gives at most limit records whose time has come, those of the day before
// first. The queue may name some that are gone already (Forget takes them out), and
// lacks those that were entered while Redis was away: Postgres's own index finds
// them.
func (x *TTLIndex) Due(ctx context.Context, now time.Time, limit int) (due []Entry, err error) {
	err = x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		var days []*redis.ZSliceCmd
		for _, key := range x.dueKeys(now) {
			days = append(days, pipe.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
				Key: key, Start: "-inf", Stop: now.UnixMilli(), ByScore: true, Count: int64(limit),
			}))
		}
		_, err := pipe.Exec(ctx)
		for _, day := range days {
			for _, member := range day.Val() {
				if e, ok := readDue(member); ok && len(due) < limit {
					due = append(due, e)
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
