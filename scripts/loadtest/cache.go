package main

import (
	"context"
	"fmt"

	"clicktodial/server/live"
)

// cache is the token cache of one installation, to look into.
type cache struct {
	redis  *live.Redis
	tokens *live.TokenCache
}

func (b *bench) openCache(prefix string) (*cache, error) {
	redis, err := live.Open(b.Redis, prefix)
	if err != nil {
		return nil, err
	}
	return &cache{redis, live.NewTokenCache(redis)}, nil
}

func (c *cache) close() { _ = c.redis.Close() } // it was only looked into

// holds gives what is known of a living token; else what was to be measured is
// not there.
func (c *cache) holds(ctx context.Context, token string) ([]byte, error) {
	found, err := c.tokens.Find(ctx, hashOf(token))
	if err == nil && (!found.Known || found.Revoked) {
		err = fmt.Errorf("a token that was used is not in the cache (known %t, revoked %t)", found.Known, found.Revoked)
	}
	return found.Principal, err
}
