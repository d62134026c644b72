package auth

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// uses notes on which day sign-ins were last used, with one statement for all of
// them now and then, and none for one that is known to have been used today.
type uses struct {
	mu      sync.Mutex
	day     string
	known   map[uuid.UUID]struct{}
	waiting []uuid.UUID
}

// usesKept bounds what one replica remembers of a day.
const usesKept = 200_000

func (u *uses) note(grant uuid.UUID, now time.Time) {
	day := now.UTC().Format(time.DateOnly)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.day != day || len(u.known) >= usesKept {
		u.day, u.known = day, map[uuid.UUID]struct{}{}
	}
	if _, known := u.known[grant]; known {
		return
	}
	u.known[grant] = struct{}{}
	u.waiting = append(u.waiting, grant)
}

func (u *uses) take() []uuid.UUID {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.waiting
	u.waiting = nil
	return taken
}

// flushUses writes what has gathered. What is lost when it cannot be is a day in
// a list, for people.
func (s *Service) flushUses(ctx context.Context) {
	grants := s.uses.take()
	if len(grants) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	if err := s.DB.TouchGrants(ctx, grants, s.Now().UTC()); err != nil {
		s.log().Warn("uses of sign-ins were not noted", "sign_ins", len(grants), "error", err)
	}
}

func (s *Service) eraseSuccessors(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	if err := s.DB.EraseSuccessors(ctx, s.Now().Add(-ReplayWindow)); err != nil {
		s.log().Warn("sealed answers were not erased", "error", err)
	}
}
