package console

import (
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
)

const (
	auditPath = "/console/audit"
	auditRows = 50
)

// auditAsked is what the audit is narrowed by, as it stands in a URL: ids, days and
// words of ours.
type auditAsked struct {
	From, To string // days, UTC
	User     string // who acted: an id
	Action   string
}

// auditData is who did what to the company's people and their data.
type auditData struct {
	Asked  auditAsked
	Actor  auth.Person // of whom it is asked; zero: of everybody
	Rows   []auditRow
	Next   string // the cursor of the next page; "": this is the last
	Rest   bool   // this is not the first
	People []auth.Person
}

// auditRow is an entry in words.
type auditRow struct {
	At      time.Time
	Text    string
	About   string // somebody else than who acted; "": nobody
	Reason  string
	Network string
}

func (v *visit) auditPage() error {
	d := auditData{Asked: auditAsked{From: v.c.Query("from"), To: v.c.Query("to"), User: v.c.Query("user"), Action: v.c.Query("action")}}
	var err error
	if d.People, err = v.choosable(); err != nil {
		return err
	}
	if v.failure != nil { // the form once more
		return v.render("audit", d)
	}
	search, err := v.readAudit(d.Asked)
	if err != nil {
		return errNotFound // nothing of ours leads here
	}
	page, err := call.ReadCursor(v.c.Query("after"))
	if err != nil {
		return errNotFound
	}
	if search.ActorID != uuid.Nil {
		if d.Actor, err = v.Auth.Person(v.c.UserContext(), v.session.Actor(), search.ActorID); err != nil {
			return err
		}
	}
	page.Limit = auditRows
	entries, more, err := v.Auth.AuditEntries(v.c.UserContext(), v.session.Actor(), page, search)
	if err != nil {
		return err
	}
	for _, e := range entries {
		d.Rows = append(d.Rows, auditRowOf(v.lang, e))
	}
	d.Rest = !page.At.IsZero()
	if more {
		last := entries[len(entries)-1]
		d.Next = call.WriteCursor(last.At, last.ID)
	}
	return v.render("audit", d)
}

// narrowAudit leads to what was asked for.
func (v *visit) narrowAudit() error {
	a := auditAsked{From: v.form["from"], To: v.form["to"], User: v.form["user"], Action: v.form["action"]}
	search, err := v.readAudit(a)
	if err != nil {
		return v.again("audit", err, (*visit).auditPage)
	}
	known, err := v.Company.Read(v.c.UserContext(), v.session.Actor(), call.Asked{UserID: search.ActorID, Email: v.form["email"], From: search.From, To: search.To})
	if err != nil {
		return v.again("audit", err, (*visit).auditPage)
	}
	if known.UserID != uuid.Nil {
		a.User = known.UserID.String()
	}
	return v.redirect(a.path(), "")
}

func (v *visit) readAudit(a auditAsked) (search auth.AuditSearch, err error) {
	if a.User != "" {
		if search.ActorID, err = uuid.Parse(a.User); err != nil || search.ActorID.String() != a.User || search.ActorID == uuid.Nil {
			return search, errNotFound
		}
	}
	if search.Action = a.Action; a.Action != "" && !slices.Contains(auditActions, a.Action) {
		return search, errNotFound
	}
	search.From, search.To, err = readDays(a.From, a.To)
	return search, err
}

// path is the page's, narrowed.
func (a auditAsked) path() string {
	query := url.Values{}
	for name, value := range map[string]string{"from": a.From, "to": a.To, "user": a.User, "action": a.Action} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return auditPath
	}
	return auditPath + "?" + query.Encode()
}

// auditActions are the acts that are written down, in the order of the choices. The
// sentence of one is the text "audited-" and its name.
var auditActions = []string{
	"sign-in", "sign-out", "sign-in-revoke", "token-reuse", "code-reuse", "pairing-code-create",
	"console-sign-in", "console-sign-out", "sign-in-failure", "password-link-create", "password-link-use", "password-set", "password-change",
	"second-factor-pass", "second-factor-failure", "second-factor-set", "second-factor-remove", "second-factor-reset", "second-factor-require", "second-factor-leave",
	"recovery-codes-create", "recovery-code-use",
	"user-create", "user-change", "user-disable", "user-enable", "user-delete", "device-add", "device-remove",
	"support-search", "support-look", "support-look-calls", "support-look-refusals", "reveal",
	"export", "subject-find", "subject-correct", "subject-erase", "subject-restrict", "subject-restrict-lift", "subject-object", "subject-object-lift",
	"privacy-request-file", "privacy-request-refuse", "settings-change",
	"tenant-create", "tenant-set", "tenant-end", "export-link-create", "export-link-use",
	"client-create", "client-remove", "restore-check", "ledger-adopt",
}

func auditKey(action string) string { return "audited-" + action }

func auditRowOf(lang string, e auth.AuditEntry) auditRow {
	row := auditRow{At: e.At, Text: say(lang, "audited-other", actorText(lang, e), e.Action), Reason: reasonText(lang, e.Reason)}
	if slices.Contains(auditActions, e.Action) {
		row.Text = say(lang, auditKey(e.Action), actorText(lang, e))
	}
	if e.Network != nil {
		row.Network = *e.Network
	}
	if key := actWords[models.PrivacyAct(e.Reason)]; key != "" && e.Action == "privacy-request-file" {
		row.Reason = say(lang, key)
	}
	switch {
	case e.SubjectKind == string(models.SubjectNumber):
		row.About = say(lang, "by-letter")
	case e.UserID != nil && (e.ActorID == nil || *e.UserID != *e.ActorID):
		row.About = personText(lang, e.UserName, e.UserEmail, e.UserLeft)
	}
	return row
}

// actorText says who acted.
func actorText(lang string, e auth.AuditEntry) string {
	if e.ActorID == nil && subjectWords[e.ActorKind] != "" {
		return say(lang, subjectWords[e.ActorKind])
	}
	return personText(lang, e.ActorName, e.ActorEmail, e.ActorLeft)
}

func personText(lang, name, email string, left *time.Time) string {
	if left != nil || name+email == "" {
		return say(lang, "former-user")
	}
	return nameOr(name, email)
}

// ---- what the template asks

// Actions are the choices of the filter.
func (p *page) Actions() []Reason {
	choices := make([]Reason, 0, len(auditActions))
	for _, action := range auditActions {
		choices = append(choices, Reason{Value: action, Key: p.T(auditKey(action), p.T("audit-somebody"))})
	}
	return choices
}

// AuditLink is where a page of what was asked for begins: after "" its first.
func (p *page) AuditLink(a auditAsked, after string) string {
	if after == "" {
		return p.Link(a.path())
	}
	return p.Link(withQuery(a.path(), "after", after))
}

// AuditInWords says what was asked for, each filter by itself.
func (p *page) AuditInWords(d auditData) (words []string) {
	if period := p.period(d.Asked.From, d.Asked.To); period != "" {
		words = append(words, period)
	}
	if d.Actor.ID != uuid.Nil {
		words = append(words, nameOr(d.Actor.Name, d.Actor.Email))
	}
	if d.Asked.Action != "" {
		words = append(words, p.T(auditKey(d.Asked.Action), p.T("audit-somebody")))
	}
	return words
}
