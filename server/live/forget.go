package live

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// streamsAtOnce bounds what one round trip reads: a stream is a few hundred kB at
// its longest.
const streamsAtOnce = 20

// Forget takes out records that are gone for good, and what the event streams
// hold of their calls. It comes after the commit that has deleted them, and may
// be repeated.
func (x *TTLIndex) Forget(ctx context.Context, entries ...Entry) error {
	if err := x.Remove(ctx, entries...); err != nil {
		return err
	}
	calls := map[uuid.UUID]bool{}
	seen := map[uuid.UUID]bool{}
	var users []uuid.UUID
	for _, e := range entries {
		calls[e.Call] = true
		if !seen[e.User] {
			seen[e.User] = true
			users = append(users, e.User)
		}
	}
	streaming, err := x.streaming(ctx, users)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(streaming, streamsAtOnce) {
		if err := x.forgetEvents(ctx, some, calls); err != nil {
			return err
		}
	}
	return nil
}

// streaming gives those of the users who have an event stream. Most have none: it
// is gone 10 minutes after the last call.
func (x *TTLIndex) streaming(ctx context.Context, users []uuid.UUID) (with []uuid.UUID, err error) {
	for some := range slices.Chunk(users, chunk) {
		err := x.redis.do(ctx, func(ctx context.Context) error {
			pipe := x.redis.client.Pipeline()
			there := make([]*redis.IntCmd, len(some))
			for i, user := range some {
				there[i] = pipe.Exists(ctx, x.redis.streamKey(user))
			}
			_, err := pipe.Exec(ctx)
			for i, user := range some {
				if there[i].Val() > 0 {
					with = append(with, user)
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return with, nil
}

// forgetEvents takes the events of the calls out of the users' streams.
func (x *TTLIndex) forgetEvents(ctx context.Context, users []uuid.UUID, calls map[uuid.UUID]bool) error {
	return x.redis.do(ctx, func(ctx context.Context) error {
		look := x.redis.client.Pipeline()
		streams := make([]*redis.XMessageSliceCmd, len(users))
		for i, user := range users {
			streams[i] = look.XRange(ctx, x.redis.streamKey(user), "-", "+")
		}
		if _, err := look.Exec(ctx); err != nil {
			return err
		}
		gone := x.redis.client.Pipeline()
		for i, stream := range streams {
			if ids := eventsOf(calls, stream.Val()); len(ids) > 0 {
				gone.XDel(ctx, x.redis.streamKey(users[i]), ids...)
			}
		}
		if gone.Len() == 0 {
			return nil
		}
		_, err := gone.Exec(ctx)
		return err
	})
}

// eventsOf gives the ids of the entries that tell of one of the calls.
func eventsOf(calls map[uuid.UUID]bool, entries []redis.XMessage) (ids []string) {
	for _, entry := range entries {
		var told struct {
			Call uuid.UUID `json:"call"`
		}
		body, ok := entry.Values["e"].(string)
		if ok && json.Unmarshal([]byte(body), &told) == nil && calls[told.Call] {
			ids = append(ids, entry.ID)
		}
	}
	return ids
}
