package console

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/web"
)

// keptSubject is whom a request is about, or what came of it. It is kept sealed: a
// URL holds its id only.
type keptSubject struct {
	Kind    string // keptKind, to tell it from a search
	Number  string
	User    uuid.UUID
	Receipt *retention.Receipt
}

const keptKind = "subject"

// subjectData is what is held about somebody, and what can be done.
type subjectData struct {
	Path   string
	Number string // whole; "": a user
	Person string
	Page   string // the user's, where they can be deleted
	Email  string
	Name   string
	Held   held
	Open   []requestRow
}

// held is what there is about somebody.
type held struct {
	retention.Found
	OfUser bool // not of a number
}

// lead keeps the subject, or a receipt, and leads to its page.
func (v *visit) lead(s retention.Subject, done string) error {
	kept := keptSubject{Kind: keptKind, User: s.User}
	if !s.Number.IsZero() {
		kept.Number = s.Number.Reveal()
	}
	id, err := v.keep(kept)
	if err != nil {
		return err
	}
	return v.redirect(requestsPath+"/subject/"+id.String(), done)
}

func (v *visit) leadToReceipt(r retention.Receipt) error {
	r.User = uuid.Nil
	id, err := v.keep(keptSubject{Kind: keptKind, Receipt: &r})
	if err != nil {
		return err
	}
	return v.redirect(requestsPath+"/receipt/"+id.String(), "")
}

const keepLimit = 5 * time.Second

func (v *visit) keep(kept keptSubject) (uuid.UUID, error) {
	plain, err := json.Marshal(kept)
	if err != nil {
		return uuid.Nil, err
	}
	// What led here may have outlasted the request's own deadline, as an erasure may.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.c.UserContext()), keepLimit)
	defer cancel()
	return v.Company.SaveSearch(ctx, v.session.Actor(), plain)
}

func (v *visit) kept() (kept keptSubject, err error) {
	id, err := v.id("search")
	if err != nil {
		return kept, err
	}
	plain, err := v.Company.FindSearch(v.c.UserContext(), v.session.Actor(), id)
	if err != nil {
		return kept, err
	}
	if err := json.Unmarshal(plain, &kept); err != nil || kept.Kind != keptKind {
		return kept, errNotFound
	}
	return kept, nil
}

func (v *visit) subject() (s retention.Subject, err error) {
	kept, err := v.kept()
	if err != nil || kept.Receipt != nil {
		return s, orElse(err, errNotFound)
	}
	if kept.Number == "" {
		return retention.Subject{User: kept.User}, nil
	}
	var n phone.Number
	err = n.Scan(kept.Number)
	return retention.Subject{Number: n}, err
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (v *visit) subjectPage() error {
	ctx, by := v.c.UserContext(), v.session.Actor()
	s, err := v.subject()
	if err != nil {
		return err
	}
	d := subjectData{Path: requestsPath + "/subject/" + v.c.Params("search")}
	kind := models.SubjectNumber
	if s.Number.IsZero() {
		kind = models.SubjectUser
		person, err := v.Auth.Person(ctx, by, s.User)
		if err != nil {
			return err
		}
		d.Person, d.Name, d.Email, d.Page = nameOr(person.Name, person.Email), person.Name, person.Email, personPath(person.ID)
	} else {
		d.Number = s.Number.Display()
	}
	if d.Held, err = v.held(s); err != nil {
		return err
	}
	open, _, err := v.Privacy.Requests(ctx, by, true, retention.Place{}, openRows)
	for _, r := range open {
		if r.Subject == kind && r.User == s.User {
			d.Open = append(d.Open, v.requestRow(r))
		}
	}
	if err != nil {
		return err
	}
	return v.render("privacy-subject", d)
}

func (v *visit) held(s retention.Subject) (held, error) {
	found, err := v.Privacy.Find(v.c.UserContext(), v.session.Actor(), s)
	return held{found, s.Number.IsZero()}, err
}

func (v *visit) receiptPage() error {
	kept, err := v.kept()
	if err != nil || kept.Receipt == nil {
		return orElse(err, errNotFound)
	}
	return v.render("privacy-receipt", v.requestRow(*kept.Receipt))
}

var errUnchecked = fault.New(fault.Refused, "confirm-unchecked", "Tick the box to go on.")

// checked wants the box ticked of what cannot be undone.
func (v *visit) checked() error {
	if v.form["checked"] != "yes" {
		return errUnchecked
	}
	return nil
}

// actOnSubject does what the path names, and leads to its receipt.
func (v *visit) actOnSubject() error {
	s, err := v.subject()
	if err != nil {
		return err
	}
	request, err := v.answered()
	if err != nil {
		return err
	}
	act := v.c.Params("act")
	if act == "export" {
		return v.export(s, request, (*visit).subjectPage)
	}
	do := v.acts()[act]
	if do == nil {
		return errNotFound
	}
	r, err := do(v.c.UserContext(), v.session.Actor(), s, request)
	if err != nil {
		return v.again(strings.TrimSuffix(act, "-lift"), err, (*visit).subjectPage)
	}
	if act == "file" {
		return v.lead(s, "filed")
	}
	return v.leadToReceipt(r)
}

type subjectAct func(context.Context, models.Actor, retention.Subject, uuid.UUID) (retention.Receipt, error)

func (v *visit) acts() map[string]subjectAct {
	return map[string]subjectAct{
		"correct": v.correctSubject, "erase": v.eraseSubject, "file": v.fileRequest, "object": v.Privacy.Object, "object-lift": v.Privacy.LiftObjection,
		"restrict": v.Privacy.Restrict, "restrict-lift": v.Privacy.LiftRestriction,
	}
}

// answered is the open request that an act completes; Nil: none.
func (v *visit) answered() (uuid.UUID, error) {
	text := v.form["request"]
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, errNotFound
	}
	return id, nil
}

func (v *visit) correctSubject(ctx context.Context, by models.Actor, s retention.Subject, request uuid.UUID) (retention.Receipt, error) {
	name := strings.TrimSpace(v.form["name"])
	c := retention.Correction{Name: &name}
	if email := v.form["email"]; s.Number.IsZero() && email != "" {
		c.Email = &email
	}
	return v.Privacy.Correct(ctx, by, s, request, c)
}

func (v *visit) eraseSubject(ctx context.Context, by models.Actor, s retention.Subject, request uuid.UUID) (retention.Receipt, error) {
	if err := v.checked(); err != nil {
		return retention.Receipt{}, err
	}
	return v.Privacy.Erase(ctx, by, s, request)
}

func (v *visit) fileRequest(ctx context.Context, by models.Actor, s retention.Subject, _ uuid.UUID) (retention.Receipt, error) {
	received, err := v.readReceived()
	if err != nil {
		return retention.Receipt{}, err
	}
	return v.Privacy.File(ctx, by, s, models.PrivacyAct(v.form["act"]), received)
}

// export sends all that is held about somebody, as it is read. A refusal stands in
// the form of that name on the page that show gives.
func (v *visit) export(s retention.Subject, request uuid.UUID, show func(*visit) error) error {
	format := retention.JSON
	if v.form["format"] == string(retention.CSV) {
		format = retention.CSV
	}
	e, err := v.Privacy.Export(v.c.UserContext(), v.session.Actor(), s, retention.Wish{Format: format, Request: request})
	if err != nil {
		return v.again("export", err, show)
	}
	web.Stream(v.c, v.Log, web.File{Name: e.FileName(), Type: e.ContentType()}, func(ctx context.Context, out *bufio.Writer) error {
		_, err := e.Write(ctx, out, out.Flush)
		return err
	})
	return nil
}

// Acts are what can be noted of a request that came by letter.
func (d subjectData) Acts() []Reason {
	acts := []models.PrivacyAct{models.ActAccess, models.ActCorrection, models.ActErasure, models.ActRestriction}
	if d.Number != "" {
		acts = append(acts, models.ActObjection)
	}
	return choicesOf(acts)
}

func choicesOf(acts []models.PrivacyAct) (choices []Reason) {
	for _, a := range acts {
		choices = append(choices, Reason{Value: string(a), Key: actWords[a]})
	}
	return choices
}

// RestrictPath is the act that the page offers.
func (p *page) RestrictPath() string {
	if d, ok := p.Data.(subjectData); ok && d.Held.Restricted {
		return "/restrict-lift"
	}
	return "/restrict"
}

// ObjectPath is likewise.
func (p *page) ObjectPath() string {
	if d, ok := p.Data.(subjectData); ok && d.Held.DoNotDial {
		return "/object-lift"
	}
	return "/object"
}
