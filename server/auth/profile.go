package auth

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/store"
)

// Profile is what is personal about a principal. Redis may not hold it: it is
// remembered in this process, for a moment.
type Profile struct {
	Email       string
	Name        string
	TenantName  string
	SignInLabel string
	SupportCode string
}

func profileOf(b store.Bearer) Profile {
	return Profile{Email: b.Email, Name: b.UserName, TenantName: b.TenantName, SignInLabel: b.DeviceName, SupportCode: b.SupportCode}
}

const (
	profileLife  = time.Second
	profilesKept = 20_000
)

type profiles struct {
	mu   sync.Mutex
	kept map[uuid.UUID]keptProfile
}

type keptProfile struct {
	Profile
	until time.Time
}

func (k *profiles) put(grant uuid.UUID, p Profile, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= profilesKept {
		k.kept = map[uuid.UUID]keptProfile{}
	}
	k.kept[grant] = keptProfile{p, now.Add(profileLife)}
}

func (k *profiles) find(grant uuid.UUID, now time.Time) (Profile, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, ok := k.kept[grant]
	return kept.Profile, ok && now.Before(kept.until)
}

// Profile gives what is personal about a principal.
func (s *Service) Profile(ctx context.Context, p Principal) (Profile, error) {
	if kept, ok := s.profiles.find(p.GrantID, s.Now()); ok {
		return kept, nil
	}
	b, err := s.DB.BearerOf(ctx, p.GrantID)
	if err != nil {
		return Profile{}, err
	}
	s.profiles.put(p.GrantID, profileOf(b), s.Now())
	return profileOf(b), nil
}
