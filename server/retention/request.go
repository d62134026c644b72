package retention

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Receipt is a request, or what is left of one that is done: no person.
type Receipt struct {
	ID         uuid.UUID
	Reference  string // eight letters
	Act        models.PrivacyAct
	Subject    models.SubjectKind
	User       uuid.UUID // whose it is, while it is open; Nil: a called party's
	ReceivedAt time.Time
	DueAt      time.Time
	DoneAt     *time.Time // nil: open
	Refused    bool
	Records    int64 // that the act met
}

// Late says whether it is open after its time.
func (r Receipt) Late(now time.Time) bool { return r.DoneAt == nil && now.After(r.DueAt) }

func receiptOf(r models.PrivacyRequest) Receipt {
	out := Receipt{
		ID: r.ID, Reference: r.Reference, Act: r.Act, Subject: r.Subject, ReceivedAt: r.ReceivedAt.UTC(), DueAt: r.DueAt.UTC(),
		Refused: r.Refused, Records: r.Records,
	}
	if r.UserID != nil {
		out.User = *r.UserID
	}
	if r.DoneAt != nil {
		at := r.DoneAt.UTC()
		out.DoneAt = &at
	}
	return out
}

// begin checks who asks, for whom and why, and prepares what is written at the end.
func (p *Privacy) begin(ctx context.Context, by models.Actor, s Subject, act models.PrivacyAct, request uuid.UUID, action string) (store.Act, error) {
	if err := mayManage(by, s); err != nil {
		return store.Act{}, err
	}
	a := p.act(by, s, act, request, action)
	return a, p.DB.MayAct(ctx, a)
}

// act is what is written down when nobody has filed a request: it is received and
// done at once.
func (p *Privacy) act(by models.Actor, s Subject, act models.PrivacyAct, request uuid.UUID, action string) store.Act {
	now := p.Now().UTC()
	row := newRequest(by.TenantID, s, act, now)
	row.UserID, row.DoneAt = nil, &now
	return store.Act{
		Subject: s.in(by.TenantID), Receipt: row, Request: request,
		Entry: audit.Entry(audit.By(by), action, s.audited(by.TenantID), ""),
	}
}

func (p *Privacy) end(r models.PrivacyRequest, err error) (Receipt, error) { return receiptOf(r), err }

func newRequest(tenant uuid.UUID, s Subject, act models.PrivacyAct, received time.Time) models.PrivacyRequest {
	r := models.PrivacyRequest{
		ID: uuid.Must(uuid.NewV7()), TenantID: tenant, Reference: newReference(), Act: act, Subject: s.in(tenant).Kind(),
		ReceivedAt: received, DueAt: monthAfter(received),
	}
	if r.Subject == models.SubjectUser {
		r.UserID = &s.User
	}
	return r
}

// newReference is eight letters: no two requests of an installation share one.
func newReference() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails (crypto/rand, Go 1.24)
	for i, b := range raw {
		raw[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(raw)
}

// monthAfter is the end of the period of one month (GDPR art. 12(3)): the same
// date of the next month, or its last day where it has no such date (Regulation
// 1182/71, art. 3(2)(c)). That a period does not end on a holiday (art. 3(4)) would
// only put it off.
func monthAfter(t time.Time) time.Time {
	t = t.UTC()
	due := t.AddDate(0, 1, 0)
	if due.Day() != t.Day() { // 31 January became 3 March
		due = due.AddDate(0, 0, -due.Day())
	}
	return due
}

// Of what each kind of subject may ask. Whoever is called is not known by name, so
// nobody can correct more than that; who uses the service objects by not using it.
var asked = map[models.SubjectKind][]models.PrivacyAct{
	models.SubjectUser: {
		models.ActAccess, models.ActCorrection, models.ActErasure, models.ActRestriction, models.ActRestrictionLifted, models.ActDeparture,
	},
	models.SubjectNumber: {
		models.ActAccess, models.ActCorrection, models.ActErasure, models.ActRestriction, models.ActRestrictionLifted,
		models.ActObjection, models.ActObjectionLifted,
	},
}

// File notes a request: a user's own, or, by an admin, one that came by letter. Of
// a called party nothing is kept but that somebody asked: the reference ties it to
// the letter. A user's request for the same act that is open already is given
// instead. received is zero for now. Errors: forbidden, not-found, act-invalid,
// received-invalid.
func (p *Privacy) File(ctx context.Context, by models.Actor, s Subject, act models.PrivacyAct, received time.Time) (Receipt, error) {
	if err := mayAsk(by, s); err != nil {
		return Receipt{}, err
	}
	now := p.Now().UTC()
	if received.IsZero() || by.Role == models.RoleUser {
		received = now
	}
	in := s.in(by.TenantID)
	if !slices.Contains(asked[in.Kind()], act) {
		return Receipt{}, errAct
	}
	if received.After(now) || received.Before(now.AddDate(-1, 0, 0)) {
		return Receipt{}, fault.New(fault.Refused, "received-invalid", "A request was received at most a year ago, and not in the future.")
	}
	if err := p.DB.KnowSubject(ctx, in); err != nil {
		return Receipt{}, err
	}
	row := newRequest(by.TenantID, s, act, received.UTC())
	entry := audit.Entry(audit.By(by), "privacy-request-file", s.audited(by.TenantID), string(act))
	return p.end(p.DB.FileRequest(ctx, in, row, entry))
}

// Refuse closes a request that is not granted. Errors: forbidden, not-found,
// request-mismatch when it is closed already.
func (p *Privacy) Refuse(ctx context.Context, by models.Actor, request uuid.UUID) (Receipt, error) {
	if err := manages(by); err != nil {
		return Receipt{}, err
	}
	entry := audit.Entry(audit.By(by), "privacy-request-refuse", audit.Subject{Kind: "request", ID: request, Tenant: by.TenantID}, "")
	return p.end(p.DB.RefuseRequest(ctx, by.TenantID, request, p.Now().UTC(), entry))
}

// Place is where a page of requests begins: after this one. Zero: at the newest.
type Place struct {
	At time.Time
	ID uuid.UUID
}

// Place is the place of a request.
func (r Receipt) Place() Place { return Place{r.ReceivedAt, r.ID} }

// Requests gives at most limit requests and receipts of the tenant, newest first,
// and whether there are more. Errors: forbidden.
func (p *Privacy) Requests(ctx context.Context, by models.Actor, open bool, after Place, limit int) (list []Receipt, more bool, err error) {
	if err := manages(by); err != nil {
		return nil, false, err
	}
	return p.requests(ctx, by.TenantID, uuid.Nil, open, after, limit)
}

// OwnRequests gives the open requests of whoever asks, newest first. There are few:
// one of each act.
func (p *Privacy) OwnRequests(ctx context.Context, by models.Actor) (list []Receipt, err error) {
	if by.TenantID == uuid.Nil || by.UserID == uuid.Nil {
		return nil, errForbidden
	}
	list, _, err = p.requests(ctx, by.TenantID, by.UserID, true, Place{}, 100)
	return list, err
}

func (p *Privacy) requests(ctx context.Context, tenant, user uuid.UUID, open bool, after Place, limit int) (list []Receipt, more bool, err error) {
	rows, err := p.DB.Requests(ctx, tenant, user, open, store.Page{Limit: limit, At: after.At, ID: after.ID})
	if len(rows) > limit {
		rows, more = rows[:limit], true
	}
	for _, row := range rows {
		list = append(list, receiptOf(row))
	}
	return list, more, err
}
