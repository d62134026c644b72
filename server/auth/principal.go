package auth

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Principal is who is asking: ids and times, as the token cache may hold them.
type Principal struct {
	UserID    uuid.UUID
	TenantID  uuid.UUID // Nil for support staff
	GrantID   uuid.UUID // Nil for the command line
	Role      models.Role
	Region    string
	PBXID     uuid.UUID // Nil: the installation's own
	Scopes    []string
	ExpiresAt time.Time // of the token, whole milliseconds once it was in the cache
}

// pack is a principal as the token cache holds it: one line of words. As JSON it
// took a tenth of the time of a request to read.
func (p Principal) pack() []byte {
	words := append([]string{
		packed, p.UserID.String(), p.TenantID.String(), p.GrantID.String(), p.PBXID.String(),
		strconv.FormatInt(p.ExpiresAt.UnixMilli(), 10), string(p.Role), p.Region,
	}, p.Scopes...)
	return []byte(strings.Join(words, " "))
}

const (
	packed      = "1" // the version of the form
	packedWords = 8   // before the scopes
)

// unpack reads what pack wrote; false for what another version wrote.
func unpack(line []byte) (p Principal, ok bool) {
	words := strings.Split(string(line), " ") // not Fields: the region may be ""
	if len(words) < packedWords || words[0] != packed {
		return p, false
	}
	for i, id := range []*uuid.UUID{&p.UserID, &p.TenantID, &p.GrantID, &p.PBXID} {
		var err error
		if *id, err = uuid.Parse(words[1+i]); err != nil {
			return p, false
		}
	}
	expires, err := strconv.ParseInt(words[5], 10, 64)
	p.ExpiresAt = time.UnixMilli(expires).UTC()
	p.Role, p.Region, p.Scopes = models.Role(words[6]), words[7], words[packedWords:]
	return p, err == nil && p.GrantID != uuid.Nil
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
	if errors.Is(err, errAskStore) {
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

// errAskStore is that the cache does not decide.
var errAskStore = errors.New("ask postgres")

// findCached asks the cache; errAskStore when Postgres is to be asked.
func (s *Service) findCached(ctx context.Context, hash []byte) (p Principal, err error) {
	if s.watch.isDead(hash) {
		return p, errUnauthorized
	}
	if s.Cache == nil {
		return p, errAskStore
	}
	cached, err := s.Cache.Find(ctx, hash)
	switch {
	case err != nil || !cached.Known:
		return p, errAskStore
	case cached.Revoked:
		return p, errUnauthorized
	case !s.watch.trusts(s.Cache.Since()): // asked after the answer came: it may be of a Redis just met
		return p, errAskStore
	}
	p, ok := unpack(cached.Principal)
	if !ok {
		return p, errAskStore // written by another version
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
	if s.Cache == nil {
		return p, nil
	}
	_ = s.Cache.Fill(ctx, hash, p.pack(), p.ExpiresAt) // else the next request asks Postgres again
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
