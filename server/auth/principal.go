package auth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Principal is who is asking: ids and times, as the token cache may hold them.
type Principal struct {
	UserID    uuid.UUID   `json:"u"`
	TenantID  uuid.UUID   `json:"t"` // Nil for support staff
	GrantID   uuid.UUID   `json:"g"` // Nil for the command line
	Role      models.Role `json:"r"`
	Region    string      `json:"c"`
	PBXID     uuid.UUID   `json:"p"` // Nil: the installation's own
	Scopes    []string    `json:"s"`
	ExpiresAt time.Time   `json:"e"` // of the token
}

// May says whether the token carries the scope.
func (p Principal) May(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Authenticate says who an access token stands for, at this instant: one GET when
// the token is in the cache.
func (s *Service) Authenticate(ctx context.Context, token string) (Principal, error) {
	if !wellFormed(models.AccessToken, token) {
		return Principal{}, errUnauthorized
	}
	hash := hashToken(token)
	p, err := s.findCached(ctx, hash)
	if errors.Is(err, errNoCache) {
		p, err = s.findStored(ctx, hash)
	}
	if err != nil {
		return Principal{}, err
	}
	if !s.Now().Before(p.ExpiresAt) {
		return Principal{}, errUnauthorized
	}
	s.uses.note(p.GrantID, s.Now())
	return p, nil
}

// findCached asks the cache; errNoCache when Postgres is to be asked.
func (s *Service) findCached(ctx context.Context, hash []byte) (p Principal, err error) {
	if s.watch.isDead(hash) {
		return p, errUnauthorized
	}
	if s.Cache == nil {
		return p, errNoCache
	}
	cached, err := s.Cache.Find(ctx, hash)
	switch {
	case err != nil || !cached.Known:
		return p, errNoCache
	case cached.Revoked:
		return p, errUnauthorized
	case !s.watch.trusts(s.Cache.Since()): // asked after the answer came: it may be of a Redis just met
		return p, errNoCache
	}
	if json.Unmarshal(cached.Principal, &p) != nil || p.GrantID == uuid.Nil {
		return p, errNoCache // written by another version
	}
	return p, nil
}

// findStored asks Postgres, and has the cache remember.
func (s *Service) findStored(ctx context.Context, hash []byte) (Principal, error) {
	b, err := s.DB.FindBearer(ctx, models.AccessToken, hash)
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errUnauthorized
	}
	if err != nil {
		return Principal{}, err
	}
	if !usable(b, s.Now()) {
		return Principal{}, errUnauthorized
	}
	p := principal(b)
	s.remember(p.GrantID, profileOf(b))
	if s.Cache == nil {
		return p, nil
	}
	if body, err := json.Marshal(p); err == nil {
		_ = s.Cache.Fill(ctx, hash, body, p.ExpiresAt) // the next request asks Postgres again
	}
	return p, nil
}

func usable(b store.Bearer, now time.Time) bool {
	return b.RevokedAt == nil && b.DisabledAt == nil && b.TenantStatus == models.TenantActive &&
		now.Before(b.TokenExpiresAt) && now.Before(b.GrantExpiresAt)
}

func principal(b store.Bearer) Principal {
	p := Principal{
		UserID: b.UserID, GrantID: b.GrantID, Role: b.Role, Region: b.Region,
		Scopes: strings.Fields(b.Scopes), ExpiresAt: b.TokenExpiresAt.UTC(),
	}
	if b.GrantExpiresAt.Before(b.TokenExpiresAt) {
		p.ExpiresAt = b.GrantExpiresAt.UTC()
	}
	if b.TenantID != nil {
		p.TenantID = *b.TenantID
	}
	if b.PBXID != nil {
		p.PBXID = *b.PBXID
	}
	return p
}

// End is how a sign-in was ended, as its client is told.
type End struct {
	By     string    `json:"by"` // support, admin, user, system
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// ended tells how; the operator of the command line is the provider's support to
// the people who use it.
func endOf(at *time.Time, by, reason *string) *End {
	if at == nil {
		return nil
	}
	e := &End{By: "system", At: at.UTC()}
	if by != nil {
		e.By = *by
	}
	if e.By == "operator" {
		e.By = string(models.RoleSupport)
	}
	if reason != nil {
		e.Reason = *reason
	}
	return e
}

// HowEnded tells how a sign-in was ended; store.ErrNotFound when it was not.
func (s *Service) HowEnded(ctx context.Context, grant uuid.UUID) (End, error) {
	g, err := s.DB.SignInEnd(ctx, grant)
	if err != nil {
		return End{}, err
	}
	return *endOf(g.RevokedAt, g.RevokedBy, g.RevokedReason), nil
}

// Stopped is the fault of a sign-in that was ended, with how.
type Stopped struct {
	Fault *fault.Error
	End   End
}

// Error gives the fault's text.
func (e *Stopped) Error() string { return e.Fault.Error() }

// Unwrap gives the fault.
func (e *Stopped) Unwrap() error { return e.Fault }
