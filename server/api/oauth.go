package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

const grantPairing = "urn:clicktodial:pairing-code"

// A network that fails this often in a minute waits. A pairing code has 38 bits and
// five minutes: 500 guesses; and a whole company can sit behind one address.
const failuresPerMinute = 100

// tokenAnswer is RFC 6749 5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
}

// tokenError is RFC 6749 5.2, with our code for clients that know it.
type tokenError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Code        string `json:"code,omitempty"`
}

// token is POST /oauth/token: a form, and nothing but a form.
func (a *API) token(c *fiber.Ctx) error {
	form, bad := readForm(c)
	if bad != "" {
		return a.tokenFault(c, http.StatusBadRequest, "invalid_request", fault.New(fault.Malformed, "invalid-request", bad))
	}
	blocked, err := a.blocked(c, false)
	if err == nil && blocked {
		f := fault.New(fault.TooMany, "pace-exceeded", "Too many failed attempts. Wait a minute.")
		c.Set(fiber.HeaderRetryAfter, "60")
		return a.tokenFault(c, http.StatusTooManyRequests, "temporarily_unavailable", f)
	}
	var tokens auth.Tokens
	if missing(form) {
		return a.tokenFault(c, http.StatusBadRequest, "invalid_request", nil)
	}
	switch form["grant_type"] {
	case grantPairing:
		tokens, err = a.Auth.Redeem(c.UserContext(), form["code"], form["client_id"], form["device_name"])
	case "refresh_token":
		tokens, err = a.Auth.Refresh(c.UserContext(), form["refresh_token"], form["client_id"])
	default:
		return a.tokenFault(c, http.StatusBadRequest, "unsupported_grant_type", nil)
	}
	if err != nil {
		return a.tokenRefused(c, err)
	}
	c.Set("Pragma", "no-cache")
	return c.JSON(tokenAnswer{
		AccessToken: tokens.Access, RefreshToken: tokens.Refresh, TokenType: "Bearer",
		ExpiresIn: int(tokens.ExpiresIn.Seconds()), Scope: auth.AllScopes,
	})
}

// missing says whether a parameter that the grant type needs is not there.
func missing(form map[string]string) bool {
	needs := map[string][]string{"": {"grant_type"}, grantPairing: {"code", "client_id", "device_name"}, "refresh_token": {"refresh_token", "client_id"}}
	for _, name := range needs[form["grant_type"]] {
		if form[name] == "" {
			return true
		}
	}
	return false
}

// revoke is POST /oauth/revoke (RFC 7009): the answer is the same for every token,
// known or not.
func (a *API) revoke(c *fiber.Ctx) error {
	form, bad := readForm(c)
	if bad != "" || form["token"] == "" {
		return a.tokenFault(c, http.StatusBadRequest, "invalid_request", nil)
	}
	if err := a.Auth.SignOut(c.UserContext(), form["token"]); err != nil {
		return err
	}
	return c.SendStatus(http.StatusOK)
}

// readForm reads a form whose parameters come once each (RFC 6749 3.2).
func readForm(c *fiber.Ctx) (form map[string]string, bad string) {
	kind, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	if strings.TrimSpace(kind) != fiber.MIMEApplicationForm || len(c.Queries()) > 0 {
		return nil, "The request is a form in the body."
	}
	form = map[string]string{}
	c.Request().PostArgs().VisitAll(func(key, value []byte) {
		if _, twice := form[string(key)]; twice {
			bad = "A parameter comes twice."
		}
		form[string(key)] = string(value)
	})
	return form, bad
}

func (a *API) tokenRefused(c *fiber.Ctx, err error) error {
	f, ok := fault.Of(err)
	switch {
	case !ok || f.Kind == fault.Internal || f.Kind == fault.Unavailable:
		return err
	case f.Code == "client-unknown":
		return a.tokenFault(c, http.StatusBadRequest, "invalid_client", f)
	case f.Kind == fault.Malformed:
		return a.tokenFault(c, http.StatusBadRequest, "invalid_request", f)
	}
	if _, err := a.blocked(c, true); err != nil {
		a.Log.Debug("a failure was not counted", "error", err)
	}
	return a.tokenFault(c, http.StatusBadRequest, "invalid_grant", f)
}

func (a *API) tokenFault(c *fiber.Ctx, status int, code string, f *fault.Error) error {
	body := tokenError{Error: code}
	if f != nil {
		body.Code = f.Code
		body.Description = web.Sentence(f.Code, web.Language(c.UserContext()), f.Detail)
	}
	return c.Status(status).JSON(body)
}

// blocked counts failures of a network, and says whether there were too many. The
// address goes no further than an HMAC under a key of the day.
func (a *API) blocked(c *fiber.Ctx, failed bool) (bool, error) {
	m := hmac.New(sha256.New, a.Auth.Keys.Daily(a.Now().UTC().Format(time.DateOnly)))
	m.Write([]byte(web.Network(c).String()))
	name := "pair:" + hex.EncodeToString(m.Sum(nil)[:16])
	var add int64
	if failed {
		add = 1
	}
	n, err := a.Limits.Count(c.UserContext(), name, time.Minute, add)
	return n >= failuresPerMinute, err
}
