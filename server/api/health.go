package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Dependency is something the service stands on.
type Dependency struct {
	Name     string `json:"name" enum:"postgres,redis,pbx,clock,schema"`
	OK       bool   `json:"ok"`
	Required bool   `json:"required" doc:"whether the service is not ready without it"`
	Detail   string `json:"detail,omitempty"`
}

// Readiness is whether calls can be taken.
type Readiness struct {
	Ready        bool         `json:"ready"`
	Dependencies []Dependency `json:"dependencies" nullable:"false"`
}

type readyOutput struct {
	Status int
	Body   Readiness
}

type healthOutput struct {
	Body struct {
		Alive bool `json:"alive"`
	}
}

func (a *API) registerHealth(h huma.API) {
	huma.Register(h, operation(http.MethodGet, "/healthz", "health", "Is the process alive", ""),
		func(context.Context, *struct{}) (*healthOutput, error) {
			out := &healthOutput{}
			out.Body.Alive = true
			return out, nil
		})
	ready := operation(http.MethodGet, "/readyz", "ready", "Can calls be taken, and what is down", "")
	huma.Register(h, ready, a.ready)
}

func (a *API) ready(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	out := &readyOutput{Status: http.StatusOK, Body: Readiness{Ready: true, Dependencies: a.Ready(ctx)}}
	for _, d := range out.Body.Dependencies {
		if d.Required && !d.OK {
			out.Status, out.Body.Ready = http.StatusServiceUnavailable, false
		}
	}
	return out, nil
}
