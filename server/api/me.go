package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/policy"
)

// Me is who is asking, and what they may do.
type Me struct {
	User        MeUser     `json:"user"`
	Tenant      MeTenant   `json:"tenant"`
	Devices     []MeDevice `json:"devices" nullable:"false" doc:"the first rings unless a click says otherwise"`
	SignIn      MeSignIn   `json:"signIn"`
	Limits      MeLimits   `json:"limits"`
	HistoryDays int        `json:"historyDays" doc:"how long calls are kept; 0: until they end"`
	MayDelete   bool       `json:"mayDelete" doc:"whether the tenant lets its users delete from their history"`
}

// MeUser is the user.
type MeUser struct {
	ID    uuid.UUID `json:"id"`
	Email string    `json:"email"`
	Name  string    `json:"name"`
	Role  string    `json:"role" enum:"user,admin"`
}

// MeTenant is the company.
type MeTenant struct {
	ID     uuid.UUID `json:"id"`
	Name   string    `json:"name"`
	Region string    `json:"region"`
}

// MeDevice is a phone and what it is doing.
type MeDevice struct {
	ID      uuid.UUID `json:"id"`
	Label   string    `json:"label"`
	State   string    `json:"state" enum:"offline,idle,inUse,ringing,unknown"`
	Default bool      `json:"default"`
}

// MeSignIn is the sign-in that asks.
type MeSignIn struct {
	ID          uuid.UUID `json:"id"`
	Label       string    `json:"label"`
	SupportCode string    `json:"supportCode" doc:"six letters to read out to support"`
}

// MeLimits are the limits that hold for the user.
type MeLimits struct {
	CallsPerMinute int `json:"callsPerMinute"`
	CallsAtOnce    int `json:"callsAtOnce"`
}

type meOutput struct{ Body Me }

// toldLife: every popup that is open asks who it is, again and again. What it was
// told it is told once more for a second, with the token asked about each time.
const toldLife = time.Second

// meAgain answers GET /v1/me with what the same sign-in was told just before.
func (a *API) meAgain(c *fiber.Ctx) error {
	p, err := a.Auth.Authenticate(c.UserContext(), bearerToken(c.Get(fiber.HeaderAuthorization)))
	if err != nil || !p.May(auth.ScopeRead) {
		return c.Next() // it is told so there
	}
	began := a.Now()
	if body, ok := a.told.Find(p.GrantID, began); ok {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(body)
	}
	c.SetUserContext(context.WithValue(c.UserContext(), principalKey{}, p))
	if err := c.Next(); err != nil {
		return err
	}
	if c.Response().StatusCode() == http.StatusOK {
		a.told.Put(p.GrantID, bytes.Clone(c.Response().Body()), began, began.Add(toldLife))
	}
	return nil
}

func (a *API) registerMe(h huma.API) {
	huma.Register(h, operation(http.MethodGet, "/v1/me", "me", "Who am I, and which phones are mine", auth.ScopeRead), a.me)
}

func (a *API) me(ctx context.Context, _ *struct{}) (*meOutput, error) {
	p := principalOf(ctx)
	profile, err := a.Auth.Profile(ctx, p)
	if err != nil {
		return nil, err
	}
	setup, err := a.Calls.Me(ctx, asCaller(p))
	if err != nil {
		return nil, err
	}
	me := Me{
		User:    MeUser{ID: p.UserID, Email: profile.Email, Name: profile.Name, Role: string(p.Role)},
		Tenant:  MeTenant{ID: p.TenantID, Name: profile.TenantName, Region: p.Region},
		Devices: make([]MeDevice, 0, len(setup.Devices)),
		SignIn:  MeSignIn{ID: p.GrantID, Label: profile.SignInLabel, SupportCode: profile.SupportCode},
		Limits:  MeLimits{CallsPerMinute: policy.Default.PerMinute, CallsAtOnce: policy.Default.AtOnce},

		HistoryDays: min(setup.Tenant.RetentionDays, int(a.MaxAge/models.Day)), MayDelete: setup.Tenant.UsersMayDelete,
	}
	for i, d := range setup.Devices {
		me.Devices = append(me.Devices, MeDevice{ID: d.ID, Label: d.Label, State: d.State, Default: i == 0})
	}
	return &meOutput{me}, nil
}
