package api

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/retention"
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

// The longest that an export may take; a reader that stalls holds a goroutine and
// a connection until then.
const exportLimit = 15 * time.Minute

// stream prepares an export while it can still be refused, and sends it as it is
// read, long after the request's own deadline.
func (a *API) stream(ctx context.Context, by models.Actor, s retention.Subject, wish retention.Wish) (*huma.StreamResponse, error) {
	e, err := a.Privacy.Export(ctx, by, s, wish)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		c := humafiber.Unwrap(hc)
		c.Status(http.StatusOK)
		c.Set(fiber.HeaderContentType, e.ContentType())
		c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+e.FileName()+`"`)
		// The deadline stays on the connection, so that must not serve another request.
		c.Context().SetConnectionClose()
		_ = c.Context().Conn().SetWriteDeadline(time.Now().Add(exportLimit)) // a connection without one is a test's
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { a.writeExport(e, w) })
	}}, nil
}

func (a *API) writeExport(e *retention.Export, w *bufio.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), exportLimit)
	defer cancel()
	defer func() {
		if r := recover(); r != nil { // nobody else would: it is a goroutine of the server's
			a.Log.Error("an export panicked", "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
		}
	}()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-a.Closing:
			cancel()
		case <-over:
		}
	}()
	if _, err := e.Write(ctx, w, w.Flush); err != nil {
		a.Log.Warn("an export broke off", "error", err)
	}
}
