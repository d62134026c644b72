package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"clicktodial/models"
	"clicktodial/server/retention"
)

// Recording is why the company's calls may be recorded.
type Recording struct {
	Reason string `json:"reason" enum:"agreement-proof,quality,training,legal-duty,complaints,safety"`
	Text   string `json:"text" doc:"in the company's own words"`
}

// Settings are what the tenant's admin decides.
type Settings struct {
	RequireSecondFactor bool       `json:"requireSecondFactor"`
	RetentionDays       int        `json:"retentionDays" doc:"0 to 365; how long it is in force: GET /v1/admin/retention"`
	UsersMayDelete      bool       `json:"usersMayDelete" doc:"from their own history"`
	LeaverRecords       string     `json:"leaverRecords" enum:"erase,keep" doc:"what becomes of the calls of a user who is deleted"`
	Recording           *Recording `json:"recording" doc:"null: no call may be recorded"`
}

type settingsInput struct {
	Body struct {
		RequireSecondFactor *bool   `json:"requireSecondFactor,omitempty"`
		RetentionDays       *int    `json:"retentionDays,omitempty" minimum:"0" maximum:"365"`
		UsersMayDelete      *bool   `json:"usersMayDelete,omitempty"`
		LeaverRecords       *string `json:"leaverRecords,omitempty" enum:"erase,keep"`
		Recording           *struct {
			Reason string `json:"reason" enum:"agreement-proof,quality,training,legal-duty,complaints,safety,none" doc:"none withdraws it: no call may be recorded any more"`
			Text   string `json:"text,omitempty" maxLength:"2000" doc:"1 to 500 printable characters; not with none"`
		} `json:"recording,omitempty"`
		Confirm bool `json:"confirm,omitempty" doc:"asked for when records would end earlier"`
	}
}

type settingsOutput struct{ Body Settings }

// RetentionInForce is how long records are kept.
type RetentionInForce struct {
	Days          int     `json:"days" doc:"as chosen"`
	EffectiveDays float64 `json:"effectiveDays" doc:"under the ceiling; a day is 24 hours. 0: a record goes with its call's end"`
	CeilingDays   float64 `json:"ceilingDays" doc:"the operator's: nothing is kept longer here"`
	Note          *string `json:"note" enum:"own-list-ends-at-ceiling" doc:"own-list-ends-at-ceiling: the list here ends at ceilingDays, the PBX's own call records may follow the days"`
}

// Preview is what other days would do to the records that exist.
type Preview struct {
	RetentionInForce
	EndsNow       int64      `json:"endsNow" doc:"records that would be gone at once"`
	EndsEarlier   int64      `json:"endsEarlier" doc:"others that would end sooner than they were to"`
	Live          int64      `json:"live" doc:"calls that are up: let be; at 0 days their records go with their end"`
	More          bool       `json:"more" doc:"there are more than 100000 records: endsNow and endsEarlier are of the oldest 100000"`
	LastEndBefore *time.Time `json:"lastEndBefore" doc:"when the last of the records ends, as things are; null: there is none"`
	LastEndAfter  *time.Time `json:"lastEndAfter" doc:"when it would; null: none would be left"`
}

// Shortening is how far making existing records end earlier has come.
type Shortening struct {
	ToDays     float64    `json:"toDays"`
	Total      int64      `json:"total" doc:"records that there were at its start"`
	Done       int64      `json:"done" doc:"of which were looked at"`
	Changed    int64      `json:"changed" doc:"of which end earlier now"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt" doc:"null: under way, or waiting for calls that are up"`
}

// ChainHead is the last entry of the chain of evidence.
type ChainHead struct {
	N    int64     `json:"n" doc:"of the entry: 1, 2, 3 …"`
	At   time.Time `json:"at"`
	Hash string    `json:"hash" doc:"hex, 64 digits: note it elsewhere; whoever runs the server checks it with purge verify --head"`
}

// Proof shows that records end.
type Proof struct {
	OldestRecord *time.Time `json:"oldestRecord" doc:"when the company's oldest record was made; null: there is none"`
	LastPurge    *time.Time `json:"lastPurge" doc:"the end of the last one; null: there was none yet"`
	ChainHead    *ChainHead `json:"chainHead" doc:"null: the chain is empty"`
}

// Retention is what holds, what is being done about it, and what shows it.
type Retention struct {
	RetentionInForce
	Shortening *Shortening `json:"shortening" doc:"the last one; null: there was none"`
	Proof      Proof       `json:"proof"`
}

type previewInput struct {
	Body struct {
		Days int `json:"days" minimum:"0" maximum:"365"`
	}
}

type (
	previewOutput   struct{ Body Preview }
	retentionOutput struct{ Body Retention }
)

func (a *API) registerSettings(h huma.API) {
	admin := func(method, path, id, summary string, errs ...int) huma.Operation {
		return operationFor(models.RoleAdmin, method, "/v1/admin"+path, id, summary, errs...)
	}
	huma.Register(h, admin(http.MethodGet, "/settings", "getSettings", "What the company has decided"), a.getSettings)
	huma.Register(h, admin(http.MethodPut, "/settings", "changeSettings", "Decide it; what is absent stays", 422), a.changeSettings)
	huma.Register(h, admin(http.MethodPost, "/settings/retention-preview", "previewRetention", "What keeping records for other days would do", 422), a.previewRetention)
	huma.Register(h, admin(http.MethodGet, "/retention", "getRetention", "How long records are kept, how far shortening has come, and the proof that records go"), a.getRetention)
}

func (a *API) getSettings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	by := principalOf(ctx).Actor()
	required, err := a.Auth.FactorRequired(ctx, by)
	if err != nil {
		return nil, err
	}
	chosen, err := a.Chooser.Settings(ctx, by)
	out := &settingsOutput{Settings{
		RequireSecondFactor: required, RetentionDays: chosen.RetentionDays, UsersMayDelete: chosen.UsersMayDelete, LeaverRecords: string(chosen.LeaverRecords),
	}}
	if r := chosen.Recording; r != nil {
		out.Body.Recording = &Recording{Reason: r.Reason, Text: r.Text}
	}
	return out, err
}

func (a *API) changeSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	by := principalOf(ctx).Actor()
	choice := retention.Choice{
		RetentionDays: in.Body.RetentionDays, UsersMayDelete: in.Body.UsersMayDelete, LeaverRecords: (*models.LeaverRecords)(in.Body.LeaverRecords), Confirm: in.Body.Confirm,
	}
	if r := in.Body.Recording; r != nil {
		choice.Recording = &retention.Recording{Reason: r.Reason, Text: r.Text}
		if r.Reason == "none" {
			choice.Recording = &retention.Recording{}
		}
	}
	if err := a.Chooser.Choose(ctx, by, choice); err != nil {
		return nil, err
	}
	if required := in.Body.RequireSecondFactor; required != nil {
		if err := a.Auth.RequireFactor(ctx, by, *required); err != nil {
			return nil, err
		}
	}
	return a.getSettings(ctx, nil)
}

func (a *API) previewRetention(ctx context.Context, in *previewInput) (*previewOutput, error) {
	p, err := a.Chooser.Preview(ctx, principalOf(ctx).Actor(), in.Body.Days)
	return &previewOutput{Preview{
		RetentionInForce: inForce(p), EndsNow: p.EndsNow, EndsEarlier: p.EndsEarlier, Live: p.Live, More: p.More,
		LastEndBefore: utc(p.LastEndBefore), LastEndAfter: utc(p.LastEndAfter),
	}}, err
}

func (a *API) getRetention(ctx context.Context, _ *struct{}) (*retentionOutput, error) {
	by := principalOf(ctx).Actor()
	p, progress, err := a.Chooser.State(ctx, by)
	if err != nil {
		return nil, err
	}
	proof, err := a.Chooser.Proof(ctx, by)
	out := &retentionOutput{Retention{RetentionInForce: inForce(p), Proof: wireProof(proof)}}
	if progress != nil {
		out.Body.Shortening = &Shortening{
			ToDays: inDays(progress.Keep), Total: progress.Total, Done: progress.Done, Changed: progress.Changed,
			StartedAt: progress.StartedAt.UTC(), FinishedAt: utc(progress.FinishedAt),
		}
	}
	return out, err
}

func wireProof(p retention.Proof) Proof {
	out := Proof{OldestRecord: utc(p.Oldest), LastPurge: utc(p.LastRun)}
	if len(p.Head) > 0 {
		out.ChainHead = &ChainHead{N: p.N, At: p.HeadAt.UTC(), Hash: hex.EncodeToString(p.Head)}
	}
	return out
}

func inForce(p retention.Preview) RetentionInForce {
	f := RetentionInForce{Days: p.Days, EffectiveDays: inDays(p.Effective), CeilingDays: inDays(p.Ceiling)}
	if p.BeyondCeiling() {
		note := "own-list-ends-at-ceiling"
		f.Note = &note
	}
	return f
}

func inDays(d time.Duration) float64 { return d.Hours() / 24 }
