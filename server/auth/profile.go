package auth

import (
	"context"
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

// profileLife: a change of a name is seen this soon.
const profileLife = time.Second

func (s *Service) remember(grant uuid.UUID, p Profile) {
	now := s.Now()
	s.profiles.Put(grant, p, now, now.Add(profileLife))
}

// Profile gives what is personal about a principal.
func (s *Service) Profile(ctx context.Context, p Principal) (Profile, error) {
	if kept, ok := s.profiles.Find(p.GrantID, s.Now()); ok {
		return kept, nil
	}
	b, err := s.DB.BearerOf(ctx, p.GrantID)
	if err != nil {
		return Profile{}, err
	}
	s.remember(p.GrantID, profileOf(b))
	return profileOf(b), nil
}
