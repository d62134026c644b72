package console

import (
	"errors"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
)

const authorizePath = "/oauth/authorize"

func isAuthorization(next string) bool { return strings.HasPrefix(next, authorizePath+"?") }

var errAuthorization = fault.New(fault.Malformed, "authorization-invalid", "The app asked to be connected in a way that is not understood. Nothing was connected.")

type consentData struct {
	Action     string // the same request
	DeviceName string
	Here       string // where to come back to
}

// authorization reads the request of RFC 6749 4.1.1. What may go back to the
// client does so, and done is true.
func (v *visit) authorization() (a auth.Authorization, done bool, err error) {
	query, err := url.ParseQuery(string(v.c.Request().URI().QueryString()))
	if err != nil {
		return a, false, errAuthorization
	}
	query.Del("lang") // ours
	a, err = v.Auth.ReadAuthorization(query)
	var refused *auth.AuthorizeError
	switch {
	case err == nil:
		return a, false, nil
	case errors.As(err, &refused) && refused.Redirect != "":
		return a, true, v.c.Redirect(refused.Redirect, fiber.StatusSeeOther)
	case errors.As(err, &refused):
		return a, false, errAuthorization
	}
	return a, false, err
}

func (v *visit) consentPage() error {
	a, done, err := v.authorization()
	if err != nil || done {
		return err
	}
	signedIn, err := v.load()
	if err != nil {
		return err
	}
	if !signedIn {
		return v.toSignIn()
	}
	if v.session.Stage != models.StageFull {
		return v.toFinish()
	}
	return v.askConsent(a)
}

func (v *visit) askConsent(a auth.Authorization) error {
	name := a.DeviceName
	if name == "" {
		name = browserName(v.c.Get(fiber.HeaderUserAgent))
	}
	here := authorizePath + "?" + string(v.c.Request().URI().QueryString())
	return v.render("authorize", consentData{Action: here, DeviceName: name, Here: safeNext(here)})
}

func (v *visit) consent() error {
	a, done, err := v.authorization()
	if err != nil || done {
		return err
	}
	signedIn, err := v.load()
	if err != nil {
		return err
	}
	if !signedIn || v.session.Stage != models.StageFull {
		return errUnauthorized
	}
	switch v.form["decision"] {
	case "allow":
	case "deny":
		return v.c.Redirect(v.Auth.Deny(a), fiber.StatusSeeOther)
	default:
		return fiber.ErrBadRequest
	}
	redirect, err := v.Auth.Allow(v.c.UserContext(), v.session, a, strings.TrimSpace(v.form["device_name"]))
	if err != nil {
		return v.again("authorize", err, func(v *visit) error { return v.askConsent(a) })
	}
	return v.c.Redirect(redirect, fiber.StatusSeeOther)
}

type doneData struct{ Refused bool }

// donePage is where the client finds its answer in the URL; the page shows nothing of it.
func (v *visit) donePage() error {
	return v.render("done", doneData{Refused: v.c.Query("error") != ""})
}
