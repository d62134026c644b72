package retention

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// Format is the form of an export.
type Format string

// The formats.
const (
	JSON Format = "json"
	CSV  Format = "csv"
)

// Wish is what kind of export is asked for.
type Wish struct {
	Format  Format
	Request uuid.UUID // the open request that it answers; Nil: the user's oldest, or none
	// Reveal is why the operator wants numbers and names whole; "" masks them. Tenants'
	// own people always see theirs whole.
	Reveal string
}

// Export is one that may begin. It counts as under way until it was written.
type Export struct {
	p       *Privacy
	end     func() // gives the slot back
	act     store.Act
	own     bool // a user's own: no receipt, unless there was a request
	masked  bool
	format  Format
	profile models.User
	about   Found
}

// Export prepares an export of all that is held about a subject, and audits it.
// Whoever gets one writes it: until then it is one of the two that a person may have
// under way. Errors: forbidden, not-found, request-mismatch, exports-running.
func (p *Privacy) Export(ctx context.Context, by models.Actor, s Subject, wish Wish) (*Export, error) {
	if err := mayAsk(by, s); err != nil {
		return nil, err
	}
	end, err := p.exports.Begin(by.UserID)
	if err != nil {
		return nil, err
	}
	e, err := p.prepare(ctx, by, s, wish)
	if err != nil {
		end()
		return nil, err
	}
	e.end = end
	return e, nil
}

func (p *Privacy) prepare(ctx context.Context, by models.Actor, s Subject, wish Wish) (*Export, error) {
	e := &Export{p: p, format: wish.Format, own: s.User == by.UserID && s.User != uuid.Nil, masked: by.IsOperator() && wish.Reveal == ""}
	e.act = p.act(by, s, models.ActAccess, wish.Request, "export")
	if err := p.DB.MayAct(ctx, e.act); err != nil {
		return nil, err
	}
	var err error
	if s.Number.IsZero() {
		if e.profile, err = p.DB.ExportProfile(ctx, e.act.Subject); err != nil {
			return nil, err
		}
	}
	if e.about, err = p.held(ctx, e.act.Subject, models.Audit{}); err != nil {
		return nil, err
	}
	entries := []models.Audit{e.act.Entry}
	if by.IsOperator() && wish.Reveal != "" {
		entries = append(entries, audit.Entry(audit.By(by), "reveal", s.audited(by.TenantID), wish.Reveal))
	}
	e.act.Entry = models.Audit{} // it is written already
	return e, p.DB.Begin(ctx, by.TenantID, entries...)
}

// FileName says nothing of whom the export is about.
func (e *Export) FileName() string { return "export." + string(e.format) }

// ContentType is the media type of the export.
func (e *Export) ContentType() string {
	if e.format == CSV {
		return "text/csv; charset=utf-8; header=present"
	}
	return "application/json"
}

// exportPage is how many rows are read, and held in memory, at a time.
const exportPage = 500

// Write writes the export as it is read, and gives the receipt with which it ends:
// a user's own export has one only when they had filed a request. An error means
// that it broke off: no receipt is made, JSON is left open, CSV says so in its last
// line. flush is called after each page; when it fails, the reader has gone.
func (e *Export) Write(ctx context.Context, w io.Writer, flush func() error) (Receipt, error) {
	defer e.end()
	var out sheet = &jsonSheet{w: w}
	if e.format == CSV {
		out = newCSVSheet(w, e.act.Subject.Kind())
	}
	receipt, err := e.write(ctx, out, flush)
	if err != nil {
		out.breakOff()
		_ = flush() // whoever reads has perhaps gone
	}
	return receipt, err
}

func (e *Export) write(ctx context.Context, out sheet, flush func() error) (Receipt, error) {
	kind := e.act.Subject.Kind()
	err := out.object("export", row{{"subject", string(kind)}, {"at", e.act.Receipt.ReceivedAt}, {"restricted", e.about.Restricted}})
	if err != nil {
		return Receipt{}, err
	}
	var records int64
	parts := e.userParts()
	if kind == models.SubjectNumber {
		parts = e.numberParts()
	}
	for _, part := range parts {
		n, err := part(ctx, out, flush)
		if err != nil {
			return Receipt{}, err
		}
		records += n
	}
	receipt, err := e.finish(ctx, records)
	if err != nil {
		return Receipt{}, err
	}
	end := row{{"complete", true}, {"calls", records}}
	if receipt.ID != uuid.Nil {
		end = append(end, cell{"reference", receipt.Reference})
	}
	if err := out.object("end", end); err != nil {
		return Receipt{}, err
	}
	if err := out.close(); err != nil {
		return Receipt{}, err
	}
	return receipt, flush()
}

// finish makes the receipt. What was printed masked is no answer to anybody.
func (e *Export) finish(ctx context.Context, records int64) (Receipt, error) {
	now := e.p.Now().UTC()
	e.act.Receipt.DoneAt = &now
	switch {
	case e.masked:
		return Receipt{}, nil
	case e.own:
		return e.p.end(e.p.DB.CompleteRequest(ctx, e.act, records))
	default:
		return e.p.end(e.p.DB.Acted(ctx, e.act, records))
	}
}

// part writes a section of the export and counts the calls in it.
type part func(context.Context, sheet, func() error) (calls int64, err error)

func (e *Export) numberParts() []part {
	return []part{
		func(_ context.Context, out sheet, _ func() error) (int64, error) {
			return 0, out.object("subject", row{{"number", e.number(e.act.Subject.Number)}, {"doNotDial", e.about.DoNotDial}})
		},
		e.calls(e.calledRow),
	}
}

func (e *Export) userParts() []part {
	db := e.p.DB
	return []part{
		func(_ context.Context, out sheet, _ func() error) (int64, error) {
			return 0, out.object("profile", e.profileRow())
		},
		section(e, "phones", db.ExportDevices, func(d models.Device) place { return place{d.CreatedAt, d.ID} }, func(d models.Device) row {
			return row{{"id", d.ID}, {"label", d.Label}, {"endpoint", d.Endpoint}, {"callerId", e.number(d.CallerID)}, {"withheld", d.Withheld}, {"createdAt", d.CreatedAt}}
		}),
		section(e, "signIns", db.ExportGrants, func(g models.Grant) place { return place{g.CreatedAt, g.ID} }, func(g models.Grant) row {
			return row{
				{"id", g.ID}, {"client", g.ClientID}, {"deviceName", g.DeviceName}, {"supportCode", g.SupportCode}, {"madeBy", g.MadeBy},
				{"createdAt", g.CreatedAt}, {"lastUsedOn", day(g.LastUsedOn)}, {"expiresAt", g.ExpiresAt},
				{"revokedAt", g.RevokedAt}, {"revokedBy", g.RevokedBy}, {"revokedReason", g.RevokedReason},
			}
		}),
		section(e, "sessions", db.ExportSessions, func(s models.Session) place { return place{s.CreatedAt, s.ID} }, func(s models.Session) row {
			return row{{"id", s.ID}, {"browser", s.Browser}, {"stage", string(s.Stage)}, {"createdAt", s.CreatedAt}, {"seenAt", s.SeenAt}, {"expiresAt", s.ExpiresAt}}
		}),
		section(e, "pairings", db.ExportPairings, func(c models.PairingCode) place { return place{c.CreatedAt, c.ID} }, func(c models.PairingCode) row {
			return row{{"id", c.ID}, {"madeBy", c.MadeBy}, {"createdAt", c.CreatedAt}, {"expiresAt", c.ExpiresAt}, {"usedAt", c.UsedAt}}
		}),
		section(e, "links", db.ExportLinks, func(l models.PasswordLink) place { return place{l.CreatedAt, l.ID} }, func(l models.PasswordLink) row {
			return row{{"id", l.ID}, {"kind", string(l.Kind)}, {"madeBy", l.MadeBy}, {"createdAt", l.CreatedAt}, {"expiresAt", l.ExpiresAt}, {"usedAt", l.UsedAt}}
		}),
		e.calls(e.callRow),
		section(e, "refusals", db.ExportRefusals, func(r models.Refusal) place { return place{r.At, r.ID} }, func(r models.Refusal) row {
			return row{{"id", r.ID}, {"at", r.At}, {"code", r.Code}, {"supportCode", r.SupportCode}, {"signIn", r.GrantID}}
		}),
		section(e, "audit", db.ExportAudit, func(a models.Audit) place { return place{a.At, a.ID} }, e.auditRow),
		section(e, "requests", e.requestsPage, func(r models.PrivacyRequest) place { return place{r.ReceivedAt, r.ID} }, func(r models.PrivacyRequest) row {
			return row{{"id", r.ID}, {"reference", r.Reference}, {"act", string(r.Act)}, {"receivedAt", r.ReceivedAt}, {"dueAt", r.DueAt}}
		}),
	}
}

func (e *Export) requestsPage(ctx context.Context, s store.Subject, page store.Page) ([]models.PrivacyRequest, error) {
	rows, err := e.p.DB.Requests(ctx, s.Tenant, s.User, true, page)
	return rows[:min(len(rows), page.Limit)], err
}

type place struct {
	at time.Time
	id uuid.UUID
}

// calls is the section of the records: of those that have not ended meanwhile.
func (e *Export) calls(wire func(store.ExportedCall) row) part {
	return sectionOf(e, "calls", e.p.DB.ExportCalls, func(c store.ExportedCall) place { return place{c.CreatedAt, c.ID} }, e.living, wire)
}

// living leaves out what has ended since Postgres was asked, or by the TTL index.
func (e *Export) living(ctx context.Context, calls []store.ExportedCall) []store.ExportedCall {
	if e.p.Index == nil {
		return calls
	}
	entries := make([]live.Entry, len(calls))
	for i, c := range calls {
		entries[i] = live.Entry{User: c.UserID, Call: c.ID, Expires: c.ExpiresAt}
	}
	hidden, _ := e.p.Index.Living(ctx, e.p.DB.Clock(e.p.Now()), entries) // without Redis, Postgres has the say
	return slices.DeleteFunc(calls, func(c store.ExportedCall) bool { return hidden[c.ID] })
}

// section is sectionOf, of all that was read.
func section[T any](e *Export, name string, read func(context.Context, store.Subject, store.Page) ([]T, error), at func(T) place, wire func(T) row) part {
	return sectionOf(e, name, read, at, func(_ context.Context, rows []T) []T { return rows }, wire)
}

// sectionOf writes what one table holds of the subject, a page at a time: each in a
// transaction of its own, so that a slow reader holds nothing.
func sectionOf[T any](
	e *Export, name string, read func(context.Context, store.Subject, store.Page) ([]T, error),
	at func(T) place, shown func(context.Context, []T) []T, wire func(T) row,
) part {
	return func(ctx context.Context, out sheet, flush func() error) (calls int64, err error) {
		if err := out.begin(name); err != nil {
			return 0, err
		}
		for page := (store.Page{Limit: exportPage}); ; {
			rows, err := read(ctx, e.act.Subject, page)
			if err != nil {
				return 0, fmt.Errorf("exporting %s: %w", name, err)
			}
			more := len(rows) == exportPage
			if more {
				last := at(rows[len(rows)-1])
				page.At, page.ID = last.at, last.id
			}
			rows = shown(ctx, rows)
			for _, r := range rows {
				if err := out.item(wire(r)); err != nil {
					return 0, err
				}
			}
			if name == "calls" {
				calls += int64(len(rows))
			}
			if err := flush(); err != nil {
				return 0, err
			}
			if !more {
				return calls, out.end()
			}
		}
	}
}

func (e *Export) profileRow() row {
	u := e.profile
	email := u.Email
	if e.masked {
		email = phone.Name(u.Email).Masked()
	}
	return row{
		{"id", u.ID}, {"email", email}, {"name", e.name(phone.Name(u.Name))}, {"role", string(u.Role)}, {"createdAt", u.CreatedAt},
		{"disabledAt", u.DisabledAt}, {"passwordSetAt", u.PasswordSetAt}, {"passwordSetBy", u.PasswordSetBy}, {"secondFactorSince", u.TOTPConfirmedAt},
	}
}

// calledRow is a record as whoever was called may have it: nothing of who called.
func (e *Export) calledRow(c store.ExportedCall) row {
	return append(e.outcome(c), cell{"expiresAt", c.ExpiresAt})
}

func (e *Export) callRow(c store.ExportedCall) row {
	return append(append(row{{"id", c.ID}}, e.outcome(c)...),
		cell{"diagnosis", c.Diagnosis}, cell{"device", c.DeviceLabel}, cell{"signIn", c.SignInLabel}, cell{"private", c.Private},
		cell{"restricted", c.Restricted}, cell{"recordingAsked", c.RecordingEnabled}, cell{"callerAnsweredAt", c.CallerAnsweredAt},
		cell{"expiresAt", c.ExpiresAt}, cell{"timeline", c.Timeline})
}

func (e *Export) outcome(c store.ExportedCall) row {
	r := row{
		{"createdAt", c.CreatedAt}, {"direction", "outbound"}, {"number", e.number(c.Number)}, {"name", e.name(c.Name)},
		{"status", string(c.Status)}, {"reason", c.Reason}, {"connectedAt", c.ConnectedAt}, {"endedAt", c.EndedAt}, {"durationSeconds", nil},
	}
	if c.ConnectedAt != nil && c.EndedAt != nil {
		r[len(r)-1].value = int64(c.EndedAt.Sub(*c.ConnectedAt).Seconds())
	}
	return r
}

func (e *Export) auditRow(a models.Audit) row {
	return row{
		{"id", a.ID}, {"at", a.At}, {"actor", a.ActorKind}, {"self", a.ActorID != nil && *a.ActorID == e.act.Subject.User},
		{"action", a.Action}, {"subject", a.SubjectKind}, {"reason", a.Reason}, {"network", a.Network},
	}
}

// number is nil where there is none, or none is left.
func (e *Export) number(n phone.Number) any {
	switch {
	case n.IsZero():
		return nil
	case e.masked:
		return n.Masked()
	}
	return n.Reveal()
}

func (e *Export) name(n phone.Name) any {
	switch {
	case n == "":
		return nil
	case e.masked:
		return n.Masked()
	}
	return n.Reveal()
}

func day(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.Format(time.DateOnly)
}
