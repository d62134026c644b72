package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"clicktodial/server/fault"
)

// bucket counts failures of one kind by somebody. Successes are not counted.
type bucket struct {
	name   string // holds nothing personal: an HMAC under a key of the day
	limit  int64
	window time.Duration
}

// Limits of failures. Who fails on an account from one network is stopped early;
// the account as a whole late, so that a stranger cannot easily lock its person
// out. A whole company can sit behind one network.
const (
	accountFailures = 10 // from one network, in a quarter of an hour
	accountHourly   = 100
	networkFailures = 100 // in a minute
)

// bucketKey hides what a bucket is counted by.
func (s *Service) bucketKey(kind string, parts ...string) string {
	m := hmac.New(sha256.New, s.Keys.Daily(s.Now().UTC().Format(time.DateOnly)))
	for _, part := range append([]string{kind}, parts...) {
		m.Write([]byte(part)) //nolint:errcheck // never fails
		m.Write([]byte{0})    //nolint:errcheck // never fails
	}
	return kind + ":" + hex.EncodeToString(m.Sum(nil)[:16])
}

func (s *Service) accountBuckets(kind, account string, network netip.Prefix) []bucket {
	return append(s.networkBuckets(kind, network),
		bucket{s.bucketKey(kind+"-both", account, network.String()), accountFailures, 15 * time.Minute},
		bucket{s.bucketKey(kind+"-account", account), accountHourly, time.Hour})
}

func (s *Service) networkBuckets(kind string, network netip.Prefix) []bucket {
	return []bucket{{s.bucketKey(kind+"-network", network.String()), networkFailures, time.Minute}}
}

// attempt runs try as one attempt: not at all when there were too many failures.
// Each bucket is charged before, and repaid when it did not fail, so that attempts
// that come at once do not all pass. failed says whether an error is the guesser's.
func (s *Service) attempt(ctx context.Context, buckets []bucket, failed func(error) bool, try func() error) error {
	for i, b := range buckets {
		if s.count(ctx, b, 1) > b.limit {
			s.repay(ctx, buckets[:i+1])
			f := fault.New(fault.TooMany, "too-many-failures", "Too many failed attempts. Wait a while and try again.")
			f.RetryAfter = b.window
			return f
		}
	}
	err := try()
	if err == nil || !failed(err) {
		s.repay(context.WithoutCancel(ctx), buckets)
	}
	return err
}

func (s *Service) repay(ctx context.Context, buckets []bucket) {
	for _, b := range buckets {
		s.count(ctx, b, -1)
	}
}

// count adds to a bucket: in Redis, for all replicas; without it, in this process.
func (s *Service) count(ctx context.Context, b bucket, add int64) int64 {
	if s.Redis != nil {
		if n, err := s.Redis.Count(ctx, b.name, b.window, add); err == nil {
			return n
		}
	}
	return s.failures.count(b, add, s.Now())
}

// failures are the buckets of one process, for when Redis is away.
type failures struct {
	mu      sync.Mutex
	buckets map[string]localBucket
}

type localBucket struct {
	count int64
	until time.Time
}

const localBuckets = 100_000

func (f *failures) count(b bucket, add int64, now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets == nil {
		f.buckets = map[string]localBucket{}
	}
	if len(f.buckets) >= localBuckets {
		for name, have := range f.buckets {
			if !now.Before(have.until) {
				delete(f.buckets, name)
			}
		}
	}
	have, known := f.buckets[b.name]
	if !known && len(f.buckets) >= localBuckets {
		return b.limit + 1 // somebody fails from everywhere at once: nobody is let in meanwhile
	}
	if !now.Before(have.until) {
		have = localBucket{until: now.Add(b.window)}
	}
	have.count = max(0, have.count+add)
	f.buckets[b.name] = have
	return have.count
}
