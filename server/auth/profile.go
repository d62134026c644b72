package auth

import (
	"context"

	"clicktodial/server/store"
)

// Profile is what is personal about a principal: Redis may not hold it.
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

// Profile gives what is personal about a principal, from Postgres.
func (s *Service) Profile(ctx context.Context, p Principal) (Profile, error) {
	b, err := s.DB.BearerOf(ctx, p.GrantID)
	return profileOf(b), err
}
