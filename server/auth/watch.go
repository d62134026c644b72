package auth

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

// How a revocation reaches every replica. It is committed in Postgres, with a row
// for each living access token; then tombstones replace what Redis holds of them,
// so that the next request anywhere is refused. Each replica besides reads the
// rows several times a second, remembers those tokens itself until they expire,
// and brings the tombstones to Redis that nobody has brought. So a Redis that was
// away, cut off from some, or is back with old data makes nobody alive again:
// what it says counts only for a replica that has read the rows since it met this
// Redis (trusts).
const (
	watchEvery = 250 * time.Millisecond
	// How long a revocation that cannot reach Redis waits for the other replicas to
	// have read of it.
	spreadLimit = 4 * watchEvery
	watchLimit  = 2 * time.Second
)

// watch is what one replica knows of revocations.
type watch struct {
	mu      sync.Mutex
	dead    map[string]time.Time // revoked tokens' hashes, until their expiry
	asked   time.Time            // when the newest successful look began
	blind   bool                 // the last look failed
	waiting map[uuid.UUID]map[chan struct{}]struct{}
	told    map[uuid.UUID]time.Time // ended sign-ins that were announced
}

// isDead says whether the token is known to be revoked.
func (w *watch) isDead(hash []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, dead := w.dead[string(hash)]
	return dead
}

// trusts says whether what a Redis says counts, that was first met at that time.
func (w *watch) trusts(met time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked.After(met)
}

// note remembers revocations, and gives the sign-ins that had not been heard of.
func (w *watch) note(tokens []models.Revocation, began, now time.Time) (fresh []uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead == nil {
		w.dead, w.told = map[string]time.Time{}, map[uuid.UUID]time.Time{}
	}
	maps.DeleteFunc(w.dead, func(_ string, expires time.Time) bool { return expires.Before(now) })
	maps.DeleteFunc(w.told, func(_ uuid.UUID, until time.Time) bool { return until.Before(now) })
	for _, t := range tokens {
		w.dead[string(t.Hash)] = t.ExpiresAt
		if _, known := w.told[t.GrantID]; !known {
			fresh = append(fresh, t.GrantID)
		}
		w.told[t.GrantID] = t.ExpiresAt
	}
	if !began.IsZero() {
		w.asked = began
	}
	return fresh
}

// sees notes whether a look went well, and says whether that has changed.
func (w *watch) sees(well bool) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed = w.blind == well
	w.blind = !well
	return changed
}

// announce wakes the sockets of a sign-in that has ended.
func (w *watch) announce(grant uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for socket := range w.waiting[grant] {
		close(socket)
	}
	delete(w.waiting, grant)
}

// Watch gives a channel that is closed when the sign-in has been ended, be it just
// before; stop ends the watching.
func (s *Service) Watch(grant uuid.UUID) (ended <-chan struct{}, stop func()) {
	w := &s.watch
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, told := w.told[grant]; told { // between the look at the token and now
		close(ch)
		return ch, func() {}
	}
	if w.waiting == nil {
		w.waiting = map[uuid.UUID]map[chan struct{}]struct{}{}
	}
	if w.waiting[grant] == nil {
		w.waiting[grant] = map[chan struct{}]struct{}{}
	}
	w.waiting[grant][ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting[grant], ch)
		if len(w.waiting[grant]) == 0 {
			delete(w.waiting, grant)
		}
	}
}

// Run reads revocations along, notes when sign-ins were used, and erases what is
// kept for seconds only, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var work sync.WaitGroup
	if s.Cache != nil {
		work.Go(func() { s.Cache.Listen(ctx, func(grant uuid.UUID) { s.ended(ctx, []uuid.UUID{grant}) }) })
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for round := 0; ; round++ {
		s.look(ctx)
		s.flushUses(ctx)
		if round%eraseRounds == 0 {
			s.eraseSuccessors(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			work.Wait()
			return ctx.Err()
		}
	}
}

const eraseRounds = int(10 * time.Second / watchEvery)

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// look reads the revocations of late; after a gap, all that still matter.
func (s *Service) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	began := time.Now()
	s.watch.mu.Lock()
	gap := began.Sub(s.watch.asked) > 10*time.Second
	s.watch.mu.Unlock()
	tokens, err := s.DB.Revocations(limited, gap)
	if ctx.Err() == nil && s.watch.sees(err == nil) {
		s.log().Warn("revocations are read again, or no longer", "error", err)
	}
	if err != nil {
		return
	}
	s.ended(ctx, s.watch.note(tokens, began, s.Now()))
	s.bury(limited, slices.DeleteFunc(tokens, func(t models.Revocation) bool { return t.Confirmed }))
}

// ended tells the sockets of this replica, and whoever wants to know (OnEnded).
func (s *Service) ended(ctx context.Context, grants []uuid.UUID) {
	if len(grants) == 0 {
		return
	}
	for _, grant := range grants {
		s.watch.announce(grant)
	}
	if s.OnEnded != nil {
		s.OnEnded(ctx, grants)
	}
}

// bury brings tombstones to Redis, and notes it; false when Redis has them not.
func (s *Service) bury(ctx context.Context, tokens []models.Revocation) bool {
	if len(tokens) == 0 {
		return true
	}
	if s.Cache == nil || s.Cache.Bury(ctx, tokens) != nil {
		return false
	}
	if err := s.DB.ConfirmRevocations(ctx, tokens); err != nil {
		s.log().Warn("tombstones were not confirmed: they are brought again", "error", err)
	}
	return true
}

// spread makes a revocation that was committed known everywhere before it is
// answered for. It does not fail: what Redis does not take now, every replica
// has read by itself within spreadLimit.
func (s *Service) spread(ctx context.Context, tokens []models.Revocation) {
	if len(tokens) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spreadLimit) // who asked may go away
	defer cancel()
	s.ended(ctx, s.watch.note(tokens, time.Time{}, s.Now()))
	if s.bury(ctx, tokens) {
		return
	}
	tick := time.NewTicker(watchEvery / 5)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// Another replica, which Redis answers, may have brought them.
			if open, err := s.DB.Unconfirmed(ctx, tokens); err == nil && !open {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
