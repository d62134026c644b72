package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"clicktodial/models"
	"clicktodial/server/call"
)

// DayFigure is how many calls were made on a day.
type DayFigure struct {
	Day   string `json:"day" format:"date" doc:"in UTC"`
	Calls *int   `json:"calls" doc:"null: fewer than five people called, or saying it would tell of fewer"`
}

// OutcomeFigure is how many calls ended so.
type OutcomeFigure struct {
	Outcome string `json:"outcome" enum:"hangUp,calleeBusy,calleeNoAnswer,calleeFailure,callerAbandon,callerBusy,callerNoAnswer,callerFailure,failed,live"`
	Calls   *int   `json:"calls" doc:"as of a day"`
}

// Stats are figures about the company's calls.
type Stats struct {
	Days     int             `json:"days"`
	From     time.Time       `json:"from" doc:"the first day that is counted: later than asked for when there are more than 100000 calls"`
	Withheld bool            `json:"withheld" doc:"there are no figures: fewer than five people called, in the period or in what it has beyond a shorter one, or nothing is kept"`
	Calls    *int            `json:"calls" doc:"in all; null when withheld"`
	PerDay   []DayFigure     `json:"perDay" nullable:"false" doc:"the oldest first; empty when withheld"`
	Outcomes []OutcomeFigure `json:"outcomes" nullable:"false" doc:"empty when withheld"`
}

type statsInput struct {
	Days int `query:"days" minimum:"1" maximum:"90" default:"30" doc:"1, 7, 30 or 90: whole days of UTC, today included"`
}

type statsOutput struct{ Body Stats }

func (a *API) registerStats(h huma.API) {
	op := operationFor(models.RoleAdmin, http.MethodGet, "/v1/admin/stats", "getStats", "Figures about the company's calls", 422)
	op.Description += " Counted from the records that are there, and gone with them; restricted ones are not counted. No figure is about fewer than five people, and there is none at 0 days of retention."
	huma.Register(h, op, a.getStats)
}

func (a *API) getStats(ctx context.Context, in *statsInput) (*statsOutput, error) {
	s, err := a.Company.Stats(ctx, principalOf(ctx).Actor(), in.Days)
	if err != nil {
		return nil, err
	}
	out := &statsOutput{Stats{Days: s.Days, From: s.From, Withheld: s.Withheld, PerDay: []DayFigure{}, Outcomes: []OutcomeFigure{}}}
	if s.Withheld {
		return out, nil
	}
	out.Body.Calls = &s.Calls
	for _, day := range s.EachDay() {
		out.Body.PerDay = append(out.Body.PerDay, DayFigure{day, figure(s.PerDay, day)})
	}
	for _, outcome := range call.Outcomes {
		out.Body.Outcomes = append(out.Body.Outcomes, OutcomeFigure{outcome, figure(s.Outcomes, outcome)})
	}
	return out, nil
}

func figure(of map[string]int, name string) *int {
	if n, shown := of[name]; shown {
		return &n
	}
	return nil
}
