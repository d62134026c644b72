package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// deadline bounds every wait; a good run needs a tenth of it.
const deadline = 20 * time.Second

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// node is a replica with a line of its own to Redis, which reads revocations along.
type node struct {
	*Service
	line *testdb.Line

	mu    sync.Mutex
	ended map[uuid.UUID]int // what OnEnded was told
}

func (b *bundle) node(t *testing.T, redis, prefix string) *node {
	t.Helper()
	n := &node{line: testdb.NewLine(t, redis), ended: map[uuid.UUID]int{}}
	r, err := live.Open(n.line.URL, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
	n.Service = b.replica(t, b.DB, r)
	n.OnEnded = func(_ context.Context, grants []uuid.UUID) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, g := range grants {
			n.ended[g]++
		}
	}
	run(t, n.Service)
	n.settle(t)
	return n
}

// run has the service read along until the test is over.
func run(t *testing.T, s *Service) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { stop(); work.Wait() })
}

// settle waits until the replica believes its Redis.
func (n *node) settle(t *testing.T) {
	t.Helper()
	eventually(t, "the replica believes its Redis", func() bool {
		_, err := n.Cache.Find(context.Background(), make([]byte, 32))
		return err == nil && n.watch.trusts(n.Cache.Since())
	})
}

func (n *node) toldOf(grant uuid.UUID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended[grant] > 0
}

// cached has the replica answer from its Redis.
func (n *node) cached(t *testing.T, token string) {
	t.Helper()
	ctx := context.Background()
	if _, err := n.Authenticate(ctx, token); err != nil {
		t.Fatal(err)
	}
	if _, err := n.findCached(ctx, hashToken(token)); err != nil {
		t.Fatalf("not from the cache: %v", err)
	}
}

func wantDead(t *testing.T, what string, s *Service, token string) {
	t.Helper()
	if _, err := s.Authenticate(context.Background(), token); fault.Code(err) != "unauthorized" {
		t.Errorf("%s: a revoked token: %v", what, err)
	}
}

// Whoever ends whatever, both replicas refuse it at the next request, both are
// told, and nobody else is signed out.
func TestRevokedOnEveryReplica(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	prefix := testdb.Prefix()
	near, far := b.node(t, testdb.RedisURL(t), prefix), b.node(t, testdb.RedisURL(t), prefix)
	commandLine := b.replica(t, b.DB, nil)
	admin := b.user
	user := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	_, stranger := b.newTenant(t, "Other", "carl@other.test")
	for _, row := range []struct {
		name              string
		by                *Service
		actor             models.User
		one, all, company bool // what is ended
		as                string
	}{
		{"the user, one", near.Service, user, true, false, false, "user"},
		{"the user, all", near.Service, user, false, true, false, "user"},
		{"the admin, one", near.Service, admin, true, false, false, "admin"},
		{"the admin, all of a user", near.Service, admin, false, true, false, "admin"},
		{"the admin, the company", near.Service, admin, false, false, true, "admin"},
		{"support, one", near.Service, staff, true, false, false, "support"},
		{"support, all of a user", near.Service, staff, false, true, false, "support"},
		{"support, the company", near.Service, staff, false, false, true, "support"},
		{"the command line, one", commandLine, models.User{}, true, false, false, "support"},
		{"the command line, all of a user", commandLine, models.User{}, false, true, false, "support"},
		{"the command line, the company", commandLine, models.User{}, false, false, true, "support"},
	} {
		t.Run(row.name, func(t *testing.T) {
			laptop, desktop := b.signInAs(t, user), b.signInAs(t, user)
			boss, other, help := b.signInAs(t, admin), b.signInAs(t, stranger), b.signInAs(t, staff)
			browser := b.session(t, user, models.StageFull)
			for _, tokens := range []Tokens{laptop, desktop, boss, other, help} {
				near.cached(t, tokens.Access)
				far.cached(t, tokens.Access)
			}
			grant := b.grantOf(t, laptop.Access)
			which, dead := Which{SignIn: grant}, []Tokens{laptop}
			living := []Tokens{desktop, boss, other, help}
			switch {
			case row.all:
				which, dead, living = Which{User: user.ID}, []Tokens{laptop, desktop}, []Tokens{boss, other, help}
			case row.company:
				which, dead, living = Which{Tenant: b.tenant.ID}, []Tokens{laptop, desktop, boss}, []Tokens{other, help}
			}
			var err error
			if row.by == commandLine {
				_, err = row.by.RevokeByOperator(ctx, which, audit.Subject{Kind: "grant", ID: grant}, "lost laptop")
			} else {
				_, err = row.by.Revoke(ctx, actorOf(row.actor), which, "lost laptop")
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, tokens := range dead {
				if found, err := far.Cache.Find(ctx, hashToken(tokens.Access)); err != nil || !found.Revoked {
					t.Errorf("no tombstone in Redis: %v", err)
				}
				wantDead(t, "the other replica", far.Service, tokens.Access)
				wantDead(t, "this replica", near.Service, tokens.Access)
				if _, err := far.Refresh(ctx, tokens.Refresh, ExtensionClient, ""); fault.Code(err) != "refresh-token-invalid" {
					t.Errorf("its refresh token: %v", err)
				}
			}
			for _, tokens := range living {
				if _, err := far.Authenticate(ctx, tokens.Access); err != nil {
					t.Errorf("somebody else was signed out: %v", err)
				}
				b.refresh(t, tokens.Refresh)
			}
			eventually(t, "both are told", func() bool { return near.toldOf(grant) && far.toldOf(grant) })
			if end, err := far.HowEnded(ctx, grant); err != nil || end.By != row.as || end.Reason != "lost laptop" {
				t.Errorf("it ended %+v, %v", end, err)
			}
			if _, err := b.FindSession(ctx, browser.Cookie); (err == nil) != row.one {
				t.Errorf("the console session: %v", err)
			}
		})
	}
}

// Redis away from one replica or both: a revocation holds everywhere when it is
// answered, and goes on to hold when Redis is back with what it held before.
func TestRevokedWithoutRedis(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name      string
		near, far bool // cut off
	}{
		{"cut off from the one that revokes", true, false}, {"cut off from the other", false, true}, {"cut off from both", true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			prefix := testdb.Prefix()
			near, far := b.node(t, testdb.RedisURL(t), prefix), b.node(t, testdb.RedisURL(t), prefix)
			tokens, other := b.signIn(t), b.signIn(t)
			for _, n := range []*node{near, far} {
				n.cached(t, tokens.Access)
				n.cached(t, other.Access)
			}
			for n, cut := range map[*node]bool{near: row.near, far: row.far} {
				if cut {
					n.line.Cut()
				}
			}
			began := time.Now()
			if _, err := near.Revoke(ctx, actorOf(b.user), Which{SignIn: b.grantOf(t, tokens.Access)}, ""); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			wantDead(t, "this replica", near.Service, tokens.Access)
			wantDead(t, "the other replica", far.Service, tokens.Access)
			if took > spreadLimit+5*time.Second {
				t.Errorf("it took %v", took)
			}
			near.line.Mend()
			far.line.Mend()
			for _, n := range []*node{near, far} {
				wantDead(t, "just mended", n.Service, tokens.Access)
				eventually(t, "Redis answers again", func() bool {
					wantDead(t, "mending", n.Service, tokens.Access)
					_, err := n.Cache.Find(ctx, hashToken(other.Access))
					return err == nil
				})
				wantDead(t, "mended", n.Service, tokens.Access)
				if _, err := n.Authenticate(ctx, other.Access); err != nil {
					t.Errorf("another sign-in: %v", err)
				}
			}
			eventually(t, "the tombstone is in Redis", func() bool {
				found, err := near.Cache.Find(ctx, hashToken(tokens.Access))
				return err == nil && found.Revoked
			})
		})
	}
}

// A Redis that was put back to what it held: replicas that ran all the time
// remember, and one that starts now asks before it believes.
func TestRedisIsBackWithOldData(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name string
		down bool // when it was revoked
	}{{"revoked before it died", false}, {"revoked while it was dead", true}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			redis := testdb.NewRedisServer(t)
			b := desk(t)
			near, far := b.node(t, redis.URL, "ctd:"), b.node(t, redis.URL, "ctd:")
			tokens, other := b.signIn(t), b.signIn(t)
			for _, n := range []*node{near, far} {
				n.cached(t, tokens.Access)
				n.cached(t, other.Access)
			}
			key := "ctd:tok:" + hex.EncodeToString(hashToken(tokens.Access))
			held := testdb.Speak(t, redis.URL, "GET", key)
			redis.Save()
			if row.down {
				redis.Kill()
			}
			if _, err := near.Revoke(ctx, actorOf(b.user), Which{SignIn: b.grantOf(t, tokens.Access)}, ""); err != nil {
				t.Fatal(err)
			}
			wantDead(t, "revoked", far.Service, tokens.Access)
			eventually(t, "the other has read of it", func() bool { return far.watch.isDead(hashToken(tokens.Access)) })
			redis.Kill()
			wantDead(t, "Redis is dead", near.Service, tokens.Access)
			wantDead(t, "Redis is dead", far.Service, tokens.Access)
			redis.Start()
			if back := testdb.Speak(t, redis.URL, "GET", key); !row.down && back != held {
				t.Fatalf("the old data are not back: the test proves nothing: %q", back)
			}
			r, err := live.Open(redis.URL, "ctd:")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
			late := b.replica(t, b.DB, r)
			for _, s := range []*Service{near.Service, far.Service, late} {
				wantDead(t, "Redis is back", s, tokens.Access)
			}
			run(t, late)
			for _, s := range []*Service{near.Service, far.Service, late} {
				// All the while, until the replica believes its Redis again.
				eventually(t, "the replica believes its Redis", func() bool {
					wantDead(t, "believing", s, tokens.Access)
					_, err := s.Authenticate(ctx, other.Access)
					if err != nil {
						t.Fatal(err)
					}
					_, err = s.findCached(ctx, hashToken(other.Access))
					return err == nil
				})
				wantDead(t, "believed", s, tokens.Access)
			}
		})
	}
}

// The same by hand: what was cached is written back over the tombstone.
func TestTombstoneIsOverwritten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	prefix := testdb.Prefix()
	near, far := b.node(t, testdb.RedisURL(t), prefix), b.node(t, testdb.RedisURL(t), prefix)
	tokens := b.signIn(t)
	near.cached(t, tokens.Access)
	key := prefix + "tok:" + hex.EncodeToString(hashToken(tokens.Access))
	held := testdb.Speak(t, testdb.RedisURL(t), "GET", key)
	if _, err := near.Revoke(ctx, actorOf(b.user), Which{SignIn: b.grantOf(t, tokens.Access)}, ""); err != nil {
		t.Fatal(err)
	}
	if got := testdb.Speak(t, testdb.RedisURL(t), "GET", key); got != "-" || held == got {
		t.Fatalf("no tombstone but %q", got)
	}
	eventually(t, "the other has read of it", func() bool { return far.watch.isDead(hashToken(tokens.Access)) })
	testdb.Speak(t, testdb.RedisURL(t), "SET", key, held, "EX", "60")
	late := b.node(t, testdb.RedisURL(t), prefix)
	for _, n := range []*node{near, far, late} {
		wantDead(t, "overwritten", n.Service, tokens.Access)
	}
	unread := b.replica(t, b.DB, late.Redis) // it has not read the revocations yet
	wantDead(t, "overwritten", unread, tokens.Access)
}

// Sockets are told, also one that comes when the word has just gone round.
func TestWatch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	prefix := testdb.Prefix()
	near, far := b.node(t, testdb.RedisURL(t), prefix), b.node(t, testdb.RedisURL(t), prefix)
	tokens, other := b.signIn(t), b.signIn(t)
	grant := b.grantOf(t, tokens.Access)
	early, stop := far.Watch(grant)
	defer stop()
	spared, stop := far.Watch(b.grantOf(t, other.Access))
	defer stop()
	gone, stop := far.Watch(grant)
	stop()
	if _, err := near.Revoke(ctx, actorOf(b.user), Which{SignIn: grant}, ""); err != nil {
		t.Fatal(err)
	}
	await(t, "who watched", early)
	select {
	case <-spared:
		t.Error("another sign-in's socket is told")
	case <-gone:
		t.Error("who had stopped watching is told")
	default:
	}
	alone := b.replica(t, b.DB, near.Redis) // nobody tells it twice
	tokens = b.signIn(t)
	grant = b.grantOf(t, tokens.Access)
	if _, err := alone.Revoke(ctx, actorOf(b.user), Which{SignIn: grant}, ""); err != nil {
		t.Fatal(err)
	}
	late, stop := alone.Watch(grant)
	defer stop()
	select {
	case <-late:
	default:
		t.Error("who came late is not told")
	}
	if len(alone.watch.waiting) != 0 {
		t.Error("and is waited for")
	}
}

func await(t *testing.T, who string, told <-chan struct{}) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(deadline):
		t.Errorf("%s is not told", who)
	}
}

// Ending all of somebody's sign-ins ends those that are on their way, too.
func TestCodesEndWithTheSignIns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name  string
		which func(*bundle) Which
		by    func(*bundle, *testing.T) func(Which) error
	}{
		{"all of a user, by support", func(b *bundle) Which { return Which{User: b.user.ID} }, bySupport},
		{"a company, by support", func(b *bundle) Which { return Which{Tenant: b.tenant.ID} }, bySupport},
		{"all of a user, by themselves", func(b *bundle) Which { return Which{User: b.user.ID} }, func(b *bundle, _ *testing.T) func(Which) error {
			return func(w Which) error { return second(b.Revoke(ctx, actorOf(b.user), w, "")) }
		}},
		{"all of a user, by the operator", func(b *bundle) Which { return Which{User: b.user.ID} }, func(b *bundle, _ *testing.T) func(Which) error {
			return func(w Which) error { return second(b.RevokeByOperator(ctx, w, audit.Subject{}, "")) }
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			session := b.session(t, b.user, models.StageFull).Session
			code, pairing := b.consent(t, session, request()), b.pair(t)
			a, err := b.ReadAuthorization(request())
			if err != nil {
				t.Fatal(err)
			}
			colleague := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
			theirs := b.consent(t, b.session(t, colleague, models.StageFull).Session, request())
			if err := row.by(b, t)(row.which(b)); err != nil {
				t.Fatal(err)
			}
			_, err = b.Exchange(ctx, codeForm(code), here.Network)
			wantCode(t, "an authorization code", err, "code-invalid")
			_, err = b.Redeem(ctx, pairing, ExtensionClient, "Chromium")
			wantCode(t, "a pairing code", err, "pairing-code-invalid")
			_, err = b.Allow(ctx, session, a, "Chromium") // the page was open
			wantCode(t, "consent in a session that has ended", err, "unauthorized")
			_, err = b.Exchange(ctx, codeForm(theirs), here.Network)
			if all := row.which(b).Tenant != uuid.Nil; (err == nil) == all {
				t.Errorf("a colleague's code: %v", err)
			}
		})
	}
}

func bySupport(b *bundle, t *testing.T) func(Which) error {
	staff := actorOf(b.newUser(t, nil, "help@provider.test", models.RoleSupport))
	return func(w Which) error { return second(b.Revoke(context.Background(), staff, w, "")) }
}

// Ended once is ended: by whom and why stays what it was.
func TestRevokedTwice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	staff := actorOf(b.newUser(t, nil, "help@provider.test", models.RoleSupport))
	tokens := b.signIn(t)
	grant := b.grantOf(t, tokens.Access)
	for i, by := range []Actor{staff, actorOf(b.user), staff} {
		n, err := b.Revoke(ctx, by, Which{SignIn: grant}, []string{"lost laptop", "again", "again"}[i])
		if err != nil || n != []int{1, 0, 0}[i] {
			t.Errorf("time %d: %d, %v", i, n, err)
		}
		b.later(time.Minute)
	}
	if end, err := b.HowEnded(ctx, grant); err != nil || end.By != "support" || end.Reason != "lost laptop" {
		t.Errorf("it ended %+v, %v", end, err)
	}
	if _, err := b.HowEnded(ctx, b.grantOf(t, b.signIn(t).Access)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a living one: %v", err)
	}
}

// When a sign-in was last used is noted once a day, and in no request.
func TestUses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	tokens := b.signIn(t)
	used := func() *time.Time {
		list, err := b.SignIns(ctx, actorOf(b.user), b.user.ID)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0].LastUsedOn
	}
	b.wantAlive(t, tokens.Access, true)
	if used() != nil {
		t.Error("a request wrote it")
	}
	b.wantAlive(t, tokens.Access, true)
	if n := len(b.uses.take()); n != 1 {
		t.Errorf("%d uses of one sign-in on one day", n)
	}
	b.later(models.Day)
	tokens = b.refresh(t, tokens.Refresh)
	b.wantAlive(t, tokens.Access, true)
	b.flushUses(ctx)
	if day := used(); day == nil || day.Format(time.DateOnly) != b.Now().Format(time.DateOnly) {
		t.Errorf("last used on %v", day)
	}
}
