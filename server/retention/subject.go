package retention

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/secret"
	sheets "clicktodial/server/sheet"
	"clicktodial/server/store"
)

// Privacy answers data subjects (GDPR chapter III): users of a tenant, and whoever
// its users have called. An admin acts for both within their tenant, the operator
// in the name of one; a user exports what is held about themselves and files
// requests. Each act leaves an audit entry and a receipt that holds no person.
type Privacy struct {
	DB    *store.DB
	Index *live.TTLIndex // nil: none; what is in Redis goes by its TTL
	Keys  *secret.Keys
	Now   func() time.Time
	Log   *slog.Logger

	// What package auth does for us.
	EndSignIns   func(ctx context.Context, by models.Actor, user uuid.UUID) error
	ChangePerson func(ctx context.Context, by models.Actor, user uuid.UUID, name, email *string) error

	exports sheets.Slots // under way
}

// Subject is whom an act is about: one of the two.
type Subject struct {
	User   uuid.UUID
	Number phone.Number
}

func (s Subject) in(tenant uuid.UUID) store.Subject {
	return store.Subject{Tenant: tenant, User: s.User, Number: s.Number}
}

func (s Subject) audited(tenant uuid.UUID) audit.Subject {
	if s.Number.IsZero() {
		return audit.Subject{Kind: string(models.SubjectUser), ID: s.User, Tenant: tenant}
	}
	return audit.Subject{Kind: string(models.SubjectNumber), Tenant: tenant} // never which
}

var (
	errForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")
	errWhom      = fault.New(fault.Malformed, "invalid-request", "Say either a number or a user.")
	errAct       = fault.New(fault.Refused, "act-invalid", "This cannot be asked for by this kind of person.")
)

// Read makes a subject of what was typed: a number in any spelling of the tenant's
// region, or a user's id. Numbers that are valid no more are read as they are
// stored. Errors: invalid-request unless it is exactly one; number-invalid.
func (p *Privacy) Read(ctx context.Context, by models.Actor, number string, user uuid.UUID) (Subject, error) {
	if (number == "") == (user == uuid.Nil) {
		return Subject{}, errWhom
	}
	if number == "" {
		return Subject{User: user}, nil
	}
	tenant, err := p.DB.TenantSettings(ctx, by.TenantID)
	if err != nil {
		return Subject{}, err
	}
	n, err := phone.Parse(number, tenant.Region)
	if err != nil && n.Scan(strings.ReplaceAll(number, " ", "")) != nil {
		return Subject{}, err
	}
	return Subject{Number: n}, nil
}

// mayManage lets admins, and the operator in a tenant's name, act for others.
func mayManage(by models.Actor, s Subject) error {
	if err := manages(by); err != nil {
		return err
	}
	return whole(s)
}

func manages(by models.Actor) error {
	if !by.IsAdmin() && (!by.IsOperator() || by.TenantID == uuid.Nil) {
		return errForbidden
	}
	return nil
}

// mayAsk lets people of a tenant ask for themselves, too.
func mayAsk(by models.Actor, s Subject) error {
	if by.Role == models.RoleUser && by.TenantID != uuid.Nil && s == (Subject{User: by.UserID}) {
		return whole(s)
	}
	return mayManage(by, s)
}

func whole(s Subject) error {
	if (s.User == uuid.Nil) == s.Number.IsZero() {
		return errWhom
	}
	return nil
}

// Found is what is held about a subject.
type Found = store.Found

// Find says what is held about a subject, without showing it. A look for somebody
// else is audited, without the number. Errors: forbidden, not-found.
func (p *Privacy) Find(ctx context.Context, by models.Actor, s Subject) (Found, error) {
	if err := mayAsk(by, s); err != nil {
		return Found{}, err
	}
	in := s.in(by.TenantID)
	if err := p.DB.KnowSubject(ctx, in); err != nil {
		return Found{}, err
	}
	var look models.Audit
	if s.User != by.UserID || s.User == uuid.Nil {
		look = audit.Entry(audit.By(by), "subject-find", s.audited(by.TenantID), "")
	}
	return p.held(ctx, in, look)
}

func (p *Privacy) held(ctx context.Context, s store.Subject, look models.Audit) (Found, error) {
	restriction, err := store.RestrictionHashes(p.Keys, s)
	if err != nil {
		return Found{}, err
	}
	var listed [][]byte
	if !s.Number.IsZero() {
		if listed, err = store.DoNotDialHashes(p.Keys, s.Tenant, s.Number); err != nil {
			return Found{}, err
		}
	}
	return p.DB.FindSubject(ctx, s, restriction, listed, look)
}

// Correction is what is to be put right; nil leaves it.
type Correction struct {
	Name  *string
	Email *string // of a user
}

// Correct gives a number another name in all its records, or a user another name
// or e-mail. request is the open request that it answers; Nil: the user's oldest,
// or none. Errors: forbidden, not-found, request-mismatch, name-invalid,
// email-invalid, email-taken, invalid-request when nothing is to be put right.
func (p *Privacy) Correct(ctx context.Context, by models.Actor, s Subject, request uuid.UUID, c Correction) (Receipt, error) {
	act, err := p.begin(ctx, by, s, models.ActCorrection, request, "subject-correct")
	if err != nil {
		return Receipt{}, err
	}
	if c.Name == nil && c.Email == nil || c.Email != nil && !s.Number.IsZero() {
		return Receipt{}, fault.New(fault.Malformed, "invalid-request", "Say what is to be put right.")
	}
	if s.Number.IsZero() {
		if err := p.ChangePerson(ctx, by, s.User, c.Name, c.Email); err != nil {
			return Receipt{}, err
		}
		return p.end(p.DB.Acted(ctx, act, 0))
	}
	name, err := phone.ParseName(*c.Name)
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := p.DB.Begin(ctx, by.TenantID, act.Entry); err != nil {
		return Receipt{}, err
	}
	act.Entry = models.Audit{} // it is written
	changed, err := p.DB.NameNumber(ctx, act.Subject, name)
	if err != nil {
		return Receipt{}, err
	}
	return p.end(p.DB.Acted(ctx, act, changed))
}

// Erase deletes the records of a subject made until now: rows, timelines, words,
// index entries, and what a repeated click could be known by. The record of a call
// that is up goes when the call ends. A user's account stays: see Depart. The
// do-not-dial list stays. Errors: forbidden, not-found, request-mismatch.
func (p *Privacy) Erase(ctx context.Context, by models.Actor, s Subject, request uuid.UUID) (Receipt, error) {
	act, err := p.begin(ctx, by, s, models.ActErasure, request, "subject-erase")
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	records, err := p.erase(ctx, act.Subject, act.Entry)
	if err != nil {
		return Receipt{}, err
	}
	act.Entry = models.Audit{} // it is written with the first batch
	return p.end(p.DB.Acted(ctx, act, records))
}

// actLimit is how long an act may take.
const actLimit = 10 * time.Minute

// lasting lets an act that has begun come to its end, also when whoever asked for it
// has gone, or a request would have taken too long. Done again, it goes on.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), actLimit)
}

func (p *Privacy) erase(ctx context.Context, s store.Subject, entry models.Audit) (records int64, err error) {
	e := store.Erasure{Subject: s, Before: p.Now().UTC(), Whole: true, Entry: entry}
	if e.Note, err = store.ErasureNote(p.Keys, s, e.Before); err != nil {
		return 0, err
	}
	return p.DB.Erase(ctx, e, func(gone []store.Erased) { p.forget(ctx, gone) })
}

// forget takes erased records out of Redis.
func (p *Privacy) forget(ctx context.Context, gone []store.Erased) {
	if p.Index == nil || len(gone) == 0 {
		return
	}
	entries := make([]live.Entry, len(gone))
	for i, e := range gone {
		entries[i] = live.Entry(e)
	}
	if err := p.Index.Forget(ctx, entries...); err != nil {
		p.Log.Warn("erased records stay in Redis until their TTL", "records", len(entries), "error", err)
	}
}

// Object puts a number on the tenant's do-not-dial list: nobody of the tenant can
// call it any more. The list holds keyed hashes and outlives every erasure.
// Errors: forbidden, act-invalid for a user, request-mismatch.
func (p *Privacy) Object(ctx context.Context, by models.Actor, s Subject, request uuid.UUID) (Receipt, error) {
	return p.list(ctx, by, s, request, models.ActObjection, "subject-object", p.DB.Bar)
}

// LiftObjection takes it off. Errors: as Object; not-on-list.
func (p *Privacy) LiftObjection(ctx context.Context, by models.Actor, s Subject, request uuid.UUID) (Receipt, error) {
	return p.list(ctx, by, s, request, models.ActObjectionLifted, "subject-object-lift", p.DB.Unbar)
}

type listing func(context.Context, store.Act, [][]byte) (models.PrivacyRequest, error)

func (p *Privacy) list(ctx context.Context, by models.Actor, s Subject, request uuid.UUID, what models.PrivacyAct, action string, do listing) (Receipt, error) {
	act, err := p.begin(ctx, by, s, what, request, action)
	if err != nil {
		return Receipt{}, err
	}
	if s.Number.IsZero() {
		return Receipt{}, errAct
	}
	hashes, err := store.DoNotDialHashes(p.Keys, by.TenantID, s.Number)
	if err != nil {
		return Receipt{}, err
	}
	return p.end(do(ctx, act, hashes))
}

// Restrict hides the subject's ended records from every list, search and look, of
// support too; they still end on time, and exports for the subject still show them
// (GDPR art. 18). Calls that are up, and later ones, are not hidden: one who asks
// again means those too. Errors: forbidden, not-found, request-mismatch.
func (p *Privacy) Restrict(ctx context.Context, by models.Actor, s Subject, request uuid.UUID) (Receipt, error) {
	act, err := p.begin(ctx, by, s, models.ActRestriction, request, "subject-restrict")
	if err != nil {
		return Receipt{}, err
	}
	hashes, err := store.RestrictionHashes(p.Keys, act.Subject)
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	return p.end(p.DB.Restrict(ctx, act, hashes))
}

// LiftRestriction shows them again, but for those that the other party of a call
// has had restricted. Errors: as Restrict; not-restricted.
func (p *Privacy) LiftRestriction(ctx context.Context, by models.Actor, s Subject, request uuid.UUID) (Receipt, error) {
	act, err := p.begin(ctx, by, s, models.ActRestrictionLifted, request, "subject-restrict-lift")
	if err != nil {
		return Receipt{}, err
	}
	hashes, err := store.RestrictionHashes(p.Keys, act.Subject)
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	hash := func(s store.Subject) ([][]byte, error) { return store.RestrictionHashes(p.Keys, s) }
	return p.end(p.DB.Unrestrict(ctx, act, hashes, hash))
}

// Lists is how many subjects are on the tenant's lists.
type Lists struct {
	DoNotDial  int64
	Restricted int64
}

// Lists counts them. Errors: forbidden.
func (p *Privacy) Lists(ctx context.Context, by models.Actor) (l Lists, err error) {
	if err := manages(by); err != nil {
		return l, err
	}
	if l.DoNotDial, err = p.DB.Objections(ctx, by.TenantID); err != nil {
		return l, err
	}
	l.Restricted, err = p.DB.Restrictions(ctx, by.TenantID)
	return l, err
}
