package api

import (
	"bufio"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/retention"
	"clicktodial/server/web"
)

type exportInput struct {
	Format string `query:"format" enum:"json,csv" default:"json"`
}

type subjectExportInput struct {
	Body struct {
		Subject
		Format string `json:"format,omitempty" enum:"json,csv" default:"json"`
	}
}

func (a *API) registerExport(h huma.API) {
	mine := operation(http.MethodGet, "/v1/me/export", "exportMe", "Everything held about me", auth.ScopeRead, 429)
	mine.Responses = exportResponses()
	huma.Register(h, mine, a.exportMe)
	other := operationFor(models.RoleAdmin, http.MethodPost, "/v1/admin/privacy/export", "exportSubject", "Everything held about somebody", 404, 409, 422, 429)
	other.Responses = exportResponses()
	huma.Register(h, other, a.exportSubject)
}

// exportResponses tells of both forms. An export that broke off is an object left
// open, or a last line that says so.
func exportResponses() map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "The export, as it is read. Unless its last member (line) is `end` with `complete` true, it broke off.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
			"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}}
}

func (a *API) exportMe(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	by := principalOf(ctx).Actor()
	return a.stream(ctx, by, retention.Subject{User: by.UserID}, retention.Wish{Format: retention.Format(in.Format)})
}

func (a *API) exportSubject(ctx context.Context, in *subjectExportInput) (*huma.StreamResponse, error) {
	s, request, err := a.readSubject(ctx, in.Body.Subject)
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, principalOf(ctx).Actor(), s, retention.Wish{Format: retention.Format(in.Body.Format), Request: request})
}

// stream prepares an export while it can still be refused, and sends it as it is
// read.
func (a *API) stream(ctx context.Context, by models.Actor, s retention.Subject, wish retention.Wish) (*huma.StreamResponse, error) {
	e, err := a.Privacy.Export(ctx, by, s, wish)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		file := web.File{Name: e.FileName(), Type: e.ContentType()}
		web.Stream(humafiber.Unwrap(hc), a.Log, file, func(ctx context.Context, out *bufio.Writer) error {
			_, err := e.Write(ctx, out, out.Flush)
			return err
		})
	}}, nil
}
