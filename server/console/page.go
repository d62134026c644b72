package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/web"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/console.css
var stylesheet []byte

// stylesheetURL changes with what it holds, so that a browser may keep it.
var stylesheetURL = "/console/static/console.css?v=" + hashOf(stylesheet)

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func sendStylesheet(c *fiber.Ctx) error {
	if c.Query("v") != "" {
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	c.Type("css", "utf-8")
	return c.Send(stylesheet)
}

// views is a template a page, each with the layout around it.
var views = mustParse()

func mustParse() map[string]*template.Template {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	all := map[string]*template.Template{}
	for _, name := range names {
		view := strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")
		if view == "layout" || view == "parts" || err != nil {
			continue
		}
		all[view], err = template.New(view).Option("missingkey=error").ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", name)
	}
	if err != nil {
		panic("templates: " + err.Error()) //nolint:forbidigo // a fault of the build, seen at every start
	}
	return all
}

// page is what a template is given.
type page struct {
	View    string
	Lang    string
	Session auth.Session // zero: nobody
	Done    string       // what was just done, of a closed set
	Data    any

	failure *failure
	path    string // of this page, with its query
	posted  bool
	carry   bool
	now     time.Time
}

// render answers with a page.
func (v *visit) render(view string, data any) error {
	p := page{
		View: view, Lang: v.lang, Session: v.session, Data: data, failure: v.failure, carry: v.carry, now: v.Now(),
		path: v.c.Path(), posted: v.c.Method() == fiber.MethodPost,
	}
	if query := v.c.Request().URI().QueryString(); len(query) > 0 {
		p.path += "?" + string(query)
	}
	if key := "done-" + v.c.Query("done"); texts[key] != nil && !p.posted {
		p.Done = say(p.Lang, key)
	}
	body, err := p.html()
	if err != nil {
		return err
	}
	v.c.Type("html", "utf-8")
	return v.c.Send(body)
}

func (p *page) html() ([]byte, error) {
	var out bytes.Buffer
	if err := views[p.View].ExecuteTemplate(&out, "layout", p); err != nil {
		return nil, fmt.Errorf("making the page %s: %w", p.View, err)
	}
	return out.Bytes(), nil
}

// problem is the page of an error; its status is set already.
func (k *Console) problem(c *fiber.Ctx, p *web.Problem) error {
	v := k.visit(c)
	return v.render("error", errorData{
		Sentence: sentence(v.lang, p.Code, p.Detail), RequestID: web.RequestID(c),
		SignIn: p.Code == errUnauthorized.Code,
	})
}

type errorData struct {
	Sentence  string
	RequestID string
	SignIn    bool
}

// ---- what templates ask of a page

// T gives a text.
func (p *page) T(key string, args ...string) string { return say(p.Lang, key, args...) }

// Link gives the URL of a page of ours, in the language that was chosen.
func (p *page) Link(path string) string {
	if !p.carry {
		return path
	}
	return withQuery(path, "lang", p.Lang)
}

// Next gives a URL that has where to go afterwards in it, when there is such a place.
func (p *page) Next(path, next string) string { return p.Link(withNext(path, next)) }

// Stylesheet is where it is.
func (p *page) Stylesheet() string { return stylesheetURL }

// choice is one of the languages in the footer.
type choice struct{ Code, Name, URL string }

// Languages are the choices. A page that answers a POST has none, because it cannot
// be opened again, nor has one whose URL holds what is not ours to repeat.
func (p *page) Languages() []choice {
	if p.posted || p.View == "done" || p.View == "error" {
		return nil
	}
	names := map[string]string{"en": "English", "nl": "Nederlands", "de": "Deutsch"}
	var all []choice
	for _, code := range languages {
		all = append(all, choice{Code: code, Name: names[code], URL: withQuery(p.path, "lang", code)})
	}
	return all
}

// When gives a time.
func (p *page) When(t time.Time) moment { return momentOf(p.Lang, t, p.now) }

// Day gives a day.
func (p *page) Day(t time.Time) string { return dayText(p.Lang, t) }

// Sentence gives the sentence of a fault's or diagnosis's code.
func (p *page) Sentence(code string) string { return web.Sentence(code, p.Lang, code) }

// SignedIn says whether there is somebody, who has shown all there is to show.
func (p *page) SignedIn() bool { return p.Session.Stage == models.StageFull }

// Alone says whether the page is a window of its own, without the console around it.
func (p *page) Alone() bool {
	return !p.SignedIn() || p.View == "authorize" || p.View == "error" || p.View == "privacy"
}

// Title is the key of the page's title. It names what the page is for and never
// whom it is about: titles are kept by the browser's history.
func (p *page) Title() string { return p.View + ".title" }

// ErrorShown says whether a form is shown again.
func (p *page) ErrorShown() bool { return p.failure != nil }

// place is an entry of the navigation.
type place struct {
	Path, Key string
	Here      bool
}

// Navigation is where the role has business.
func (p *page) Navigation() []place {
	all := []place{{Path: "/console/sign-ins", Key: "sign-ins-nav"}, {Path: "/console/factor", Key: "factor-state.title"}, {Path: "/console/password", Key: "password-nav"}}
	switch p.Session.Role {
	case models.RoleAdmin:
		all = slices.Insert(all, 0, place{Path: historyPath, Key: "history.title"}, place{Path: "/console/people", Key: "people.title"}, place{Path: retentionPath, Key: "retention.title"},
			place{Path: requestsPath, Key: "privacy-requests.title"}, place{Path: auditPath, Key: "audit.title"})
	case models.RoleSupport:
		all = slices.Insert(all, 0, place{Path: "/console/support", Key: "support-nav"})
	case models.RoleUser:
	}
	if p.Session.TenantID != uuid.Nil {
		all = slices.Insert(all, len(all)-2, place{Path: myDataPath, Key: "my-data.title"})
	}
	path, _, _ := strings.Cut(p.path, "?")
	for i := range all {
		all[i].Here = path == all[i].Path || strings.HasPrefix(path, all[i].Path+"/")
	}
	return all
}

// After gives the URL of the list's next page.
func (p *page) After(next string) string { return withQuery("/console/people", "after", next) }

// part is a page with what one part of it is about.
type part struct {
	*page
	Item any
}

// With gives a part of the page its item.
func (p *page) With(item any) part { return part{p, item} }
