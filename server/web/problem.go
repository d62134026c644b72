package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/server/fault"
)

// Problem is the body of every error (RFC 9457). It repeats nothing of what came
// in, and nothing of an error's text.
type Problem struct {
	Type        string `json:"type" doc:"urn:clicktodial:problem: and the code"`
	Title       string `json:"title" doc:"the HTTP status in words"`
	Status      int    `json:"status"`
	Detail      string `json:"detail" doc:"one sentence for people, in the language of Accept-Language (en, nl, de)"`
	Code        string `json:"code" doc:"stable"`
	SupportCode string `json:"supportCode,omitempty" doc:"six letters to read out to support, when a click was refused"`

	headers http.Header
}

// Error is for the log: the code.
func (p *Problem) Error() string { return p.Code }

// GetStatus is for Huma.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders is for Huma.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType is for Huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// statuses is the one table from a fault's kind to a status.
var statuses = map[fault.Kind]int{
	fault.Malformed:    http.StatusBadRequest,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.Gone:         http.StatusGone,
	fault.Refused:      http.StatusUnprocessableEntity,
	fault.TooMany:      http.StatusTooManyRequests,
	fault.Internal:     http.StatusInternalServerError,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

// StatusOf gives the HTTP status of an error.
func StatusOf(err error) int { return asFault(err).status }

// known is an error as it may be shown.
type known struct {
	fault  *fault.Error
	status int
}

var (
	internal  = fault.New(fault.Internal, "internal", "Something went wrong here. It has been noted.")
	malformed = fault.New(fault.Malformed, "invalid-request", "The request cannot be read; /openapi.json says what it may hold.")
	late      = fault.New(fault.Unavailable, "timed-out", "That took too long. Please try again.")
)

func asFault(err error) known {
	if f, ok := fault.Of(err); ok {
		return known{f, statuses[f.Kind]}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return known{late, http.StatusServiceUnavailable}
	}
	var fe *fiber.Error
	if errors.As(err, &fe) && fe.Code < 500 {
		return statusOnly(fe.Code)
	}
	return known{internal, http.StatusInternalServerError}
}

// statusOnly is for what Fiber and Huma refuse by themselves.
func statusOnly(status int) known {
	code, detail := "", ""
	switch status {
	case http.StatusNotFound:
		code, detail = "not-found", "There is nothing here."
	case http.StatusMethodNotAllowed:
		code, detail = "method-not-allowed", "This cannot be done to that."
	case http.StatusNotAcceptable:
		code, detail = "not-acceptable", "Answers are JSON."
	case http.StatusRequestEntityTooLarge:
		code, detail = "request-too-large", "The request is too large."
	case http.StatusUnsupportedMediaType:
		code, detail = "unsupported-media-type", "Requests are JSON."
	case http.StatusUpgradeRequired:
		code, detail = "upgrade-required", "This is a WebSocket."
	case http.StatusRequestHeaderFieldsTooLarge:
		code, detail = "request-too-large", "The headers are too large."
	default:
		return known{malformed, http.StatusBadRequest}
	}
	return known{fault.New(fault.Malformed, code, detail), status}
}

// NewProblem makes an error's body in the language.
func NewProblem(err error, lang string) *Problem { return asFault(err).problem(lang) }

func (k known) problem(lang string) *Problem {
	p := &Problem{
		Type: "urn:clicktodial:problem:" + k.fault.Code, Title: http.StatusText(k.status), Status: k.status,
		Detail: k.sentence(lang), Code: k.fault.Code, SupportCode: k.fault.SupportCode,
		headers: http.Header{},
	}
	if k.fault.RetryAfter > 0 {
		p.headers.Set("Retry-After", strconv.Itoa(int(k.fault.RetryAfter.Seconds())))
	}
	if k.status == http.StatusUnauthorized {
		p.headers.Set("WWW-Authenticate", "Bearer")
	}
	return p
}

func (k known) sentence(lang string) string {
	if k.fault.Say == "" {
		return Sentence(k.fault.Code, lang, k.fault.Detail)
	}
	return fmt.Sprintf(Sentence(k.fault.Say, lang, "%s %s"), k.fault.Args...)
}

// errorHandler answers what did not come through Huma, and what never reached a
// handler because it could not be read.
func errorHandler(o Options) fiber.ErrorHandler {
	return func(c *fiber.Ctx, err error) error {
		k := asFault(err)
		if RequestID(c) == "" { // Fiber gave up before our middleware
			c.Locals(requestIDKey{}, uuid.NewString())
			c.Set(fiber.HeaderXRequestID, RequestID(c))
			setHeaders(c, o)
			setCORS(c, extensionOrigins(o.ExtensionIDs))
			if k.status >= http.StatusInternalServerError { // the client's line, not ours
				k = known{malformed, http.StatusBadRequest}
			}
			if o.Observe != nil {
				o.Observe("unread", k.status, 0)
			}
		}
		logInternal(o.Log, k, RequestID(c), err)
		return SendProblem(c, k.problem(Language(c.UserContext())))
	}
}

// SendProblem sends a problem outside Huma.
func SendProblem(c *fiber.Ctx, p *Problem) error {
	for name := range p.headers {
		c.Set(name, p.headers.Get(name))
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, p.ContentType(""))
	return c.Status(p.Status).Send(body)
}

func logInternal(log *slog.Logger, k known, requestID string, err error) {
	switch {
	case k.status == http.StatusInternalServerError:
		log.Error("a request failed", "request_id", requestID, "error", err)
	case k.status == http.StatusServiceUnavailable:
		log.Warn("a request found something down", "request_id", requestID, "code", k.fault.Code, "error", err)
	}
}

// takeOverHuma replaces how Huma makes errors, which is global: its own echo what
// came in and send an unknown error's text.
var takeOverHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true // else "Number" passes for "number"
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError {
		return fromHuma(context.Background(), status, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		if ctx == nil {
			return fromHuma(context.Background(), status, errs)
		}
		p := fromHuma(ctx.Context(), status, errs)
		for name := range p.headers {
			ctx.SetHeader(name, p.headers.Get(name))
		}
		return p
	}
})

func fromHuma(ctx context.Context, status int, errs []error) *Problem {
	k := statusOnly(status)
	if status >= http.StatusInternalServerError {
		k = known{internal, http.StatusInternalServerError}
	}
	about, ok := ctx.Value(requestKey{}).(request)
	for _, err := range errs {
		if status >= http.StatusInternalServerError || isFault(err) {
			k = asFault(err)
		}
		if ok {
			logInternal(about.log, k, about.id, err)
		}
	}
	return k.problem(Language(ctx))
}

func isFault(err error) bool {
	_, ok := fault.Of(err)
	return ok
}
