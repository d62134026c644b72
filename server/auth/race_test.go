package auth

import (
	"context"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/testdb"
)

// A slow reader of Postgres fills the cache after the tombstone was written: it
// stays a tombstone, also for a replica that knows of it from nowhere else.
func TestFillAfterRevoke(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	prefix := testdb.Prefix()
	near := b.node(t, testdb.RedisURL(t), prefix)
	far := b.replica(t, b.DB, near.Redis)
	far.look(ctx) // once; it does not read along
	tokens := b.signIn(t)
	hash := hashToken(tokens.Access)
	bearer, err := far.DB.FindBearer(ctx, models.AccessToken, hash) // findStored, as far as Postgres
	if err != nil || !usable(bearer, b.Now()) {
		t.Fatal(err)
	}
	if _, err := near.Revoke(ctx, actorOf(b.user), Which{SignIn: bearer.GrantID}, ""); err != nil {
		t.Fatal(err)
	}
	p := principal(bearer) // and from there on
	if err := far.Cache.Fill(ctx, hash, p.pack(), p.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	if far.watch.isDead(hash) || !far.watch.trusts(far.Cache.Since()) {
		t.Fatal("the other replica knows more than it should: the test proves nothing")
	}
	wantDead(t, "the slow reader", far, tokens.Access)
	wantDead(t, "the one that revoked", near.Service, tokens.Access)
}

// Cache fills against revocations, as many as fit in a while: once Revoke has
// returned, both replicas refuse, and 300 ms of fills later they still do.
func TestForcedRace(t *testing.T) {
	t.Parallel()
	const races, workers, limit = 1000, 4, 4 * time.Second
	ctx := context.Background()
	b := desk(t)
	prefix := testdb.Prefix()
	near, far := b.node(t, testdb.RedisURL(t), prefix), b.node(t, testdb.RedisURL(t), prefix)
	both := []*Service{near.Service, far.Service}
	var mu sync.Mutex
	var run []string // tokens whose race is over
	lost := 0
	alive := func(s *Service, token string) bool {
		_, err := s.Authenticate(ctx, token)
		if err != nil && fault.Code(err) != "unauthorized" {
			t.Error(err)
		}
		return err == nil
	}
	race := func() {
		tokens := b.signIn(t)
		grant := b.grantOf(t, tokens.Access)
		var fills sync.WaitGroup
		begin := make(chan struct{})
		for i := range 4 {
			fills.Go(func() {
				<-begin
				for range 3 {
					alive(both[i%2], tokens.Access)
				}
			})
		}
		close(begin)
		if _, err := both[grant[15]%2].Revoke(ctx, actorOf(b.user), Which{SignIn: grant}, ""); err != nil {
			t.Error(err)
		}
		dead := !alive(near.Service, tokens.Access) && !alive(far.Service, tokens.Access)
		fills.Wait()
		dead = dead && !alive(near.Service, tokens.Access) && !alive(far.Service, tokens.Access)
		mu.Lock()
		defer mu.Unlock()
		run = append(run, tokens.Access)
		if !dead {
			lost++
		}
	}
	var work sync.WaitGroup
	end := time.Now().Add(limit)
	for range workers {
		work.Go(func() {
			for range races / workers {
				if time.Now().After(end) {
					return
				}
				race()
			}
		})
	}
	work.Wait()
	t.Logf("%d races", len(run))
	if lost > 0 || len(run) < 20 {
		t.Errorf("%d of %d races were lost", lost, len(run))
	}
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		for _, token := range run {
			if alive(near.Service, token) || alive(far.Service, token) {
				t.Fatal("a revoked token came back")
			}
		}
	}
}

// Nothing comes of a code, of either kind, once all sign-ins were ended, however
// close the two come.
func TestCodesAgainstRevoke(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	for range 30 {
		session := b.session(t, b.user, models.StageFull).Session
		code, pairing := b.consent(t, session, request()), b.pair(t)
		a, err := b.ReadAuthorization(request())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var issued []Tokens
		keep := func(tokens Tokens, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				issued = append(issued, tokens)
			}
		}
		late := ""
		all.Go(func() { keep(b.Exchange(ctx, codeForm(code), here.Network)) })
		all.Go(func() { keep(b.Redeem(ctx, pairing, ExtensionClient, "Chromium")) })
		all.Go(func() { late, _ = b.Allow(ctx, session, a, "Chromium") })
		if _, err := b.Revoke(ctx, actorOf(b.user), Which{User: b.user.ID}, ""); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if late != "" {
			keep(b.Exchange(ctx, codeForm(codeIn(t, late)), here.Network))
		}
		for _, tokens := range issued {
			b.wantAlive(t, tokens.Access, false)
		}
	}
}
