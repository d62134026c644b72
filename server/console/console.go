// Package console is the pages for people: signing in, one's own sign-ins and
// data, the people and the history of a company for its admin, finding and revoking for support, and the
// pages of the authorization server. They are made on the server and need no
// script. A handler asks package auth, which checks roles and tenants by itself.
package console

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/register"
	"clicktodial/server/retention"
	"clicktodial/server/web"
)

// Console is what the pages need.
type Console struct {
	Auth    *auth.Service
	Calls   *call.Service
	Company *call.Company
	Privacy *retention.Privacy
	Chooser *retention.Chooser
	Notice  register.Settings // what the privacy notice says of this installation
	Now     func() time.Time
	Log     *slog.Logger
}

// pagePolicy: no script, no frame, nothing from elsewhere. data: is for QR codes.
// form-action also holds for where a form's answer leads (Chrome): consent leads
// to /oauth/done of the same origin.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// access says who may open a page. Every page but those for anyone has a session.
type access struct {
	stages []models.Stage // none: anyone
	role   models.Role    // "": any
	member bool           // of a company: support is of none
}

var (
	anyone    = access{}
	leaving   = access{stages: []models.Stage{models.StageExport}}
	finishing = access{stages: []models.Stage{models.StageFactor, models.StageEnrol, models.StageFull}}
	inside    = access{stages: []models.Stage{models.StageFull}}
	member    = access{stages: inside.stages, member: true}
	admin     = access{stages: inside.stages, role: models.RoleAdmin}
	support   = access{stages: inside.stages, role: models.RoleSupport}
)

// Register adds the pages. Where "/" leads somewhere already, that stays.
func (k *Console) Register(app *fiber.App) {
	for _, prefix := range []string{"/console", "/privacy", "/oauth/authorize", "/oauth/done"} {
		app.Use(prefix, setPolicy, web.Pages(k.Log, k.problem), web.SameOrigin)
	}
	app.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/console", fiber.StatusSeeOther) })
	app.Get("/console/static/console.css", sendStylesheet)
	app.Get("/privacy", k.open(anyone, (*visit).privacyPage))
	k.registerSigningIn(app)
	k.registerMine(app)
	k.registerAdmin(app)
	k.registerSupport(app)
}

func setPolicy(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
	return c.Next()
}

func (k *Console) registerSigningIn(app *fiber.App) {
	app.Get("/console", k.open(inside, (*visit).home))
	app.Get("/console/sign-in", k.open(anyone, (*visit).signInPage))
	app.Post("/console/sign-in", k.open(anyone, (*visit).signIn))
	app.Post("/console/sign-out", k.open(anyone, (*visit).signOut))
	app.Get("/console/factor", k.open(finishing, (*visit).factorPage))
	app.Post("/console/factor", k.open(finishing, (*visit).passFactor))
	app.Get("/console/factor/new", k.open(finishing, (*visit).enrolPage))
	app.Post("/console/factor/new", k.open(finishing, (*visit).enrol))
	app.Get("/console/link", k.open(anyone, (*visit).linkPage))
	app.Post("/console/link", k.open(anyone, (*visit).useLink))
	app.Get("/console/farewell", k.open(leaving, (*visit).farewellPage))
	app.Post("/console/farewell/export", k.open(leaving, (*visit).exportEverything))
	app.Get("/oauth/authorize", k.open(anyone, (*visit).consentPage))
	app.Post("/oauth/authorize", k.open(anyone, (*visit).consent))
	app.Get("/oauth/done", k.open(anyone, (*visit).donePage))
}

func (k *Console) registerMine(app *fiber.App) {
	app.Get("/console/sign-ins", k.open(inside, (*visit).minePage))
	app.Post("/console/sign-ins/revoke", k.open(inside, (*visit).revokeMine))
	app.Post("/console/sign-ins/:signIn/revoke", k.open(inside, (*visit).revokeMine))
	app.Post("/console/browsers/:browser/close", k.open(inside, (*visit).closeBrowser))
	app.Post("/console/pair", k.open(inside, (*visit).pairMyself))
	app.Get("/console/password", k.open(inside, (*visit).passwordPage))
	app.Post("/console/password", k.open(inside, (*visit).changePassword))
	app.Post("/console/factor/codes", k.open(inside, (*visit).newCodes))
	app.Post("/console/factor/remove", k.open(inside, (*visit).removeFactor))
	app.Get(myDataPath, k.open(member, (*visit).myDataPage))
	app.Post(myDataPath+"/export", k.open(member, (*visit).exportMyData))
	app.Post(myDataPath+"/requests", k.open(member, (*visit).fileMyRequest))
	app.Post(myDataPath+"/clear", k.open(member, (*visit).clearMyHistory))
}

func (k *Console) registerAdmin(app *fiber.App) {
	app.Get(historyPath, k.open(admin, (*visit).historyPage))
	app.Post(historyPath, k.open(admin, (*visit).search))
	app.Post(historyPath+"/export", k.open(admin, (*visit).exportHistory))
	app.Get(historyPath+"/:search", k.open(admin, (*visit).foundHistory))
	app.Get(historyPath+"/calls/:call", k.open(admin, (*visit).callPage))
	app.Get(retentionPath, k.open(admin, (*visit).retentionPage))
	app.Post(retentionPath, k.open(admin, (*visit).changeRetention))
	app.Post(retentionPath+"/preview", k.open(admin, (*visit).previewRetention))
	app.Post(retentionPath+"/settings", k.open(admin, (*visit).changeSettings))
	app.Get(requestsPath, k.open(admin, (*visit).requestsPage))
	app.Post(requestsPath+"/find", k.open(admin, (*visit).findSubject))
	app.Post(requestsPath+"/:request/refuse", k.open(admin, (*visit).refuseRequest))
	app.Get(requestsPath+"/subject/:search", k.open(admin, (*visit).subjectPage))
	app.Post(requestsPath+"/subject/:search/:act", k.open(admin, (*visit).actOnSubject))
	app.Get(requestsPath+"/receipt/:search", k.open(admin, (*visit).receiptPage))
	app.Get(statsPath, k.open(admin, (*visit).statsPage))
	app.Get(auditPath, k.open(admin, (*visit).auditPage))
	app.Post(auditPath, k.open(admin, (*visit).narrowAudit))
	app.Get("/console/people", k.open(admin, (*visit).peoplePage))
	app.Post("/console/people", k.open(admin, (*visit).addPerson))
	app.Get("/console/people/:user", k.open(admin, (*visit).personPage))
	app.Post("/console/people/:user/sign-ins/revoke", k.open(admin, (*visit).revokeOfPerson))
	app.Post("/console/people/:user/sign-ins/:signIn/revoke", k.open(admin, (*visit).revokeOfPerson))
	app.Post("/console/people/:user/phones", k.open(admin, (*visit).addPhone))
	app.Post("/console/people/:user/phones/:phone/remove", k.open(admin, (*visit).removePhone))
	app.Post("/console/people/:user/link", k.open(admin, (*visit).newLink))
	app.Post("/console/people/:user/pair", k.open(admin, (*visit).pairPerson))
	app.Post("/console/people/:user/disable", k.open(admin, (*visit).disable))
	app.Post("/console/people/:user/enable", k.open(admin, (*visit).enable))
	app.Post("/console/people/:user/correct", k.open(admin, (*visit).correctPerson))
	app.Post("/console/people/:user/delete", k.open(admin, (*visit).deletePerson))
	app.Post("/console/people/:user/factor/reset", k.open(admin, (*visit).resetFactor))
	app.Post("/console/company/factor", k.open(admin, (*visit).requireFactor))
	app.Get("/console/company/revoke", k.open(admin, (*visit).companyPage))
	app.Post("/console/company/revoke", k.open(admin, (*visit).revokeCompany))
}

func (k *Console) registerSupport(app *fiber.App) {
	app.Get("/console/support", k.open(support, (*visit).supportPage))
	app.Post("/console/support", k.open(support, (*visit).find))
	app.Get("/console/support/users/:user", k.open(support, (*visit).foundPage))
	app.Post("/console/support/users/:user/sign-ins/revoke", k.open(support, (*visit).revokeFound))
	app.Post("/console/support/users/:user/sign-ins/:signIn/revoke", k.open(support, (*visit).revokeFound))
}
