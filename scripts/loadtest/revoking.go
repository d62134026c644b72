package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// revoking measures how soon another replica refuses what one has revoked.
func (b *bench) revoking(ctx context.Context) error {
	if err := b.data.fresh(ctx); err != nil {
		return err
	}
	of := newInstallation("replicas")
	var replicas []*process
	for _, name := range []string{"replica-a", "replica-b"} {
		p, err := b.serveReplica(ctx, of, name, practiceURL, b.Redis)
		if err != nil {
			return err
		}
		defer p.stop()
		replicas = append(replicas, p)
	}
	signIns, err := b.data.signIns(ctx, b.revoked)
	if err != nil {
		return err
	}
	r := &revoker{bench: b}
	defer r.close()
	if err := r.open(of, replicas[0].addr, replicas[1].addr); err != nil {
		return err
	}
	progress("%d revocations", len(signIns))
	load := b.startBackground(ctx, replicas)
	time.Sleep(b.warm)
	err = r.all(ctx, signIns)
	said, loadErr := load.end()
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	if loadErr != nil {
		return fmt.Errorf("the load beside the revocations: %w", loadErr)
	}
	r.results(said)
	return nil
}

// revoker ends sign-ins on replica A that are in use on B.
type revoker struct {
	bench *bench
	cache *cache
	yard  *cache // for the yardstick: not the installation's

	onA, using, next *client // using and next: on B

	took, answered, bare []float64 // ms: to the refusal on B, to the answer of A, of the yardstick
	accepted             int       // sign-ins that B took after A's answer
}

func (r *revoker) open(of installation, a, b string) (err error) {
	if r.cache, err = r.bench.openCache(of.prefix); err != nil {
		return err
	}
	if r.yard, err = r.bench.openCache(barePrefix); err != nil {
		return err
	}
	if r.onA, err = dialClient(a); err != nil {
		return err
	}
	if r.using, err = dialClient(b); err != nil {
		return err
	}
	r.next, err = dialClient(b)
	return err
}

func (r *revoker) close() {
	for _, c := range []*client{r.onA, r.using, r.next} {
		if c != nil {
			c.close()
		}
	}
	for _, c := range []*cache{r.cache, r.yard} {
		if c != nil {
			c.close()
		}
	}
}

func (r *revoker) all(ctx context.Context, signIns []signIn) error {
	for n, s := range signIns {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bare, err := r.yardstick(ctx)
		if err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
		r.bare = append(r.bare, millis(bare))
		token := s.access
		if n%2 == 1 {
			token = s.refresh // ends the access token as well
		}
		if err := r.one(ctx, s, token); err != nil {
			return fmt.Errorf("sign-in %d: %w", n, err)
		}
	}
	return nil
}

// yardstick is the least that a revocation has to do: a row committed, and a key
// set in Redis.
func (r *revoker) yardstick(ctx context.Context) (time.Duration, error) {
	id := uuid.New()
	began := time.Now()
	_, err := r.bench.data.conn.Exec(ctx, "INSERT INTO audit (id, actor_kind, action) VALUES ($1, 'system', 'bench-yardstick')", id)
	if err == nil {
		err = r.yard.tokens.Fill(ctx, id[:], []byte("-"), began.Add(time.Hour))
	}
	return time.Since(began), err
}

// one revokes a sign-in by one of its tokens while the access token is used.
func (r *revoker) one(ctx context.Context, s signIn, token string) error {
	if err := expect(r.next, s.access, 200); err != nil {
		return err
	}
	if _, err := r.cache.holds(ctx, s.access); err != nil {
		return err
	}
	inUse, done := make(chan struct{}), make(chan use, 1)
	go func() { done <- hammer(r.using, s.access, inUse) }()
	<-inUse
	revoked, err := r.onA.revoke(token)
	if err == nil && revoked.status != 200 {
		err = fmt.Errorf("a revocation was answered with %d", revoked.status)
	}
	var next reply
	if err == nil {
		next, err = r.next.get("/v1/me", s.access)
	}
	used := <-done
	if err := errors.Join(err, used.err); err != nil {
		return err
	}
	if next.status != 401 || used.last.After(revoked.came) {
		r.accepted++
	}
	r.took = append(r.took, millis(used.refused.Sub(revoked.sent)))
	r.answered = append(r.answered, millis(revoked.came.Sub(revoked.sent)))
	return nil
}

// expect asks with a token that must be answered so.
func expect(c *client, token string, status int) error {
	r, err := c.get("/v1/me", token)
	if err == nil && r.status != status {
		err = fmt.Errorf("GET /v1/me was answered with %d instead of %d", r.status, status)
	}
	return err
}

const goalRefusal = 100.0 // ms

func (r *revoker) results(load string) {
	p99 := quantile(r.took, 0.99)
	r.bench.results = append(r.bench.results,
		result{
			what: "revocation → refusal on another replica, p99", figure: tail(r.took), yardstick: "one commit, then one Redis SET: " + tail(r.bare),
			compared: fmt.Sprintf("%+.2f ms", p99-quantile(r.bare, 0.99)), goal: "under 100 ms", met: p99 < goalRefusal,
		},
		result{
			what: "  accepted after the answer", figure: fmt.Sprintf("%d of %d", r.accepted, len(r.took)), goal: "none", met: r.accepted == 0,
		})
	r.bench.notes = append(r.bench.notes, fmt.Sprintf("Revocations, under a load of %s on two replicas: the answer itself took %s.", load, tail(r.answered)))
}

// tail says how a time that must never be long was spread.
func tail(values []float64) string {
	return fmt.Sprintf("p50 %.2f, p99 %.2f, max %.2f ms", median(values), quantile(values, 0.99), slices.Max(values))
}
