package console

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// visit is one request for a page.
type visit struct {
	*Console
	c       *fiber.Ctx
	session auth.Session // zero on pages for anyone
	lang    string
	carry   bool     // the language was chosen, and goes along in every URL
	form    web.Form // of a POST
	failure *failure
}

var sessionCookie = web.HostCookie{Name: "__Host-ctd", SameSite: fiber.CookieSameSiteStrictMode}

var (
	errNotFound     = fault.New(fault.NotFound, "not-found", "There is nothing here.")
	errUnauthorized = fault.New(fault.Unauthorized, "unauthorized", "Please sign in again.")
)

// open makes a page's handler: it lets in whom the access allows.
func (k *Console) open(a access, page func(*visit) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v := k.visit(c)
		if len(a.stages) > 0 {
			signedIn, err := v.load()
			switch {
			case err != nil:
				return err
			case !signedIn:
				return v.toSignIn()
			case !slices.Contains(a.stages, v.session.Stage):
				return v.toFinish()
			case a.role != "" && v.session.Role != a.role, a.member && v.session.TenantID == uuid.Nil: // a page that is not for this role is not there
				return errNotFound
			}
		}
		if c.Method() == fiber.MethodPost {
			var err error
			if v.form, err = web.ReadForm(c); err != nil {
				return err
			}
		}
		return page(v)
	}
}

func (k *Console) visit(c *fiber.Ctx) *visit {
	v := &visit{Console: k, c: c}
	v.lang, v.carry = languageOf(c)
	return v
}

// languageOf is what was chosen on a page or by the client (ui_locales of OpenID
// Connect Core 3.1.2.1), or else what the browser asks for.
func languageOf(c *fiber.Ctx) (lang string, chosen bool) {
	asked := []string{c.Query("lang")}
	if c.Path() == "/oauth/authorize" {
		asked = append(asked, strings.Fields(c.Query("ui_locales"))...)
	}
	for _, tag := range asked {
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if slices.Contains(languages, tag) {
			return tag, true
		}
	}
	return web.Language(c.UserContext()), false
}

// load finds the session of the cookie; without one it is (false, nil).
func (v *visit) load() (bool, error) {
	cookie := sessionCookie.Get(v.c)
	if cookie == "" {
		return false, nil
	}
	s, err := v.Auth.FindSession(v.c.UserContext(), cookie)
	if f, ok := fault.Of(err); ok && f.Kind == fault.Unauthorized {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v.session = s
	return true, nil
}

// toSignIn leads to the sign-in page and from there back. Who comes from another
// site brings no cookie, because it is SameSite=Strict: such a visit begins again,
// as one of our own.
func (v *visit) toSignIn() error {
	switch {
	case v.c.Method() != fiber.MethodGet && v.c.Method() != fiber.MethodHead:
		return errUnauthorized
	case sessionCookie.Get(v.c) == "" && v.c.Get("Sec-Fetch-Site") == "cross-site":
		return v.render("again", safeNext(v.c.OriginalURL()))
	}
	return v.redirect(withNext("/console/sign-in", safeNext(v.c.OriginalURL())), "")
}

// toFinish leads to what is still missing of signing in.
func (v *visit) toFinish() error {
	if v.c.Method() != fiber.MethodGet && v.c.Method() != fiber.MethodHead {
		return errUnauthorized
	}
	if v.session.Stage == models.StageFull { // there is nothing to finish
		return v.redirect(home, "")
	}
	return v.afterwards(v.session, safeNext(v.c.OriginalURL()))
}

// begin gives the browser its session and leads it on.
func (v *visit) begin(o auth.Opened, next string) error {
	sessionCookie.Set(v.c, o.Cookie)
	return v.afterwards(o.Session, next)
}

func (v *visit) afterwards(s auth.Session, next string) error {
	switch s.Stage {
	case models.StageFactor:
		return v.redirect(withNext("/console/factor", next), "")
	case models.StageEnrol:
		return v.redirect(withNext("/console/factor/new", next), "")
	case models.StageFull:
		return v.redirect(next, "")
	case models.StageExport:
		return v.redirect(farewell, "")
	}
	return errUnauthorized
}

// next is where the person wants to go after signing in.
func (v *visit) next() string { return safeNext(v.c.Query("next")) }

// redirect leads to a page of ours; done names what to say there.
func (v *visit) redirect(path, done string) error {
	if done != "" {
		path = withQuery(path, "done", done)
	}
	if v.carry {
		path = withQuery(path, "lang", v.lang)
	}
	return v.c.Redirect(path, fiber.StatusSeeOther)
}

// id reads an id of the path.
func (v *visit) id(name string) (uuid.UUID, error) {
	text := v.c.Params(name)
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text || id == uuid.Nil { // uuid.Parse takes other spellings too
		return uuid.Nil, errNotFound
	}
	return id, nil
}

// visitor is what package auth may know of the browser.
func (v *visit) visitor() auth.Visitor {
	return auth.Visitor{Network: web.Network(v.c), Browser: browserName(v.c.Get(fiber.HeaderUserAgent))}
}

func withQuery(path, name, value string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}
