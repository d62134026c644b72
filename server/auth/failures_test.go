package auth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// One answer for all who may not come in, whether they are there or not.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	b.newUser(t, &b.tenant, "invited@example.test", models.RoleUser)
	disabled := b.newUser(t, &b.tenant, "disabled@example.test", models.RoleUser)
	b.givePassword(t, disabled.ID)
	if err := b.SetDisabled(ctx, actorOf(b.user), disabled.ID, true); err != nil {
		t.Fatal(err)
	}
	gone, former := b.newTenant(t, "Gone", "former@gone.test")
	b.givePassword(t, former.ID)
	if _, err := b.EndTenant(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, row := range []struct{ name, email, password string }{
		{"unknown", "nobody@example.test", passphrase}, {"no password set", "invited@example.test", ""},
		{"wrong", b.user.Email, "wrong horse battery 7"}, {"empty", b.user.Email, ""},
		{"disabled", disabled.Email, passphrase}, {"ended tenant", former.Email, passphrase},
		{"NUL in the password", b.user.Email, passphrase + "\x00"}, {"password not UTF-8", b.user.Email, "\xff" + passphrase},
		{"a very long password", b.user.Email, strings.Repeat(passphrase, 1000)}, {"another case", b.user.Email, strings.ToUpper(passphrase)},
		{"with a blank", b.user.Email, passphrase + " "}, {"the hash", b.user.Email, cheapHash()},
	} {
		at := Visitor{Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(answers))}), 32)}
		opened, err := b.OpenSession(ctx, row.email, row.password, at)
		f, ok := fault.Of(err)
		if !ok || f != errSignIn || opened != (Opened{}) {
			t.Errorf("%s: %+v, %v", row.name, opened, err)
			continue
		}
		answers = append(answers, err.Error())
	}
	if slices.Sort(answers); len(slices.Compact(answers)) != 1 {
		t.Errorf("answers differ: %q", answers)
	}
	if _, err := b.OpenSession(ctx, b.user.Email, passphrase, here); err != nil {
		t.Errorf("the right one: %v", err)
	}
	for _, email := range []string{"", "anna\x00@example.test", "anna\xff@example.test", "' OR 1=1 --", strings.Repeat("a", 100_000) + "@example.test"} {
		if _, err := b.findCredential(ctx, email); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an e-mail of %d letters: %v", len(email), err)
		}
	}
	if n := strings.Count(b.dump(t), "sign-in-failure"); n != len(answers) {
		t.Errorf("%d failures were written down", n)
	}
}

// Nobody learns from the clock who is there: the best of a few, since whatever
// else the machine does only makes it slower.
func TestEqualTime(t *testing.T) { // not parallel: it looks at the clock
	ctx := context.Background()
	b := desk(t)
	hash, err := HashPassword(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DB.SetPassword(ctx, b.user.ID, hash, b.Now(), entry); err != nil {
		t.Fatal(err)
	}
	best := map[string]time.Duration{}
	for range 2 {
		for _, email := range []string{b.user.Email, "nobody@example.test"} {
			began := time.Now()
			_, err := b.OpenSession(ctx, email, "wrong horse battery 7", here)
			wantCode(t, email, err, "sign-in-refused")
			if took := time.Since(began); best[email] == 0 || took < best[email] {
				best[email] = took
			}
		}
	}
	known, unknown := best[b.user.Email], best["nobody@example.test"]
	if known > 2*unknown || unknown > 2*known {
		t.Errorf("an unknown one takes %v, a known one %v", unknown, known)
	}
	if p, err := parseHash(nobody.String()); err != nil || p.time != argonTime || p.memory != argonMemory || p.threads != argonThreads {
		t.Errorf("nobody's hash takes other work: %+v, %v", p, err)
	}
}

// Ten failures on an account from one network in a quarter of an hour; then even
// the right password waits. Others do not.
func TestFailuresAreCounted(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]func(*testing.T, *bundle){
		"in Redis":        func(*testing.T, *bundle) {},
		"in this process": func(_ *testing.T, b *bundle) { b.Redis = nil },
		"with Redis cut off": func(t *testing.T, b *bundle) {
			line := testdb.NewLine(t, testdb.RedisURL(t))
			r, err := live.Open(line.URL, testdb.Prefix())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
			b.Redis = r
			line.Cut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			b := desk(t)
			bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
			b.givePassword(t, bert.ID)
			without(t, b)
			try := func(email, password string, v Visitor) error {
				return second(b.OpenSession(ctx, email, password, v))
			}
			for range 3 * accountFailures { // successes are not counted
				if err := try(b.user.Email, passphrase, here); err != nil {
					t.Fatal(err)
				}
			}
			for i := range accountFailures {
				wantCode(t, "a failure", try(b.user.Email, "wrong", here), "sign-in-refused")
				if i == accountFailures-2 {
					wantCode(t, "the last that may", try(b.user.Email, passphrase, here), "")
				}
			}
			err := try(b.user.Email, passphrase, here)
			wantCode(t, "the right one, after ten", err, "too-many-failures")
			if f, _ := fault.Of(err); f == nil || f.RetryAfter <= 0 || f.RetryAfter > 15*time.Minute {
				t.Errorf("it does not say how long to wait: %+v", f)
			}
			wantCode(t, "written otherwise", try(" ANNA@example.test", passphrase, here), "too-many-failures")
			wantCode(t, "from another network", try(b.user.Email, passphrase, elsewhere), "")
			wantCode(t, "another account", try(bert.Email, passphrase, here), "")
		})
	}
}

// The window of a bucket ends, without Redis too.
func TestLocalBuckets(t *testing.T) {
	t.Parallel()
	var f failures
	now := time.Now()
	one := bucket{"one", 3, time.Minute}
	for want := int64(1); want <= 5; want++ {
		if n := f.count(one, 1, now); n != want {
			t.Errorf("%d, want %d", n, want)
		}
	}
	if n := f.count(one, -1, now); n != 4 {
		t.Errorf("repaid: %d", n)
	}
	if n := f.count(one, 0, now.Add(time.Minute-1)); n != 4 {
		t.Errorf("the last moment: %d", n)
	}
	if n := f.count(one, -1, now.Add(time.Minute)); n != 0 {
		t.Errorf("repaid after its window: %d", n)
	}
	if n := f.count(bucket{"two", 3, time.Minute}, 1, now); n != 1 {
		t.Errorf("another: %d", n)
	}
	for i := range localBuckets {
		f.buckets[strconv.Itoa(i)] = localBucket{1, now.Add(time.Hour)}
	}
	if n := f.count(bucket{"fresh", 3, time.Minute}, 1, now.Add(time.Minute)); n != 4 || len(f.buckets) > localBuckets+2 {
		t.Errorf("full: %d of %d buckets", n, len(f.buckets))
	}
	if n := f.count(bucket{"fresh", 3, time.Minute}, 1, now.Add(2*time.Hour)); n != 1 || len(f.buckets) != 1 {
		t.Errorf("full of what is over: %d of %d buckets", n, len(f.buckets))
	}
}

// A thousand guesses at once: ten are tried.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	for name, redis := range map[string]bool{"in Redis": true, "in this process": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			if !redis {
				b.Redis = nil
			}
			wrong := errors.New("wrong")
			var tried, refused atomic.Int64
			var all sync.WaitGroup
			begin := make(chan struct{})
			for range 1000 {
				all.Go(func() {
					<-begin
					err := b.attempt(context.Background(), b.accountBuckets("sign-in", "anna", here.Network),
						func(err error) bool { return errors.Is(err, wrong) },
						func() error { tried.Add(1); return wrong })
					if fault.Code(err) == "too-many-failures" {
						refused.Add(1)
					}
				})
			}
			close(begin)
			all.Wait()
			if tried.Load() < 1 || tried.Load() > accountFailures || tried.Load()+refused.Load() != 1000 {
				t.Errorf("%d were tried, %d refused", tried.Load(), refused.Load())
			}
		})
	}
}

// Who fails from everywhere is stopped for the account as a whole, and who fails on
// everything for the network; others are not.
func TestWiderBuckets(t *testing.T) {
	t.Parallel()
	b := desk(t)
	wrong := errors.New("wrong")
	fail := func(account string, network int) string {
		at := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(network >> 8), byte(network)}), 32)
		return fault.Code(b.attempt(context.Background(), b.accountBuckets("sign-in", account, at),
			func(err error) bool { return errors.Is(err, wrong) }, func() error { return wrong }))
	}
	for i := range accountHourly {
		if code := fail("anna", i/accountFailures); code != "" {
			t.Fatalf("failure %d of the account: %s", i, code)
		}
	}
	for name, want := range map[string]string{"anna": "too-many-failures", "bert": ""} {
		if code := fail(name, 999); code != want {
			t.Errorf("%s, from a network of their own: %q", name, code)
		}
	}
	for i := range networkFailures {
		if code := fail("account "+strconv.Itoa(i), 1000); code != "" {
			t.Fatalf("failure %d of the network: %s", i, code)
		}
	}
	for network, want := range map[int]string{1000: "too-many-failures", 1001: ""} {
		if code := fail("carl", network); code != want {
			t.Errorf("from network %d: %q", network, code)
		}
	}
}

// Buckets are counted by what cannot be read back, and by something else tomorrow.
func TestBucketNames(t *testing.T) {
	t.Parallel()
	b := desk(t)
	today := b.accountBuckets("sign-in", "anna@example.test", here.Network)
	for _, bucket := range today {
		if strings.Contains(bucket.name, "anna") || strings.Contains(bucket.name, "192.0") {
			t.Errorf("a bucket is called %s", bucket.name)
		}
	}
	for i, bucket := range b.accountBuckets("sign-in", "bert@example.test", here.Network) {
		if (bucket.name == today[i].name) != (i == 0) { // the first is the network's
			t.Errorf("bucket %d of another account: %s", i, bucket.name)
		}
	}
	b.later(models.Day)
	for i, bucket := range b.accountBuckets("sign-in", "anna@example.test", here.Network) {
		if bucket.name == today[i].name {
			t.Errorf("bucket %d is called the same tomorrow", i)
		}
	}
}
