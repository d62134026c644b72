package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// FoundUser is a user as support sees them: never by name.
type FoundUser struct {
	ID         uuid.UUID  `json:"id"`
	Email      string     `json:"email"`
	Role       string     `json:"role" enum:"user,admin,support"`
	TenantID   *uuid.UUID `json:"tenantId" doc:"null for provider staff"`
	TenantName string     `json:"tenantName"`
	CreatedAt  time.Time  `json:"createdAt"`
	DisabledAt *time.Time `json:"disabledAt"`
	HasFactor  bool       `json:"hasSecondFactor"`
}

// MaskedCall is a call as support sees it.
type MaskedCall struct {
	ID              uuid.UUID  `json:"id"`
	Number          *string    `json:"number" doc:"without its last digits; null in a private call that has ended"`
	Status          string     `json:"status" enum:"initiating,callingCaller,callingCallee,connected,disconnected,failed"`
	Reason          *string    `json:"reason"`
	Diagnosis       *Diagnosis `json:"diagnosis"`
	DeviceLabel     string     `json:"deviceLabel"`
	SignInLabel     string     `json:"signInLabel"`
	CreatedAt       time.Time  `json:"createdAt"`
	ConnectedAt     *time.Time `json:"connectedAt"`
	EndedAt         *time.Time `json:"endedAt"`
	DurationSeconds *int       `json:"durationSeconds"`
}

// Refusal is a click that was refused, without what was clicked.
type Refusal struct {
	Code        string    `json:"code"`
	Sentence    string    `json:"sentence" doc:"what the user was told"`
	SupportCode string    `json:"supportCode"`
	At          time.Time `json:"at"`
}

type list[T any] struct {
	Body struct {
		Items []T     `json:"items" nullable:"false"`
		Next  *string `json:"next"`
	}
}

func listOf[In, Out any](rows []In, wire func(In) Out) *list[Out] {
	out := &list[Out]{}
	out.Body.Items = make([]Out, 0, len(rows))
	for _, row := range rows {
		out.Body.Items = append(out.Body.Items, wire(row))
	}
	return out
}

type findInput struct {
	Body struct {
		Email       string `json:"email,omitempty" maxLength:"254" doc:"the whole e-mail"`
		SupportCode string `json:"supportCode,omitempty" maxLength:"20" doc:"six letters: of a sign-in, or of a refused click"`
	}
}

type userID struct {
	ID uuid.UUID `path:"id"`
}

func (a *API) registerSupport(h huma.API) {
	support := func(method, path, id, summary string, errs ...int) huma.Operation {
		return operationFor(models.RoleSupport, method, "/v1/support"+path, id, summary, errs...)
	}
	huma.Register(h, support(http.MethodPost, "/users/search", "findUser", "Find a user by e-mail or support code", 422), a.findUser)
	huma.Register(h, support(http.MethodGet, "/users/{id}/sign-ins", "listSignIns", "A user's sign-ins", 404),
		func(ctx context.Context, in *userID) (*signInsOutput, error) { return a.signInsOf(ctx, in.ID) })
	huma.Register(h, support(http.MethodPost, "/users/{id}/revoke", "revokeUser", "End all sign-ins of a user", 404, 422),
		func(ctx context.Context, in *reasonInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{User: in.ID}, in.Body.Reason)
		})
	huma.Register(h, support(http.MethodPost, "/sign-ins/{id}/revoke", "revokeSignIn", "End one sign-in", 404, 422),
		func(ctx context.Context, in *reasonInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{SignIn: in.ID}, in.Body.Reason)
		})
	huma.Register(h, support(http.MethodPost, "/tenants/{id}/revoke", "revokeTenant", "End all sign-ins of a company", 404, 422),
		func(ctx context.Context, in *reasonInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{Tenant: in.ID}, in.Body.Reason)
		})
	huma.Register(h, support(http.MethodGet, "/users/{id}/calls", "listMaskedCalls", "A user's newest calls, masked", 404), a.maskedCalls)
	huma.Register(h, support(http.MethodGet, "/users/{id}/refusals", "listRefusals", "A user's newest refused clicks", 404), a.refusals)
}

func (a *API) findUser(ctx context.Context, in *findInput) (*list[FoundUser], error) {
	if (in.Body.Email == "") == (in.Body.SupportCode == "") {
		return nil, fault.New(fault.Malformed, "invalid-request", "Say either email or supportCode.")
	}
	people, err := a.Auth.FindPerson(ctx, principalOf(ctx).Actor(), in.Body.Email+in.Body.SupportCode)
	if err != nil {
		return nil, err
	}
	return listOf(people, func(p auth.Person) FoundUser {
		u := FoundUser{
			ID: p.ID, Email: p.Email, Role: string(p.Role), TenantName: p.TenantName, CreatedAt: p.CreatedAt.UTC(),
			DisabledAt: utc(p.DisabledAt), HasFactor: p.HasFactor,
		}
		if p.TenantID != uuid.Nil {
			u.TenantID = &p.TenantID
		}
		return u
	}), nil
}

func (a *API) maskedCalls(ctx context.Context, in *userID) (*list[MaskedCall], error) {
	rows, err := a.Auth.MaskedCalls(ctx, principalOf(ctx).Actor(), in.ID)
	if err != nil {
		return nil, err
	}
	lang := web.Language(ctx)
	return listOf(rows, func(c models.MaskedCall) MaskedCall {
		return MaskedCall{
			ID: c.ID, Number: c.NumberMasked, Status: string(c.Status), Reason: (*string)(c.Reason), Diagnosis: wireDiagnosis(c.Diagnosis, lang),
			DeviceLabel: c.DeviceLabel, SignInLabel: c.SignInLabel, CreatedAt: c.CreatedAt.UTC(), ConnectedAt: utc(c.ConnectedAt),
			EndedAt: utc(c.EndedAt), DurationSeconds: duration(c.ConnectedAt, c.EndedAt),
		}
	}), nil
}

func (a *API) refusals(ctx context.Context, in *userID) (*list[Refusal], error) {
	rows, err := a.Auth.Refusals(ctx, principalOf(ctx).Actor(), in.ID)
	if err != nil {
		return nil, err
	}
	lang := web.Language(ctx)
	return listOf(rows, func(r models.Refusal) Refusal {
		return Refusal{Code: r.Code, Sentence: web.Sentence(r.Code, lang, ""), SupportCode: r.SupportCode, At: r.At.UTC()}
	}), nil
}
