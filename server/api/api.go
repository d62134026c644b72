// Package api is /v1 and the token endpoint: what the extension and other clients
// speak. A handler decodes, parses, makes one call of a service, and encodes.
package api

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/memo"
	"clicktodial/server/retention"
	"clicktodial/server/web"
)

// Version of the API, in its document.
const Version = "1.0.0"

// API is what the handlers need.
type API struct {
	Calls   *call.Service
	Company *call.Company
	Auth    *auth.Service
	Privacy *retention.Privacy
	Chooser *retention.Chooser
	Ready   func(context.Context) []Dependency
	Origin  func(origin string) bool
	MaxAge  time.Duration
	Now     func() time.Time
	Log     *slog.Logger
	Closing <-chan struct{} // closed when the server stops: sockets end
	Pace    Pace            // of sockets

	told memo.Memo[uuid.UUID, []byte] // answers to GET /v1/me, by sign-in
}

// Register adds all routes to the app and gives the API's description.
func (a *API) Register(app *fiber.App) huma.API {
	config := huma.DefaultConfig("Click-to-Dial", Version)
	config.DocsPath, config.SchemasPath = "", ""
	config.CreateHooks = nil
	config.Info.Description = "Click a number, your own phone rings, the exchange calls the number. Statuses and reasons are those of CAMARA ClickToDial."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"},
	}
	app.Get("/v1/me", a.meAgain)
	h := humafiber.New(app, config)
	h.UseMiddleware(a.authenticate(h), a.strict(h))
	a.registerCalls(h)
	a.registerHistory(h)
	a.registerMe(h)
	a.registerSignIns(h)
	a.registerSupport(h)
	a.registerAdmin(h)
	a.registerPrivacy(h)
	a.registerExport(h)
	a.registerCompany(h)
	a.registerAudit(h)
	a.registerStats(h)
	a.registerSettings(h)
	a.registerNumbers(h)
	a.registerHealth(h)
	mendDocument(h)
	app.Get("/v1/events", a.events())
	a.registerOAuth(app)
	return h
}

// mendDocument says what Huma cannot find in the Go types: every code, which
// object may be null, and what the answer to a repeated click holds.
func mendDocument(h huma.API) {
	schemas := h.OpenAPI().Components.Schemas.Map()
	for _, code := range web.Codes() {
		schemas["Problem"].Properties["code"].Enum = append(schemas["Problem"].Properties["code"].Enum, code)
	}
	for of, member := range map[string]string{
		"Call": "diagnosis", "MaskedCall": "diagnosis", "CompanyCall": "diagnosis", "CompanyCallDetail": "diagnosis",
		"Settings": "recording", "Retention": "shortening", "Proof": "chainHead",
	} {
		object := schemas[of].Properties[member]
		schemas[of].Properties[member] = &huma.Schema{AnyOf: []*huma.Schema{object, {Type: "null"}}}
	}
	schemas["Ref"].Properties["id"].Nullable = true
	schemas["Receipt"].Properties["userId"].Nullable = true
	start := h.OpenAPI().Paths["/v1/calls"].Post.Responses
	start["200"].Content, start["200"].Headers = start["201"].Content, start["201"].Headers
}

// bearer asks for a token that carries the scope.
func bearer(scope string) []map[string][]string {
	return []map[string][]string{{"bearer": {scope}}}
}

// noBodyDeadline: Huma would set one on the connection, which stays on it.
const noBodyDeadline = -1

func operation(method, path, id, summary, scope string, errs ...int) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		MaxBodyBytes: 16 << 10, BodyReadTimeout: noBodyDeadline, Errors: append([]int{400, 500, 503}, errs...),
	}
	if scope != "" {
		op.Security = bearer(scope)
		op.Errors = append(op.Errors, 401, 403)
	}
	slices.Sort(op.Errors)
	return op
}

// operationFor is an operation of a role, whatever the token's scopes: support's,
// or an admin's of their own tenant.
func operationFor(role models.Role, method, path, id, summary string, errs ...int) huma.Operation {
	op := operation(method, path, id, summary, "", append([]int{401, 403}, errs...)...)
	op.Security = []map[string][]string{{"bearer": {}}}
	op.Metadata = map[string]any{roleKey: role}
	op.Description = "For role " + string(role) + "."
	return op
}

const roleKey = "role"

type principalKey struct{}

// authenticate finds out who is asking, for operations that say they need it.
func (a *API) authenticate(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if len(ctx.Operation().Security) == 0 {
			next(ctx)
			return
		}
		p, known := ctx.Context().Value(principalKey{}).(auth.Principal)
		var err error
		if !known {
			p, err = a.Auth.Authenticate(ctx.Context(), bearerToken(ctx.Header("Authorization")))
		}
		if err == nil && !allowed(p, ctx.Operation()) {
			err = errForbidden
		}
		if err != nil {
			a.fail(h, ctx, err)
			return
		}
		next(huma.WithValue(ctx, principalKey{}, p))
	}
}

var errForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")

// allowed says whether a principal may ask for the operation: one of a role, or
// one of a tenant's people whose token carries the scope.
func allowed(p auth.Principal, op *huma.Operation) bool {
	if role, ok := op.Metadata[roleKey].(models.Role); ok {
		return p.Role == role
	}
	return p.TenantID != uuid.Nil && p.May(op.Security[0]["bearer"][0])
}

// strict refuses bodies that are not plainly JSON, before Huma's decoder sees them.
func (a *API) strict(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if ctx.Operation().RequestBody != nil {
			if err := web.CheckBody(ctx.Header("Content-Type"), ctx.Header("Content-Encoding"), ctx.BodyReader); err != nil {
				a.fail(h, ctx, err)
				return
			}
		}
		next(ctx)
	}
}

func (a *API) fail(h huma.API, ctx huma.Context, err error) {
	if err := huma.WriteErr(h, ctx, web.StatusOf(err), "", err); err != nil && !errors.Is(err, context.Canceled) {
		a.Log.Warn("an error was not sent", "error", err)
	}
}

func bearerToken(header string) string {
	const scheme = "Bearer "
	if len(header) <= len(scheme) || header[:len(scheme)] != scheme {
		return ""
	}
	return header[len(scheme):]
}

// callerOf is who is asking, as package call sees them.
func callerOf(ctx context.Context) call.Caller {
	return asCaller(principalOf(ctx))
}

func principalOf(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

func asCaller(p auth.Principal) call.Caller {
	return call.Caller{
		TenantID: p.TenantID, UserID: p.UserID, GrantID: p.GrantID, Region: p.Region, PBXID: p.PBXID,
	}
}
