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

// Person is a user as the tenant's admin sees them.
type Person struct {
	ID          uuid.UUID  `json:"id"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Role        string     `json:"role" enum:"user,admin"`
	CreatedAt   time.Time  `json:"createdAt"`
	DisabledAt  *time.Time `json:"disabledAt"`
	HasPassword bool       `json:"hasPassword"`
	HasFactor   bool       `json:"hasSecondFactor"`
}

func wirePerson(p auth.Person) Person {
	return Person{
		ID: p.ID, Email: p.Email, Name: p.Name, Role: string(p.Role), CreatedAt: p.CreatedAt.UTC(), DisabledAt: utc(p.DisabledAt),
		HasPassword: p.HasPassword, HasFactor: p.HasFactor,
	}
}

// Link lets its holder set a password, once.
type Link struct {
	URL       *string   `json:"url" doc:"to pass on; null when it was mailed"`
	ExpiresAt time.Time `json:"expiresAt"`
	Mailed    bool      `json:"mailed"`
}

func wireLink(l auth.Link) Link {
	link := Link{ExpiresAt: l.ExpiresAt.UTC(), Mailed: l.Mailed}
	if !l.Mailed {
		link.URL = &l.URL
	}
	return link
}

// Phone is a user's device as the tenant's admin sees it.
type Phone struct {
	ID       uuid.UUID `json:"id"`
	Label    string    `json:"label"`
	Endpoint string    `json:"endpoint" doc:"what the PBX calls it"`
	CallerID *string   `json:"callerId" doc:"the number that the callee sees; null: the PBX decides"`
	Withheld bool      `json:"withheld"`
}

type peopleInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type newPersonInput struct {
	Body struct {
		Email string `json:"email" maxLength:"254"`
		Name  string `json:"name,omitempty" maxLength:"400"`
		Role  string `json:"role,omitempty" enum:"user,admin" default:"user"`
	}
}

type newPersonOutput struct {
	Body struct {
		User       Person `json:"user"`
		Invitation Link   `json:"invitation"`
	}
}

type personOutput struct{ Body Person }

type changePersonInput struct {
	ID   uuid.UUID `path:"id"`
	Body struct {
		Disabled *bool   `json:"disabled,omitempty" doc:"true ends the user's sign-ins everywhere"`
		Name     *string `json:"name,omitempty" maxLength:"400"`
		Email    *string `json:"email,omitempty" maxLength:"254" doc:"their sign-ins stay"`
	}
}

type linkOutput struct{ Body Link }

type newPhoneInput struct {
	ID   uuid.UUID `path:"id"`
	Body struct {
		Label    string `json:"label" maxLength:"320"`
		Endpoint string `json:"endpoint" maxLength:"40"`
		CallerID string `json:"callerId,omitempty" maxLength:"64"`
	}
}

type phoneID struct {
	ID    uuid.UUID `path:"id"`
	Phone uuid.UUID `path:"phone"`
}

type everybodyInput struct {
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"800"`
	}
}

func (a *API) registerAdmin(h huma.API) {
	admin := func(method, path, id, summary string, errs ...int) huma.Operation {
		op := operationFor(models.RoleAdmin, method, "/v1/admin"+path, id, summary, errs...)
		if method == http.MethodDelete {
			op.DefaultStatus = http.StatusNoContent
		}
		return op
	}
	huma.Register(h, admin(http.MethodGet, "/users", "listUsers", "The company's people"), a.listPeople)
	create := admin(http.MethodPost, "/users", "createUser", "Invite somebody", 409, 422)
	create.DefaultStatus = http.StatusCreated
	huma.Register(h, create, a.addPerson)
	huma.Register(h, admin(http.MethodGet, "/users/{id}", "getUser", "One of them", 404), a.getPerson)
	huma.Register(h, admin(http.MethodPatch, "/users/{id}", "changeUser", "Name an account, close it or open it", 404, 409, 422), a.changePerson)
	leave := admin(http.MethodDelete, "/users/{id}", "deleteUser", "Delete a user who leaves, with their records or without their name on them, as the company has chosen", 404, 409)
	leave.DefaultStatus = http.StatusOK
	huma.Register(h, leave, a.deletePerson)
	huma.Register(h, admin(http.MethodPost, "/users/{id}/password-link", "createPasswordLink", "A link to set a password", 404), a.newLink)
	huma.Register(h, admin(http.MethodGet, "/users/{id}/sign-ins", "listUserSignIns", "A user's sign-ins", 404),
		func(ctx context.Context, in *userID) (*signInsOutput, error) { return a.signInsOf(ctx, in.ID) })
	huma.Register(h, admin(http.MethodPost, "/users/{id}/revoke", "revokeUserSignIns", "End all sign-ins of a user", 404, 422),
		func(ctx context.Context, in *reasonInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{User: in.ID}, in.Body.Reason)
		})
	huma.Register(h, admin(http.MethodPost, "/sign-ins/{id}/revoke", "revokeOneSignIn", "End one sign-in", 404, 422),
		func(ctx context.Context, in *reasonInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{SignIn: in.ID}, in.Body.Reason)
		})
	huma.Register(h, admin(http.MethodPost, "/revoke", "revokeEverybody", "End all sign-ins of the company", 422),
		func(ctx context.Context, in *everybodyInput) (*revokedOutput, error) {
			return a.revokeSignIns(ctx, auth.Which{Tenant: principalOf(ctx).TenantID}, in.Body.Reason)
		})
	huma.Register(h, admin(http.MethodGet, "/users/{id}/devices", "listDevices", "A user's phones", 404), a.listPhones)
	add := admin(http.MethodPost, "/users/{id}/devices", "addDevice", "Give a user a phone", 404, 409, 422)
	add.DefaultStatus = http.StatusNoContent
	huma.Register(h, add, a.addPhone)
	huma.Register(h, admin(http.MethodDelete, "/users/{id}/devices/{phone}", "removeDevice", "Take a phone away", 404), a.removePhone)
}

func (a *API) listPeople(ctx context.Context, in *peopleInput) (*list[Person], error) {
	people, next, err := a.Auth.People(ctx, principalOf(ctx).Actor(), in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := listOf(people, wirePerson)
	out.Body.Next = text(next)
	return out, nil
}

func (a *API) addPerson(ctx context.Context, in *newPersonInput) (*newPersonOutput, error) {
	by := principalOf(ctx).Actor()
	person, link, err := a.Auth.AddPerson(ctx, by, in.Body.Email, in.Body.Name, models.Role(in.Body.Role), web.Language(ctx))
	if err != nil {
		return nil, err
	}
	out := &newPersonOutput{}
	out.Body.User, out.Body.Invitation = wirePerson(person), wireLink(link)
	return out, nil
}

func (a *API) getPerson(ctx context.Context, in *userID) (*personOutput, error) {
	p, err := a.Auth.Person(ctx, principalOf(ctx).Actor(), in.ID)
	return &personOutput{wirePerson(p)}, err
}

func (a *API) changePerson(ctx context.Context, in *changePersonInput) (*personOutput, error) {
	by := principalOf(ctx).Actor()
	if in.Body.Disabled == nil && in.Body.Name == nil && in.Body.Email == nil {
		return nil, fault.New(fault.Malformed, "invalid-request", "Say what is to change.")
	}
	if in.Body.Name != nil || in.Body.Email != nil {
		if err := a.Auth.ChangePerson(ctx, by, in.ID, in.Body.Name, in.Body.Email); err != nil {
			return nil, err
		}
	}
	if in.Body.Disabled != nil {
		if err := a.Auth.SetDisabled(ctx, by, in.ID, *in.Body.Disabled); err != nil {
			return nil, err
		}
	}
	return a.getPerson(ctx, &userID{in.ID})
}

func (a *API) newLink(ctx context.Context, in *userID) (*linkOutput, error) {
	link, err := a.Auth.NewLink(ctx, principalOf(ctx).Actor(), in.ID, web.Language(ctx))
	return &linkOutput{wireLink(link)}, err
}

func (a *API) listPhones(ctx context.Context, in *userID) (*list[Phone], error) {
	phones, err := a.Auth.Phones(ctx, principalOf(ctx).Actor(), in.ID)
	if err != nil {
		return nil, err
	}
	return listOf(phones, func(p auth.Phone) Phone {
		return Phone{ID: p.ID, Label: p.Label, Endpoint: p.Endpoint, CallerID: text(p.CallerID), Withheld: p.Withheld}
	}), nil
}

func (a *API) addPhone(ctx context.Context, in *newPhoneInput) (*struct{}, error) {
	fresh := auth.NewPhone{Label: in.Body.Label, Endpoint: in.Body.Endpoint, CallerID: in.Body.CallerID}
	return nil, a.Auth.AddPhone(ctx, principalOf(ctx).Actor(), in.ID, fresh)
}

func (a *API) removePhone(ctx context.Context, in *phoneID) (*struct{}, error) {
	return nil, a.Auth.RemovePhone(ctx, principalOf(ctx).Actor(), in.ID, in.Phone)
}
