package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/phone"
	"clicktodial/server/web"
)

type startCallInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" doc:"made by the client, one a gesture; the same key is the same call for 24 hours"`
	Body struct {
		Number   string     `json:"number" minLength:"1" maxLength:"256" doc:"as it stood on the page; tel: URIs too"`
		Name     string     `json:"name,omitempty" maxLength:"400" doc:"of whom is called, shown on the own phone and in the history; at most 80 characters"`
		DeviceID *uuid.UUID `json:"deviceId,omitempty" doc:"which of the user's own phones rings; the first when absent"`
		Confirm  string     `json:"confirm,omitempty" maxLength:"200" doc:"the token of a second gesture, from numbers/check"`
		Private  bool       `json:"private,omitempty" doc:"the record loses number and name when the call ends"`
		Record   bool       `json:"recordingEnabled,omitempty" doc:"asks the PBX to record; the company must have declared why it records"`
	}
}

type startCallOutput struct {
	Status   int
	Replayed string `header:"Idempotency-Replayed" doc:"true when the key had made this call before"`
	Location string `header:"Location"`
	Body     Call
}

type callOutput struct{ Body Call }

type callID struct {
	ID uuid.UUID `path:"id"`
}

func (a *API) registerCalls(h huma.API) {
	start := operation(http.MethodPost, "/v1/calls", "startCall", "Ring my phone, then call the number", auth.ScopeCreate, 409, 410, 422, 429)
	start.DefaultStatus = http.StatusCreated
	start.Responses = map[string]*huma.Response{"200": {Description: "the same key again: the call as it is now"}}
	huma.Register(h, start, a.startCall)
	huma.Register(h, operation(http.MethodGet, "/v1/calls/{id}", "getCall", "One call", auth.ScopeRead, 404), a.getCall)
	hangUp := operation(http.MethodDelete, "/v1/calls/{id}", "hangUp", "End a call, at any moment of it", auth.ScopeDelete, 404, 409)
	hangUp.DefaultStatus = http.StatusNoContent
	huma.Register(h, hangUp, a.hangUp)
}

func (a *API) startCall(ctx context.Context, in *startCallInput) (*startCallOutput, error) {
	caller := callerOf(ctx)
	number, err := phone.Parse(in.Body.Number, caller.Region)
	if err != nil {
		return nil, a.Calls.Refuse(ctx, caller, err)
	}
	name, err := phone.ParseName(in.Body.Name)
	if err != nil {
		return nil, err
	}
	click := call.Click{Number: number, Name: name, Private: in.Body.Private, Record: in.Body.Record, Confirm: in.Body.Confirm, Key: in.Key}
	if in.Body.DeviceID != nil {
		click.DeviceID = *in.Body.DeviceID
	}
	row, replayed, err := a.Calls.Start(ctx, caller, click)
	if err != nil {
		return nil, err
	}
	out := &startCallOutput{Status: http.StatusCreated, Location: "/v1/calls/" + row.ID.String(), Body: wireCall(row, web.Language(ctx))}
	if replayed {
		out.Status, out.Replayed = http.StatusOK, "true"
	}
	return out, nil
}

func (a *API) getCall(ctx context.Context, in *callID) (*callOutput, error) {
	row, err := a.Calls.Get(ctx, callerOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &callOutput{wireCall(row, web.Language(ctx))}, nil
}

func (a *API) hangUp(ctx context.Context, in *callID) (*struct{}, error) {
	return nil, a.Calls.HangUp(ctx, callerOf(ctx), in.ID)
}
