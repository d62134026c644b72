// Package web is the Fiber app around everything: request ids, deadlines,
// headers, recovery, and the one place where an error becomes an HTTP answer
// (problem.go). It knows no route.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"golang.org/x/text/language"

	"clicktodial/models"
)

// Options is what the app needs to know of the installation.
type Options struct {
	PublicURL      string
	ExtensionIDs   []string
	TrustedProxies []string
	Log            *slog.Logger
	Now            func() time.Time
	// Observe is told of each answer, for the metrics: the route's pattern, never
	// its URL.
	Observe func(route string, status int, took time.Duration)
}

const (
	bodyLimit       = 16 << 10 // bytes; the largest request is a number, a name and ids
	headerLimit     = 8 << 10  // bytes
	readTimeout     = 10 * time.Second
	idleTimeout     = 75 * time.Second
	requestDeadline = 10 * time.Second
)

// New makes the app.
func New(o Options) *fiber.App {
	takeOverHuma()
	app := fiber.New(fiber.Config{
		// Else a string kept by a handler turns into the next request's.
		Immutable:               true,
		BodyLimit:               bodyLimit,
		ReadBufferSize:          headerLimit,
		ReadTimeout:             readTimeout,
		IdleTimeout:             idleTimeout,
		ErrorHandler:            errorHandler(o),
		DisableStartupMessage:   true,
		EnableTrustedProxyCheck: true,
		TrustedProxies:          o.TrustedProxies, // see Network
	})
	app.Use(observe(o), headers(o), rescue(o.Log), deadline(o.Log), cors(o))
	return app
}

// observe gives the request its id and, when it is answered, logs and counts it:
// route pattern, status and time; no URL, no address, no agent.
func observe(o Options) fiber.Handler {
	return func(c *fiber.Ctx) error {
		started := o.Now()
		id := uuid.NewString()
		c.Locals(requestIDKey{}, id)
		c.Set(fiber.HeaderXRequestID, id)
		if err := c.Next(); err != nil {
			if err := c.App().Config().ErrorHandler(c, err); err != nil {
				return err
			}
		}
		took := o.Now().Sub(started)
		route := routeOf(c)
		o.Log.Debug("answered", "request_id", id, "method", c.Method(), "route", route,
			"status", c.Response().StatusCode(), "took_ms", took.Milliseconds())
		if o.Observe != nil {
			o.Observe(route, c.Response().StatusCode(), took)
		}
		return nil
	}
}

// routeOf is the pattern that matched; what matched none is one word, so that
// nobody fills the metrics with paths.
func routeOf(c *fiber.Ctx) string {
	path := c.Route().Path
	if c.Response().StatusCode() == fiber.StatusNotFound && (path == "/" || path == "") {
		return "unknown"
	}
	return path
}

type requestIDKey struct{}

// RequestID is the id of the request, also on its answer.
func RequestID(c *fiber.Ctx) string {
	id, _ := c.Locals(requestIDKey{}).(string)
	return id
}

// headers are those of every answer. Pages loosen the policy for themselves.
func headers(o Options) fiber.Handler {
	return func(c *fiber.Ctx) error {
		setHeaders(c, o)
		return c.Next()
	}
}

// always are the headers of every answer, in the form in which they are sent.
var always = [][2][]byte{
	{[]byte(fiber.HeaderCacheControl), []byte("no-store")},
	{[]byte(fiber.HeaderXContentTypeOptions), []byte("nosniff")},
	{[]byte(fiber.HeaderReferrerPolicy), []byte("no-referrer")},
	{[]byte(fiber.HeaderXFrameOptions), []byte("DENY")},
	{[]byte(fiber.HeaderContentSecurityPolicy), []byte("default-src 'none'; frame-ancestors 'none'; base-uri 'none'")},
	{[]byte("Cross-Origin-Resource-Policy"), []byte("same-origin")},
}

func setHeaders(c *fiber.Ctx, o Options) {
	for _, header := range always {
		c.Response().Header.SetCanonical(header[0], header[1])
	}
	if strings.HasPrefix(o.PublicURL, "https:") {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=63072000")
	}
}

// rescue turns a panic into a 500: Fiber and Huma would let it end the process.
func rescue(log *slog.Logger) fiber.Handler {
	return func(c *fiber.Ctx) (err error) {
		defer func() {
			if r := recover(); r != nil {
				// The value may hold anything, so only its type is logged.
				log.Error("a handler panicked", "request_id", RequestID(c), "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
				err = fmt.Errorf("a handler panicked: %T", r)
			}
		}()
		return c.Next()
	}
}

// request is what a handler's context knows of the request.
type request struct {
	lang, id string
	log      *slog.Logger
}

type requestKey struct{}

// deadline bounds everything that a request waits for.
func deadline(log *slog.Logger) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.UserContext(), requestDeadline)
		defer cancel()
		about := request{lang: languageOf(c.Get(fiber.HeaderAcceptLanguage)), id: RequestID(c), log: log}
		c.SetUserContext(models.WithNetwork(context.WithValue(ctx, requestKey{}, about), auditNetwork(c)))
		return c.Next()
	}
}

// cors answers the extension's origins and no others.
func cors(o Options) fiber.Handler {
	allowed := extensionOrigins(o.ExtensionIDs)
	return func(c *fiber.Ctx) error {
		if !setCORS(c, allowed) || c.Method() != fiber.MethodOptions {
			return c.Next()
		}
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, PATCH, DELETE")
		c.Set(fiber.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, Idempotency-Key, Accept-Language")
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
		return c.SendStatus(fiber.StatusNoContent)
	}
}

func setCORS(c *fiber.Ctx, allowed map[string]bool) bool {
	origin := c.Get(fiber.HeaderOrigin)
	if !allowed[origin] {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Vary(fiber.HeaderOrigin)
	c.Set("Cross-Origin-Resource-Policy", "cross-origin")
	c.Set(fiber.HeaderAccessControlExposeHeaders, "X-Request-Id, Idempotency-Replayed, Retry-After")
	return true
}

func extensionOrigins(ids []string) map[string]bool {
	origins := map[string]bool{}
	for _, id := range ids {
		origins["chrome-extension://"+id] = true
	}
	return origins
}

// OwnOrigin refuses a request whose Origin, where there is one, is neither ours
// nor the extension's. A WebSocket is not held to CORS by the browser.
func OwnOrigin(publicURL string, extensionIDs []string) func(origin string) bool {
	allowed := extensionOrigins(extensionIDs)
	if u, err := url.Parse(publicURL); err == nil {
		allowed[u.Scheme+"://"+u.Host] = true
	}
	return func(origin string) bool { return origin == "" || allowed[origin] }
}

var languages = []language.Tag{language.English, language.Dutch, language.German}
var matcher = language.NewMatcher(languages)

func languageOf(header string) string {
	if header == "" || len(header) > 200 {
		return "en"
	}
	_, i := language.MatchStrings(matcher, header)
	return []string{"en", "nl", "de"}[i]
}

// Language is en, nl or de: what the request asked for.
func Language(ctx context.Context) string {
	if about, ok := ctx.Value(requestKey{}).(request); ok {
		return about.lang
	}
	return "en"
}
