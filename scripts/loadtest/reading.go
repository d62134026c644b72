package main

import (
	"bytes"
	"context"
	"fmt"
)

// readers is how many users ask who they are: more than there are connections.
const readers = 48

// read is one of the routes that are measured in turn.
type read struct {
	name, path string
	server     *process
	answered   func(body []byte, n int) bool // whether it is what the n-th question asks for
	used       meter
	rates      map[int][]float64 // by connections
}

// reading measures GET /v1/me of warm tokens, each in turn with a bare Fiber
// route that gives the same answer, and with one that asks Redis first.
func (b *bench) reading(ctx context.Context) error {
	of := newInstallation("reading")
	server, err := b.serveReplica(ctx, of, "reading", practiceURL, b.Redis)
	if err != nil {
		return err
	}
	defer server.stop()
	answer, principal, err := b.warmReaders(ctx, of, server)
	if err != nil {
		return err
	}
	yard, err := b.startYardstick(ctx, answer, principal)
	if err != nil {
		return err
	}
	defer yard.stop()

	own := make([][]byte, readers)
	for n := range own {
		own[n] = beginning(n)
	}
	same := func(body []byte, _ int) bool { return bytes.Equal(body, answer) }
	bare := &read{name: "a bare Fiber route", path: barePath, server: yard, answered: same, rates: map[int][]float64{}}
	redis := &read{name: "one with a Redis GET", path: redisPath, server: yard, answered: same, rates: map[int][]float64{}}
	me := &read{
		name: "GET /v1/me", path: "/v1/me", server: server, rates: map[int][]float64{},
		answered: func(body []byte, n int) bool { return bytes.HasPrefix(body, own[n%readers]) },
	}
	for round := range b.rounds + 1 { // the first is to warm up
		if round > 0 {
			progress("GET /v1/me, round %d of %d", round, b.rounds)
		}
		for _, n := range connections {
			for _, r := range []*read{bare, redis, me} {
				if err := b.readRun(ctx, r, n, round == 0); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
		}
	}
	b.readResults(bare, redis, me, len(answer), len(principal))
	return nil
}

// warmReaders has each of them known to the server, makes sure that the cache
// knows them, and gives an answer and what the cache holds of its token.
func (b *bench) warmReaders(ctx context.Context, of installation, server *process) (answer, principal []byte, err error) {
	cache, err := b.openCache(of.prefix)
	if err != nil {
		return nil, nil, err
	}
	defer cache.close()
	c, err := dialClient(server.addr)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	for n := range readers {
		if err := b.data.askMe(c, n); err != nil {
			return nil, nil, err
		}
		if principal, err = cache.holds(ctx, b.data.tokens[n]); err != nil {
			return nil, nil, err
		}
	}
	return c.body, principal, nil
}

func (b *bench) readRun(ctx context.Context, r *read, connections int, warmUp bool) error {
	ask := func(c *client, n int) error {
		got, err := c.get(r.path, b.data.tokens[n%readers])
		if err == nil && (got.status != 200 || !r.answered(c.body, n)) {
			err = fmt.Errorf("was answered with %d, or not as asked", got.status)
		}
		return err
	}
	if warmUp {
		_, err := flood(ctx, r.server.addr, connections, b.warm, ask)
		return err
	}
	return b.metered(ctx, &r.used, r.server, func() (int, error) {
		l, err := flood(ctx, r.server.addr, connections, b.read, ask)
		r.rates[connections] = append(r.rates[connections], l.rate())
		return l.answered, err
	})
}

func (b *bench) readResults(bare, redis, me *read, answer, principal int) {
	for _, n := range connections {
		ours := me.rates[n]
		share := func(of *read) []float64 {
			shares := make([]float64, len(ours))
			for round := range ours {
				shares[round] = ours[round] / of.rates[n][round]
			}
			return shares
		}
		b.results = append(b.results,
			rateResult(fmt.Sprintf("GET /v1/me, principal cached, %d connections", n), ours, "bare Fiber JSON route", bare.rates[n], share(bare), 0.25),
			rateResult("  the same", ours, "Fiber, one Redis GET", redis.rates[n], share(redis), 0.8))
	}
	note := fmt.Sprintf("Processor time of a request (answers of %d bytes, principals of %d, %d tokens):", answer, principal, readers)
	for _, r := range []*read{bare, redis, me} {
		note += fmt.Sprintf("\n  %s: %s", r.name, r.used.micros())
	}
	b.notes = append(b.notes, note)
}
