package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/phone"
	"clicktodial/server/web"
)

type historyInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type searchInput struct {
	Body struct {
		Q      string     `json:"q,omitempty" maxLength:"256" doc:"an exact number, its last four digits, or whole words of a name"`
		From   *time.Time `json:"from,omitempty"`
		To     *time.Time `json:"to,omitempty" doc:"not included"`
		Limit  int        `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50"`
		Cursor string     `json:"cursor,omitempty" maxLength:"64"`
	}
}

// Page is a page of calls.
type Page struct {
	Items []Call  `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"the cursor of the next page; null on the last"`
}

type pageOutput struct{ Body Page }

type renameInput struct {
	ID   uuid.UUID `path:"id"`
	Body struct {
		Name string `json:"name" maxLength:"400"`
	}
}

func (a *API) registerHistory(h huma.API) {
	huma.Register(h, operation(http.MethodGet, "/v1/history", "listHistory", "My calls, newest first", auth.ScopeRead), a.listHistory)
	huma.Register(h, operation(http.MethodPost, "/v1/history/search", "searchHistory", "Search my calls", auth.ScopeRead), a.searchHistory)
	huma.Register(h, operation(http.MethodPatch, "/v1/history/{id}", "renameCall", "Give a call another name", auth.ScopeDelete, 404, 422), a.rename)
	one := operation(http.MethodDelete, "/v1/history/{id}", "deleteCall", "Remove a call from my history", auth.ScopeDelete, 404, 409)
	one.DefaultStatus = http.StatusNoContent
	huma.Register(h, one, a.deleteCall)
	all := operation(http.MethodDelete, "/v1/history", "clearHistory", "Remove all ended calls from my history", auth.ScopeDelete)
	all.DefaultStatus = http.StatusNoContent
	huma.Register(h, all, a.clear)
}

func (a *API) listHistory(ctx context.Context, in *historyInput) (*pageOutput, error) {
	return a.page(ctx, in.Limit, in.Cursor, call.Search{})
}

func (a *API) searchHistory(ctx context.Context, in *searchInput) (*pageOutput, error) {
	search, ok := call.ReadQuery(in.Body.Q, callerOf(ctx).Region)
	if !ok {
		return &pageOutput{Page{Items: []Call{}}}, nil
	}
	if in.Body.From != nil {
		search.From = in.Body.From.UTC()
	}
	if in.Body.To != nil {
		search.To = in.Body.To.UTC()
	}
	return a.page(ctx, in.Body.Limit, in.Body.Cursor, search)
}

func (a *API) page(ctx context.Context, limit int, cursor string, search call.Search) (*pageOutput, error) {
	page, err := call.ReadCursor(cursor)
	if err != nil {
		return nil, err
	}
	page.Limit = limit
	rows, more, err := a.Calls.History(ctx, callerOf(ctx), page, search)
	if err != nil {
		return nil, err
	}
	out := &pageOutput{Page{Items: wireCalls(rows, web.Language(ctx))}}
	if more {
		last := rows[len(rows)-1]
		next := call.WriteCursor(last.CreatedAt, last.ID)
		out.Body.Next = &next
	}
	return out, nil
}

func (a *API) rename(ctx context.Context, in *renameInput) (*callOutput, error) {
	name, err := phone.ParseName(in.Body.Name)
	if err != nil {
		return nil, err
	}
	row, err := a.Calls.Rename(ctx, callerOf(ctx), in.ID, name)
	if err != nil {
		return nil, err
	}
	return &callOutput{wireCall(row, web.Language(ctx))}, nil
}

func (a *API) deleteCall(ctx context.Context, in *callID) (*struct{}, error) {
	return nil, a.Calls.Delete(ctx, callerOf(ctx), in.ID)
}

func (a *API) clear(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, a.Calls.Clear(ctx, callerOf(ctx))
}
