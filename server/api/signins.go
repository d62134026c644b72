package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
)

// SignIn is one extension or browser that may act for a user.
type SignIn struct {
	ID          uuid.UUID  `json:"id"`
	DeviceName  string     `json:"deviceName"`
	SupportCode string     `json:"supportCode" doc:"six letters to read out to support"`
	MadeBy      string     `json:"madeBy" enum:"user,admin,operator" doc:"who made it possible: the user's consent, or somebody's pairing code"`
	CreatedAt   time.Time  `json:"createdAt"`
	LastUsedOn  *string    `json:"lastUsedOn" format:"date" doc:"the day (UTC)"`
	ExpiresAt   time.Time  `json:"expiresAt" doc:"at the latest"`
	Active      bool       `json:"active" doc:"whether it can still be used"`
	Current     bool       `json:"current" doc:"whether it is the one that asks"`
	RevokedAt   *time.Time `json:"revokedAt"`
	RevokedBy   *string    `json:"revokedBy" enum:"support,admin,user,operator,system"`
	Reason      *string    `json:"revokedReason"`
}

// SignIns is a list of them, newest first.
type SignIns struct {
	Items []SignIn `json:"items" nullable:"false"`
	Next  *string  `json:"next" doc:"null: a user has few"`
}

type signInsOutput struct{ Body SignIns }

type signInID struct {
	ID uuid.UUID `path:"id"`
}

type reasonInput struct {
	ID   uuid.UUID `path:"id"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"800" doc:"why; the user sees it. At most 200 characters"`
	}
}

type revokedOutput struct {
	Body struct {
		Revoked int `json:"revoked" doc:"how many sign-ins were ended; their tokens are dead on every replica"`
	}
}

func (a *API) registerSignIns(h huma.API) {
	huma.Register(h, operation(http.MethodGet, "/v1/me/sign-ins", "listMySignIns", "My sign-ins", auth.ScopeRead), a.mySignIns)
	end := operation(http.MethodDelete, "/v1/me/sign-ins/{id}", "revokeMySignIn", "End one of my sign-ins", auth.ScopeDelete, 404)
	end.DefaultStatus = http.StatusNoContent
	huma.Register(h, end, a.revokeMySignIn)
}

func (a *API) mySignIns(ctx context.Context, _ *struct{}) (*signInsOutput, error) {
	p := principalOf(ctx)
	return a.signInsOf(ctx, p.UserID)
}

func (a *API) signInsOf(ctx context.Context, user uuid.UUID) (*signInsOutput, error) {
	p := principalOf(ctx)
	rows, err := a.Auth.SignIns(ctx, p.Actor(), user)
	if err != nil {
		return nil, err
	}
	out := &signInsOutput{SignIns{Items: make([]SignIn, 0, len(rows))}}
	for _, row := range rows {
		out.Body.Items = append(out.Body.Items, wireSignIn(row, p.GrantID))
	}
	return out, nil
}

func wireSignIn(row auth.SignIn, current uuid.UUID) SignIn {
	s := SignIn{
		ID: row.ID, DeviceName: row.DeviceName, SupportCode: row.SupportCode, MadeBy: row.MadeBy, CreatedAt: row.CreatedAt.UTC(),
		ExpiresAt: row.ExpiresAt.UTC(), Active: row.Alive, Current: row.ID == current,
		RevokedAt: utc(row.RevokedAt), RevokedBy: row.RevokedBy, Reason: row.RevokedReason,
	}
	if row.LastUsedOn != nil {
		day := row.LastUsedOn.Format(time.DateOnly)
		s.LastUsedOn = &day
	}
	return s
}

// revokeMySignIn ends one of the user's own, though an admin may end more.
func (a *API) revokeMySignIn(ctx context.Context, in *signInID) (*struct{}, error) {
	by := principalOf(ctx).Actor()
	by.Role = models.RoleUser
	_, err := a.Auth.Revoke(ctx, by, auth.Which{SignIn: in.ID}, "")
	return nil, err
}

// revokeSignIns ends sign-ins as far as the one who asks may.
func (a *API) revokeSignIns(ctx context.Context, which auth.Which, reason string) (*revokedOutput, error) {
	n, err := a.Auth.Revoke(ctx, principalOf(ctx).Actor(), which, reason)
	out := &revokedOutput{}
	out.Body.Revoked = n
	return out, err
}
