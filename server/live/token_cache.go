package live

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"clicktodial/models"
)

// TokenCache remembers who an access token stands for, so that a request costs
// one GET. What it holds is ids and times. A token that was revoked has a
// tombstone in its place until it would have expired: an entry is only ever made
// where there is none (SET NX), so that a slow reader of Postgres cannot bring
// back what was revoked meanwhile.
type TokenCache struct{ redis *Redis }

// NewTokenCache makes the cache.
func NewTokenCache(r *Redis) *TokenCache { return &TokenCache{redis: r} }

// Token is what the cache says of a token.
type Token struct {
	Known     bool   // false: ask Postgres
	Revoked   bool   // it is dead
	Principal []byte // who it stands for, as Fill was given it
}

const tombstone = "-"

func (c *TokenCache) key(hash []byte) string {
	return c.redis.prefix + "tok:" + hex.EncodeToString(hash)
}

// Find asks for a token. ErrDown when Redis does not answer.
func (c *TokenCache) Find(ctx context.Context, hash []byte) (token Token, err error) {
	err = c.redis.do(ctx, func(ctx context.Context) error {
		body, err := c.redis.client.Get(ctx, c.key(hash)).Bytes()
		if err != nil {
			return err
		}
		token = Token{Known: true, Revoked: string(body) == tombstone, Principal: body}
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return token, err
}

// Fill remembers a principal until the token expires, unless something is known
// of the token already.
func (c *TokenCache) Fill(ctx context.Context, hash, principal []byte, expires time.Time) error {
	err := c.redis.do(ctx, func(ctx context.Context) error {
		return c.redis.client.SetArgs(ctx, c.key(hash), principal, redis.SetArgs{Mode: "NX", ExpireAt: expires}).Err()
	})
	if errors.Is(err, redis.Nil) { // it was there
		err = nil
	}
	return err
}

// Bury writes tombstones, and tells every replica whose sign-ins have ended. No
// error means that Redis has them all.
func (c *TokenCache) Bury(ctx context.Context, tokens []models.Revocation) error {
	for some := range slices.Chunk(tokens, 1000) {
		err := c.redis.do(ctx, func(ctx context.Context) error {
			pipe := c.redis.client.Pipeline()
			for _, t := range some {
				// EXAT counts whole seconds: not one too few.
				pipe.SetArgs(ctx, c.key(t.Hash), tombstone, redis.SetArgs{ExpireAt: t.ExpiresAt.Add(time.Second)})
				pipe.Publish(ctx, c.channel(), t.GrantID.String())
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

func (c *TokenCache) channel() string { return c.redis.prefix + "revoked" }

// Listen calls told with each sign-in that some replica has ended, until ctx
// ends. What is missed while Redis is away, Postgres tells.
func (c *TokenCache) Listen(ctx context.Context, told func(grant uuid.UUID)) {
	pubs := c.redis.client.Subscribe(ctx, c.channel())
	defer pubs.Close() //nolint:errcheck // nobody listens any more
	messages := pubs.Channel()
	for {
		select {
		case m := <-messages:
			if m == nil {
				return
			}
			if grant, err := uuid.Parse(m.Payload); err == nil {
				told(grant)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Since is when this Redis was first met. One that was restarted, or that
// another has taken the place of, may have come back with old data.
func (c *TokenCache) Since() time.Time { return c.redis.since() }
