package api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// tokenAnswer is RFC 6749 5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
}

// tokenError is RFC 6749 5.2, with our code for clients that know it, and how a
// sign-in was ended for the one who held it.
type tokenError struct {
	Error       string    `json:"error"`
	Description string    `json:"error_description,omitempty"`
	Code        string    `json:"code,omitempty"`
	Revoked     *auth.End `json:"revoked,omitempty"`
}

// registerOAuth adds the endpoints that clients call; those that people see are
// package console's.
func (a *API) registerOAuth(app *fiber.App) {
	app.Get("/.well-known/oauth-authorization-server", func(c *fiber.Ctx) error { return c.JSON(a.Auth.Metadata()) })
	app.Post("/oauth/token", a.token)
	app.Post("/oauth/revoke", a.revoke)
	app.Post("/oauth/introspect", a.introspect)
}

// token is POST /oauth/token: a form, and nothing but a form.
func (a *API) token(c *fiber.Ctx) error {
	form, err := readForm(c)
	if err != nil {
		return a.tokenRefused(c, err)
	}
	tokens, err := a.Auth.Exchange(c.UserContext(), form, web.Network(c))
	if err != nil {
		return a.tokenRefused(c, err)
	}
	c.Set("Pragma", "no-cache")
	return c.JSON(tokenAnswer{
		AccessToken: tokens.Access, RefreshToken: tokens.Refresh, TokenType: "Bearer",
		ExpiresIn: int(tokens.ExpiresIn.Seconds()), Scope: tokens.Scope,
	})
}

// revoke is POST /oauth/revoke (RFC 7009): the answer is the same for every token,
// known or not.
func (a *API) revoke(c *fiber.Ctx) error {
	form, err := readForm(c)
	if err == nil && form.Get("token") == "" {
		err = &auth.OAuthError{Code: "invalid_request"}
	}
	if err == nil {
		err = a.Auth.SignOut(c.UserContext(), form.Get("token"), form.Get("client_id"))
	}
	if err != nil {
		return a.tokenRefused(c, err)
	}
	return c.SendStatus(http.StatusOK)
}

// introspect is POST /oauth/introspect (RFC 7662): for internal services, which
// show their secret by HTTP Basic.
func (a *API) introspect(c *fiber.Ctx) error {
	form, err := readForm(c)
	if err == nil && form.Get("token") == "" {
		err = &auth.OAuthError{Code: "invalid_request"}
	}
	if err != nil {
		return a.tokenRefused(c, err)
	}
	id, secret := basicAuth(c.Get(fiber.HeaderAuthorization))
	in, err := a.Auth.Introspect(c.UserContext(), id, secret, form.Get("token"), web.Network(c))
	if err != nil {
		return a.tokenRefused(c, err)
	}
	return c.JSON(in)
}

// basicAuth reads RFC 6749 2.3.1: both parts are form-encoded.
func basicAuth(header string) (id, secret string) {
	kind, packed, _ := strings.Cut(header, " ")
	if !strings.EqualFold(kind, "Basic") {
		return "", ""
	}
	plain, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return "", ""
	}
	id, secret, _ = strings.Cut(string(plain), ":")
	if id, err = url.QueryUnescape(id); err != nil {
		return "", ""
	}
	if secret, err = url.QueryUnescape(secret); err != nil {
		return "", ""
	}
	return id, secret
}

var (
	errForm  = &auth.OAuthError{Code: "invalid_request", Fault: fault.New(fault.Malformed, "invalid-request", "The request is a form in the body.")}
	errTwice = &auth.OAuthError{Code: "invalid_request", Fault: fault.New(fault.Malformed, "invalid-request", "A parameter comes twice.")}
)

// readForm reads a form whose parameters come once each (RFC 6749 3.2).
func readForm(c *fiber.Ctx) (url.Values, error) {
	kind, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationForm) || len(c.Queries()) > 0 || c.Get(fiber.HeaderContentEncoding) != "" {
		return nil, errForm
	}
	form, err := url.ParseQuery(string(c.Request().Body()))
	if err != nil {
		return nil, errForm
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, errTwice
		}
	}
	return form, nil
}

// tokenRefused answers as RFC 6749 5.2 says; what is our own fault is a problem.
func (a *API) tokenRefused(c *fiber.Ctx, err error) error {
	if f, ok := fault.Of(err); ok && f.Code == "client-unknown" {
		err = &auth.OAuthError{Code: "invalid_client", Fault: f}
	}
	var refused *auth.OAuthError
	if !errors.As(err, &refused) {
		return err
	}
	body := tokenError{Error: refused.Code, Revoked: refused.End}
	status := http.StatusBadRequest
	if f := refused.Fault; f != nil {
		body.Code = f.Code
		body.Description = web.Sentence(f.Code, web.Language(c.UserContext()), f.Detail)
		switch f.Kind {
		case fault.TooMany:
			status = http.StatusTooManyRequests
			c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(f.RetryAfter.Seconds())))
		case fault.Unauthorized:
			status = http.StatusUnauthorized
			c.Set(fiber.HeaderWWWAuthenticate, "Basic")
		}
	}
	return c.Status(status).JSON(body)
}
