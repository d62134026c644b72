package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

// newHash is the hash of a token that nobody has.
func newHash() []byte {
	sum := sha256.Sum256([]byte(uuid.NewString()))
	return sum[:]
}

func mustFind(t *testing.T, c *TokenCache, hash []byte) Token {
	t.Helper()
	found, err := c.Find(context.Background(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTokenCache(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	c := NewTokenCache(r)
	hash, expires := newHash(), time.Now().Add(10*time.Minute)
	if found := mustFind(t, c, hash); found.Known || found.Revoked {
		t.Errorf("an unknown token: %+v", found)
	}
	for _, body := range []string{"first", "second"} { // who is first stays
		if err := c.Fill(ctx, hash, []byte(body), expires); err != nil {
			t.Fatal(err)
		}
		if found := mustFind(t, c, hash); !found.Known || found.Revoked || !bytes.Equal(found.Principal, []byte("first")) {
			t.Errorf("after %s: %+v", body, found)
		}
	}
	at, err := r.client.PExpireTime(ctx, c.key(hash)).Result()
	if off := time.UnixMilli(at.Milliseconds()).Sub(expires); err != nil || off.Abs() > time.Second {
		t.Errorf("the entry goes %v after the token, %v", off, err)
	}
	old := newHash()
	if err := c.Fill(ctx, old, []byte("old"), time.Now().Add(-time.Second)); err != nil {
		t.Errorf("an expired token: %v", err)
	}
	if found := mustFind(t, c, old); found.Known {
		t.Error("an expired token is remembered")
	}
}

// What is buried stays so, whoever comes late with what he read before.
func TestTombstone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := setup(t)
	c := NewTokenCache(r)
	expires := time.Now().Add(10 * time.Minute)
	filled, fresh := newHash(), newHash()
	if err := c.Fill(ctx, filled, []byte("alive"), expires); err != nil {
		t.Fatal(err)
	}
	if err := c.Bury(ctx, []models.Revocation{{Hash: filled, GrantID: uuid.New(), ExpiresAt: expires}, {Hash: fresh, GrantID: uuid.New(), ExpiresAt: expires}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for name, hash := range map[string][]byte{"one that was filled": filled, "one that was not": fresh} {
			if found := mustFind(t, c, hash); !found.Known || !found.Revoked {
				t.Errorf("%s: %+v", name, found)
			}
			if err := c.Fill(ctx, hash, []byte("stale"), expires); err != nil {
				t.Fatal(err)
			}
			// Not before the token itself.
			if at, err := r.client.PExpireTime(ctx, c.key(hash)).Result(); err != nil || time.UnixMilli(at.Milliseconds()).Before(expires.Truncate(time.Millisecond)) {
				t.Errorf("%s: its tombstone goes at %v, %v", name, time.UnixMilli(at.Milliseconds()), err)
			}
		}
	}
	if err := c.Bury(ctx, nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

// Many at once: all are buried, and all are told of.
func TestBuryMany(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := NewTokenCache(r)
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan uuid.UUID, 5000)
	var work sync.WaitGroup
	work.Go(func() { c.Listen(ctx, func(grant uuid.UUID) { told <- grant }) })
	defer work.Wait()
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); ; <-tick.C {
		n, err := r.client.PubSubNumSub(ctx, c.channel()).Result()
		if err == nil && n[c.channel()] == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody listens")
		}
	}
	tokens := make([]models.Revocation, 2500)
	open := map[uuid.UUID]bool{}
	for i := range tokens {
		tokens[i] = models.Revocation{Hash: newHash(), GrantID: uuid.New(), ExpiresAt: time.Now().Add(time.Minute)}
		open[tokens[i].GrantID] = true
	}
	if err := c.Bury(ctx, tokens); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 999, 1000, 2499} {
		if found := mustFind(t, c, tokens[i].Hash); !found.Revoked {
			t.Errorf("token %d: %+v", i, found)
		}
	}
	limit := time.After(deadline)
	for len(open) > 0 {
		select {
		case grant := <-told:
			delete(open, grant)
		case <-limit:
			t.Fatalf("nobody was told of %d", len(open))
		}
	}
}

// What is no id on the channel is passed over.
func TestListenToNoise(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := NewTokenCache(r)
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan uuid.UUID, 10)
	var work sync.WaitGroup
	work.Go(func() { c.Listen(ctx, func(grant uuid.UUID) { told <- grant }) })
	defer work.Wait()
	defer cancel()
	want := uuid.New()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); ; <-tick.C {
		for _, text := range []string{"", "noise", want.String()} {
			if err := r.client.Publish(ctx, c.channel(), text).Err(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told of %v", got)
			}
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("nobody is told")
		}
	}
}

// Redis goes: nothing is known and nothing buried, and both say so. Another
// process in its place is noticed, a new line to the same one is not.
func TestTokenCacheWithoutRedis(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	wire := newLine(t)
	r := open(t, wire.url, "ctdtest:"+uuid.NewString()+":")
	c := NewTokenCache(r)
	if !c.Since().IsZero() {
		t.Error("it has met a Redis before it asked")
	}
	hash := newHash()
	mustFind(t, c, hash)
	met := c.Since()
	if met.IsZero() {
		t.Fatal("it has not met its Redis")
	}
	wire.set(true)
	if found, err := c.Find(ctx, hash); !errors.Is(err, ErrDown) || found.Known {
		t.Errorf("cut: %+v, %v", found, err)
	}
	if err := c.Bury(ctx, []models.Revocation{{Hash: hash, GrantID: uuid.New(), ExpiresAt: time.Now().Add(time.Minute)}}); !errors.Is(err, ErrDown) {
		t.Errorf("cut, buried: %v", err)
	}
	if err := c.Fill(ctx, hash, []byte("x"), time.Now().Add(time.Minute)); !errors.Is(err, ErrDown) {
		t.Errorf("cut, filled: %v", err)
	}
	wire.set(false)
	if err := r.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	mustFind(t, c, hash)
	if !c.Since().Equal(met) {
		t.Error("the same Redis by a new line is taken for another")
	}
	r.mu.Lock()
	r.run = "another process"
	r.mu.Unlock()
	wire.set(true)
	wire.set(false)
	if err := r.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	mustFind(t, c, hash)
	if !c.Since().After(met) {
		t.Error("another Redis is taken for the same")
	}
}

// What was derived from Postgres goes; limits stay, and so does what is not ours.
func TestWipe(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r, neighbour := setup(t), setup(t)
	hash, user := newHash(), uuid.New()
	soon := time.Now().Add(time.Minute).Truncate(time.Millisecond)
	for _, each := range []*Redis{r, neighbour} {
		if err := NewTokenCache(each).Fill(ctx, hash, []byte("x"), soon); err != nil {
			t.Fatal(err)
		}
		if err := NewTTLIndex(each).Add(ctx, Entry{User: user, Call: uuid.New(), Expires: soon}); err != nil {
			t.Fatal(err)
		}
		if _, err := each.Count(ctx, "x", time.Minute, 1); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2500 { // more than one look of SCAN
		if err := r.client.Set(ctx, r.prefix+"ev:{"+uuid.NewString()+"}", i, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Wipe(ctx); err != nil {
		t.Fatal(err)
	}
	left := func(each *Redis) int {
		keys, err := each.client.Keys(ctx, each.prefix+"*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(keys)
	}
	if n := left(r); n != 1 {
		t.Errorf("%d keys are left, want the limit", n)
	}
	if n := left(neighbour); n != 4 {
		t.Errorf("a neighbour's: %d, want 4", n)
	}
	odd := &Redis{client: r.client, prefix: r.prefix + "[a]*?:"}
	plain := &Redis{client: r.client, prefix: r.prefix + "axx:"}
	for _, each := range []*Redis{odd, plain} {
		if err := NewTokenCache(each).Fill(ctx, hash, []byte("x"), soon); err != nil {
			t.Fatal(err)
		}
	}
	if err := odd.Wipe(ctx); err != nil {
		t.Fatal(err)
	}
	if mustFind(t, NewTokenCache(odd), hash).Known || !mustFind(t, NewTokenCache(plain), hash).Known {
		t.Error("a prefix with signs in it is taken for a pattern")
	}
}
