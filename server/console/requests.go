package console

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

const (
	requestsPath = "/console/privacy-requests"
	requestRows  = 50
	openRows     = 200
)

// requestsData is what people have asked of the company, and the receipts.
type requestsData struct {
	Open   []requestRow // what is due first stands first
	Closed []requestRow // newest first
	More   bool         // there are more open ones
	Next   string
	Rest   bool
	Lists  retention.Lists
	People []auth.Person
}

// requestRow is a request with its clock.
type requestRow struct {
	retention.Receipt
	ActKey string
	Days   int // until it is due; negative: overdue
	Late   bool
	Who    string // asked it, where that is to be shown
}

func (v *visit) requestsPage() error {
	ctx, by := v.c.UserContext(), v.session.Actor()
	var d requestsData
	var err error
	if d.People, err = v.choosable(); err != nil {
		return err
	}
	if d.Lists, err = v.Privacy.Lists(ctx, by); err != nil {
		return err
	}
	open, more, err := v.Privacy.Requests(ctx, by, true, retention.Place{}, openRows)
	if err != nil {
		return err
	}
	slices.SortStableFunc(open, func(a, b retention.Receipt) int { return a.DueAt.Compare(b.DueAt) })
	d.More = more
	for _, r := range open {
		row := v.requestRow(r)
		row.Who = v.asker(r, d.People)
		d.Open = append(d.Open, row)
	}
	page, err := call.ReadCursor(v.c.Query("after"))
	if err != nil {
		return errNotFound
	}
	all, more, err := v.Privacy.Requests(ctx, by, false, retention.Place{At: page.At, ID: page.ID}, requestRows)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.DoneAt != nil || d.More {
			d.Closed = append(d.Closed, v.requestRow(r))
		}
	}
	d.Rest = !page.At.IsZero()
	if more {
		last := all[len(all)-1].Place()
		d.Next = call.WriteCursor(last.At, last.ID)
	}
	return v.render("privacy-requests", d)
}

func (v *visit) requestRow(r retention.Receipt) requestRow {
	now := v.Now()
	return requestRow{Receipt: r, ActKey: actWords[r.Act], Late: r.Late(now), Days: int(r.DueAt.Sub(now) / models.Day)}
}

// asker says whose open request it is, as far as they are among the people.
func (v *visit) asker(r retention.Receipt, people []auth.Person) string {
	if r.Subject == models.SubjectNumber {
		return say(v.lang, "by-letter")
	}
	for _, person := range people {
		if person.ID == r.User {
			return nameOr(person.Name, person.Email)
		}
	}
	return say(v.lang, "role-user")
}

var actWords = map[models.PrivacyAct]string{
	models.ActAccess: "act-access", models.ActCorrection: "act-correction", models.ActErasure: "act-erasure", models.ActRestriction: "act-restriction",
	models.ActRestrictionLifted: "act-restriction-lifted", models.ActObjection: "act-objection", models.ActObjectionLifted: "act-objection-lifted",
	models.ActDeparture: "act-departure",
}

// findSubject keeps whom a request is about, sealed, and leads to what is held of them.
func (v *visit) findSubject() error {
	by := v.session.Actor()
	var user uuid.UUID
	if text := v.form["user"]; text != "" {
		id, err := uuid.Parse(text)
		if err != nil || id.String() != text {
			return errNotFound
		}
		user = id
	}
	number := v.form["number"]
	if (number == "") == (user == uuid.Nil) {
		return v.again("find", errWhom, (*visit).requestsPage)
	}
	s, err := v.Privacy.Read(v.c.UserContext(), by, number, user)
	if err != nil {
		return v.again("find", err, (*visit).requestsPage)
	}
	if user != uuid.Nil { // of this company, or there is nobody
		if _, err := v.Auth.Person(v.c.UserContext(), by, user); err != nil {
			return err
		}
	}
	return v.lead(s, "")
}

var errWhom = fault.New(fault.Refused, "subject-invalid", "Say either a number or a person.")

func (v *visit) refuseRequest() error {
	id, err := v.id("request")
	if err != nil {
		return err
	}
	if _, err := v.Privacy.Refuse(v.c.UserContext(), v.session.Actor(), id); err != nil {
		return v.again("open", err, (*visit).requestsPage)
	}
	return v.redirect(requestsPath, "request-refused")
}

// ---- what the templates ask

// Due says how long there is until a request is due.
func (p *page) Due(r requestRow) string {
	switch {
	case r.Late:
		return p.T("due-late", p.Day(r.DueAt))
	case r.Days == 0:
		return p.T("due-today")
	case r.Days == 1:
		return p.T("due-tomorrow")
	}
	return p.T("due-in", strconv.Itoa(r.Days), p.Day(r.DueAt))
}

// AfterRequests gives the URL of the list's next page.
func (p *page) AfterRequests(next string) string { return withQuery(requestsPath, "after", next) }

// readReceived is the day of a letter; zero when none was typed.
func (v *visit) readReceived() (time.Time, error) { return readDay(v.form["received"]) }
