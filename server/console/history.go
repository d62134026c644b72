package console

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/fault"
)

const (
	historyPath  = "/console/history"
	historyRows  = 50
	selectPeople = 200 // in a company of more, the person is typed
)

// asked is a search as it was typed. It is kept sealed: a URL holds its id only.
type asked struct {
	From, To string // days, UTC
	User     string // an id
	Email    string
	Outcome  string
	Number   string // or the last four digits of one
	Name     string
	Search   string `json:"-"` // its id, once it is kept
}

// historyData is the company's history, or what a search found in it.
type historyData struct {
	Asked  asked
	Rows   []historyRow
	Next   string // the cursor of the next page; "": this is the last
	Rest   bool   // this is not the first
	Looked bool   // there may be more: the search has not been through all calls
	People []auth.Person
}

// historyRow is a call of the list: the number whole, for its company's admin.
type historyRow struct {
	ID           uuid.UUID
	At           time.Time
	Number, Name string
	Who          string // "": somebody who has left
	Private      bool
	Outcome      string // the key of its text
	Tone         string // of its tag: "", warn, bad
	Talked       string
}

func (v *visit) historyPage() error { return v.showHistory(asked{}) }

func (v *visit) foundHistory() error {
	a, found, err := v.savedSearch(v.c.Params("search"))
	if err != nil || !found {
		return v.searchGone(err)
	}
	return v.showHistory(a)
}

// searchGone tells that a search is not kept any more; whose it was makes no difference.
func (v *visit) searchGone(err error) error {
	if err != nil {
		return err
	}
	v.c.Status(fiber.StatusNotFound)
	return v.render("history-gone", nil)
}

// savedSearch finds what the same person asked within the hour.
func (v *visit) savedSearch(text string) (a asked, found bool, err error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return a, false, nil
	}
	plain, err := v.Company.FindSearch(v.c.UserContext(), v.session.Actor(), id)
	if f, ok := fault.Of(err); ok && f.Kind == fault.NotFound {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	if err := json.Unmarshal(plain, &a); err != nil {
		return a, false, err
	}
	a.Search = id.String()
	return a, true, nil
}

// search keeps what was asked and leads to it.
func (v *visit) search() error {
	a := asked{
		From: v.form["from"], To: v.form["to"], User: v.form["user"], Email: v.form["email"], Outcome: v.form["outcome"],
		Number: strings.TrimSpace(v.form["number"]), Name: strings.TrimSpace(v.form["name"]),
	}
	if a == (asked{}) {
		return v.redirect(historyPath, "")
	}
	if _, err := v.read(a); err != nil {
		return v.again("history", err, (*visit).historyPage)
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	id, err := v.Company.SaveSearch(v.c.UserContext(), v.session.Actor(), plain)
	if err != nil {
		return err
	}
	return v.redirect(historyPath+"/"+id.String(), "")
}

// read makes a search of what was typed.
func (v *visit) read(a asked) (call.CompanySearch, error) {
	q := call.Asked{Name: a.Name, Outcome: a.Outcome, Email: a.Email}
	q.ReadDigits(a.Number)
	if a.User != "" {
		id, err := uuid.Parse(a.User)
		if err != nil || id.String() != a.User {
			return call.CompanySearch{}, errNotFound
		}
		q.UserID = id
	}
	var err error
	if q.From, q.To, err = readDays(a.From, a.To); err != nil {
		return call.CompanySearch{}, err
	}
	return v.Company.Read(v.c.UserContext(), v.session.Actor(), q)
}

// readDays reads the days of a filter as a period whose end is not included.
func readDays(first, last string) (from, to time.Time, err error) {
	if from, err = readDay(first); err != nil {
		return from, to, err
	}
	if to, err = readDay(last); err == nil && !to.IsZero() {
		to = to.Add(models.Day) // the day itself is meant, too
	}
	return from, to, err
}

func readDay(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, fault.New(fault.Refused, "date-invalid", "A date is written as in 2026-11-23.")
	}
	return day, nil
}

func (v *visit) showHistory(a asked) error {
	d := historyData{Asked: a}
	var err error
	if d.People, err = v.choosable(); err != nil {
		return err
	}
	if v.failure != nil { // the form once more, and nothing that it did not ask for
		return v.render("history", d)
	}
	search, err := v.read(a)
	if err != nil {
		return err
	}
	page, err := call.ReadCursor(v.c.Query("after"))
	if err != nil {
		return errNotFound
	}
	page.Limit = historyRows
	l, err := v.Company.List(v.c.UserContext(), v.session.Actor(), page, search)
	if err != nil {
		return err
	}
	for _, c := range l.Calls {
		d.Rows = append(d.Rows, rowOf(v.lang, c))
	}
	d.Rest, d.Looked = !page.At.IsZero(), l.More && len(l.Calls) < historyRows/2
	if l.More {
		d.Next = call.WriteCursor(l.Next.At, l.Next.ID)
	}
	return v.render("history", d)
}

// choosable are the people of a company that is small enough to choose from.
func (v *visit) choosable() ([]auth.Person, error) {
	people, next, err := v.Auth.People(v.c.UserContext(), v.session.Actor(), "", selectPeople)
	if err != nil || next != "" {
		return nil, err
	}
	return people, nil
}

func rowOf(lang string, c call.CompanyCall) historyRow {
	row := historyRow{
		ID: c.ID, At: c.CreatedAt, Name: c.Name.Reveal(), Who: whoIs(c), Private: c.Private, Talked: talked(lang, c.ConnectedAt, c.EndedAt),
		Outcome: outcomeWords[call.Live],
	}
	if !c.Number.IsZero() {
		row.Number = c.Display()
	}
	if c.Outcome != nil {
		row.Outcome, row.Tone = outcomeWords[*c.Outcome], outcomeTones[*c.Outcome]
	}
	return row
}

// whoIs is the name or e-mail of whose call it is; "" when they have left.
func whoIs(c call.CompanyCall) string {
	switch {
	case c.UserLeft != nil:
		return ""
	case c.UserName != "":
		return c.UserName
	}
	return c.UserEmail
}

var outcomeWords = map[string]string{
	string(models.HangUp): "outcome-answered", string(models.CalleeBusy): "outcome-busy", string(models.CalleeNoAnswer): "outcome-unanswered",
	string(models.CalleeFailure): "outcome-unreached", string(models.CallerAbandon): "outcome-abandoned", string(models.CallerBusy): "outcome-own-busy",
	string(models.CallerNoAnswer): "outcome-own-unanswered", string(models.CallerFailure): "outcome-own-unreached", string(models.Failed): "outcome-failed",
	call.Live: "outcome-live",
}

var outcomeTones = map[string]string{
	string(models.CalleeBusy): "warn", string(models.CalleeNoAnswer): "warn", string(models.CalleeFailure): "bad", string(models.CallerAbandon): "warn",
	string(models.CallerBusy): "warn", string(models.CallerNoAnswer): "warn", string(models.CallerFailure): "bad", string(models.Failed): "bad",
}

// ---- what the template asks

// Outcomes are the choices of the filter.
func (historyData) Outcomes() []Reason {
	choices := make([]Reason, 0, len(call.Outcomes))
	for _, o := range call.Outcomes {
		choices = append(choices, Reason{Value: o, Key: outcomeWords[o]})
	}
	return choices
}

// HistoryLink is where a page of this search begins: after "" its first.
func (p *page) HistoryLink(a asked, after string) string {
	path := historyPath
	if a.Search != "" {
		path += "/" + a.Search
	}
	if after != "" {
		path = withQuery(path, "after", after)
	}
	return p.Link(path)
}

// AskedInWords says what was asked for, each filter by itself.
func (p *page) AskedInWords(d historyData) (words []string) {
	a := d.Asked
	if period := p.period(a.From, a.To); period != "" {
		words = append(words, period)
	}
	for _, person := range d.People {
		if person.ID.String() == a.User && a.User != "" {
			words = append(words, nameOr(person.Name, person.Email))
		}
	}
	if a.Outcome != "" {
		words = append(words, p.T(outcomeWords[a.Outcome]))
	}
	for _, typed := range []string{a.Email, a.Number, a.Name} {
		if typed != "" {
			words = append(words, typed)
		}
	}
	return words
}

// period says the days of a filter; "" when there are none.
func (p *page) period(first, last string) string {
	from, to := dayOf(p.Lang, first), dayOf(p.Lang, last)
	switch {
	case from != "" && to != "":
		return from + " – " + to
	case from != "":
		return p.T("history-since", from)
	case to != "":
		return p.T("history-until", to)
	}
	return ""
}

func nameOr(name, email string) string {
	if name != "" {
		return name
	}
	return email
}

func dayOf(lang, text string) string {
	day, err := readDay(text)
	if err != nil || day.IsZero() {
		return ""
	}
	return dayText(lang, day)
}

// talked says how long two were connected; "" when they were not, or still are.
func talked(lang string, from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	took := to.Sub(*from).Round(time.Second)
	if took < time.Minute {
		return say(lang, "seconds", strconv.Itoa(int(took.Seconds())))
	}
	return say(lang, "minutes", strconv.Itoa(int(took.Minutes())), strconv.Itoa(int(took.Seconds())%60))
}
