package api

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// CallUser is whose call it is.
type CallUser struct {
	ID    uuid.UUID `json:"id"`
	Name  *string   `json:"name"`
	Email *string   `json:"email" doc:"null: somebody who has left the company"`
}

// CompanyCall is a call with whose it is.
type CompanyCall struct {
	Call
	User CallUser `json:"user"`
}

// Step is one in a call's timeline.
type Step struct {
	Status string    `json:"status" enum:"initiating,callingCaller,callingCallee,connected,disconnected,failed"`
	At     time.Time `json:"at"`
	Cause  *int      `json:"cause" doc:"ITU-T Q.850, where the PBX gave one"`
}

// CompanyCallDetail is a call with its timeline.
type CompanyCallDetail struct {
	CompanyCall
	Timeline []Step `json:"timeline" nullable:"false"`
}

// CompanyFilter is what the history can be narrowed by. All that is set must hold.
type CompanyFilter struct {
	Q        string     `json:"q,omitempty" maxLength:"256" doc:"an exact number, its last four digits, or whole words of a name; instead of number, lastFour and name"`
	Number   string     `json:"number,omitempty" maxLength:"256" doc:"exactly this one"`
	LastFour string     `json:"lastFour,omitempty" pattern:"^[0-9]{4}$"`
	Name     string     `json:"name,omitempty" maxLength:"400" doc:"whole words of it"`
	UserID   *uuid.UUID `json:"userId,omitempty"`
	Outcome  string     `json:"outcome,omitempty" enum:"hangUp,calleeBusy,calleeNoAnswer,calleeFailure,callerAbandon,callerBusy,callerNoAnswer,callerFailure,failed,live"`
	From     *time.Time `json:"from,omitempty"`
	To       *time.Time `json:"to,omitempty" doc:"not included"`
}

type companySearchInput struct {
	Body struct {
		CompanyFilter
		Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50"`
		Cursor string `json:"cursor,omitempty" maxLength:"64"`
	}
}

type companyExportInput struct {
	Body struct {
		CompanyFilter
		Format string `json:"format" enum:"csv,json"`
	}
}

type companyCallOutput struct{ Body CompanyCallDetail }

func (a *API) registerCompany(h huma.API) {
	admin := func(method, path, id, summary, more string, errs ...int) huma.Operation {
		op := operationFor(models.RoleAdmin, method, "/v1/admin/history"+path, id, summary, errs...)
		op.Description += more
		return op
	}
	const short = " A page may hold fewer calls than limit, or none, while next says that there is more: a search that meets little goes on from there."
	huma.Register(h, admin(http.MethodGet, "", "listCompanyHistory", "The company's calls, newest first", ""), a.listCompany)
	huma.Register(h, admin(http.MethodPost, "/search", "searchCompanyHistory", "Search the company's calls", short, 404, 422), a.searchCompany)
	huma.Register(h, admin(http.MethodGet, "/{id}", "getCompanyCall", "One call of the company, with its timeline", "", 404), a.companyCall)
	export := admin(http.MethodPost, "/export", "exportCompanyHistory", "Take the company's calls along",
		" Streamed; audited. JSON ends with a count; where that is missing, or the answer breaks off, it is not complete. In CSV a cell that would begin a formula has an apostrophe before it, numbers too.", 404, 422)
	export.Responses = map[string]*huma.Response{"200": {Description: "the calls", Content: map[string]*huma.MediaType{
		"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
		"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}},
	}}}
	huma.Register(h, export, a.exportCompany)
}

func (a *API) listCompany(ctx context.Context, in *historyInput) (*list[CompanyCall], error) {
	return a.companyPage(ctx, in.Limit, in.Cursor, call.CompanySearch{})
}

func (a *API) searchCompany(ctx context.Context, in *companySearchInput) (*list[CompanyCall], error) {
	search, some, err := a.readFilter(ctx, in.Body.CompanyFilter)
	if err != nil {
		return nil, err
	}
	if !some {
		return listOf([]call.CompanyCall{}, func(call.CompanyCall) (c CompanyCall) { return c }), nil
	}
	return a.companyPage(ctx, in.Body.Limit, in.Body.Cursor, search)
}

// readFilter makes a search of a filter; some is false when nothing can match.
func (a *API) readFilter(ctx context.Context, f CompanyFilter) (search call.CompanySearch, some bool, err error) {
	asked := call.Asked{Number: f.Number, LastFour: f.LastFour, Name: f.Name, Outcome: f.Outcome}
	if f.UserID != nil {
		asked.UserID = *f.UserID
	}
	if f.From != nil {
		asked.From = *f.From
	}
	if f.To != nil {
		asked.To = *f.To
	}
	if f.Q != "" && f.Number+f.LastFour+f.Name != "" {
		return search, false, fault.New(fault.Malformed, "invalid-request", "Say either q, or number, lastFour and name.")
	}
	if search, err = a.Company.Read(ctx, principalOf(ctx).Actor(), asked); err != nil || f.Q == "" {
		return search, true, err
	}
	q, some := call.ReadQuery(f.Q, principalOf(ctx).Region)
	search.Number, search.LastFour, search.Words = q.Number, q.LastFour, q.Words
	return search, some, nil
}

func (a *API) companyPage(ctx context.Context, limit int, cursor string, search call.CompanySearch) (*list[CompanyCall], error) {
	page, err := call.ReadCursor(cursor)
	if err != nil {
		return nil, err
	}
	page.Limit = limit
	l, err := a.Company.List(ctx, principalOf(ctx).Actor(), page, search)
	if err != nil {
		return nil, err
	}
	lang := web.Language(ctx)
	out := listOf(l.Calls, func(row call.CompanyCall) CompanyCall { return wireCompanyCall(row, lang) })
	if l.More {
		out.Body.Next = text(call.WriteCursor(l.Next.At, l.Next.ID))
	}
	return out, nil
}

func wireCompanyCall(row call.CompanyCall, lang string) CompanyCall {
	c := CompanyCall{Call: wireCall(row.Call, lang), User: CallUser{ID: row.UserID}}
	c.Can.HangUp = false // that is the user's
	if row.UserLeft == nil {
		c.User.Name, c.User.Email = text(row.UserName), text(row.UserEmail)
	}
	return c
}

func (a *API) companyCall(ctx context.Context, in *callID) (*companyCallOutput, error) {
	row, steps, err := a.Company.Get(ctx, principalOf(ctx).Actor(), in.ID)
	if err != nil {
		return nil, err
	}
	out := &companyCallOutput{CompanyCallDetail{wireCompanyCall(row, web.Language(ctx)), make([]Step, 0, len(steps))}}
	for _, s := range steps {
		step := Step{Status: string(s.Status), At: s.At.UTC()}
		if s.Cause != 0 {
			step.Cause = &s.Cause
		}
		out.Body.Timeline = append(out.Body.Timeline, step)
	}
	return out, nil
}

func (a *API) exportCompany(ctx context.Context, in *companyExportInput) (*huma.StreamResponse, error) {
	search, some, err := a.readFilter(ctx, in.Body.CompanyFilter)
	if err != nil {
		return nil, err
	}
	if !some { // a file without calls would look as if there had been none
		return nil, fault.New(fault.Refused, "number-invalid", "This is not a telephone number that can be dialled.")
	}
	export, err := a.Company.Export(ctx, principalOf(ctx).Actor(), search, call.Format(in.Body.Format))
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		file := web.File{Name: export.FileName(), Type: export.ContentType()}
		web.Stream(humafiber.Unwrap(hc), a.Log, file, func(ctx context.Context, out *bufio.Writer) error { return export.Write(ctx, out) })
	}}, nil
}
