package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

// Subject is whom an act is about. Numbers stand in bodies only.
type Subject struct {
	Number    string     `json:"number,omitempty" maxLength:"256" doc:"of a called party, in any spelling; with its extension, that one only. Either this or userId"`
	UserID    *uuid.UUID `json:"userId,omitempty"`
	RequestID *uuid.UUID `json:"requestId,omitempty" doc:"the open request that this answers; without it, a user's oldest for the same act, or one that is received and done now"`
}

// Receipt is a request of a data subject and, once it is done, its receipt: then it
// holds no person.
type Receipt struct {
	ID         uuid.UUID  `json:"id"`
	Reference  string     `json:"reference" doc:"eight letters, for letters and e-mails"`
	Act        string     `json:"act" enum:"access,correction,erasure,restriction,restriction-lifted,objection,objection-lifted,departure"`
	Subject    string     `json:"subject" enum:"user,number"`
	UserID     *uuid.UUID `json:"userId" doc:"who asks, while it is open; null for a called party, of whom nothing is kept"`
	ReceivedAt time.Time  `json:"receivedAt"`
	DueAt      time.Time  `json:"dueAt" doc:"one month after it was received"`
	Late       bool       `json:"late" doc:"open after its time"`
	DoneAt     *time.Time `json:"doneAt" doc:"null while it is open"`
	Refused    bool       `json:"refused"`
	Records    int64      `json:"records" doc:"how many the act met"`
}

func (a *API) wireReceipt(r retention.Receipt) Receipt {
	out := Receipt{
		ID: r.ID, Reference: r.Reference, Act: string(r.Act), Subject: string(r.Subject), ReceivedAt: r.ReceivedAt, DueAt: r.DueAt,
		Late: r.Late(a.Now()), DoneAt: r.DoneAt, Refused: r.Refused, Records: r.Records,
	}
	if r.User != uuid.Nil {
		out.UserID = &r.User
	}
	return out
}

// SubjectFound is what is held about a data subject.
type SubjectFound struct {
	Records    int64      `json:"records"`
	Live       int64      `json:"live" doc:"of which are calls that are up"`
	Oldest     *time.Time `json:"oldest"`
	Newest     *time.Time `json:"newest"`
	Restricted bool       `json:"restricted"`
	DoNotDial  bool       `json:"doNotDial"`
	SignIns    int64      `json:"signIns" doc:"of a user, as are the next two"`
	Phones     int64      `json:"phones"`
	Refusals   int64      `json:"refusals"`
}

type (
	subjectInput  struct{ Body Subject }
	receiptOutput struct{ Body Receipt }
	foundOutput   struct{ Body SubjectFound }
)

type correctInput struct {
	Body struct {
		Subject
		Name  *string `json:"name,omitempty" maxLength:"400" doc:"in all records of the number, or of the user"`
		Email *string `json:"email,omitempty" maxLength:"254" doc:"of a user"`
	}
}

type fileInput struct {
	Body struct {
		Number     string     `json:"number,omitempty" maxLength:"256" doc:"of a called party; it is not kept. Either this or userId"`
		UserID     *uuid.UUID `json:"userId,omitempty"`
		Act        string     `json:"act" enum:"access,correction,erasure,restriction,restriction-lifted,objection,objection-lifted,departure"`
		ReceivedAt *time.Time `json:"receivedAt,omitempty" doc:"when the letter came, at most a year ago; now unless it is said"`
	}
}

type ownFileInput struct {
	Body struct {
		Act string `json:"act" enum:"access,correction,erasure,restriction,restriction-lifted,departure"`
	}
}

type requestsInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
	Open   bool   `query:"open" doc:"only those that are not done"`
}

func (a *API) registerPrivacy(h huma.API) {
	admin := func(method, path, id, summary string, errs ...int) huma.Operation {
		return operationFor(models.RoleAdmin, method, "/v1/admin/privacy"+path, id, summary, errs...)
	}
	huma.Register(h, admin(http.MethodPost, "/find", "findSubject", "What is held about somebody", 404, 422), a.findSubject)
	huma.Register(h, admin(http.MethodPost, "/correct", "correctSubject", "Put a name or e-mail right", 404, 409, 422), a.correctSubject)
	for _, act := range []struct {
		path, id, summary string
		do                func(context.Context, models.Actor, retention.Subject, uuid.UUID) (retention.Receipt, error)
	}{
		{"/erase", "eraseSubject", "Erase somebody's records", a.Privacy.Erase},
		{"/object", "objectSubject", "Put a number on the do-not-dial list", a.Privacy.Object},
		{"/object/lift", "liftObjection", "Take it off", a.Privacy.LiftObjection},
		{"/restrict", "restrictSubject", "Hide somebody's ended records (GDPR art. 18)", a.Privacy.Restrict},
		{"/restrict/lift", "liftRestriction", "Show them again", a.Privacy.LiftRestriction},
	} {
		huma.Register(h, admin(http.MethodPost, act.path, act.id, act.summary, 404, 409, 422), func(ctx context.Context, in *subjectInput) (*receiptOutput, error) {
			s, request, err := a.readSubject(ctx, in.Body)
			if err != nil {
				return nil, err
			}
			r, err := act.do(ctx, principalOf(ctx).Actor(), s, request)
			return &receiptOutput{a.wireReceipt(r)}, err
		})
	}
	huma.Register(h, admin(http.MethodGet, "/requests", "listPrivacyRequests", "Requests and receipts, newest first"), a.privacyRequests)
	file := admin(http.MethodPost, "/requests", "filePrivacyRequest", "Note a request that came by letter", 404, 422)
	file.DefaultStatus = http.StatusCreated
	huma.Register(h, file, a.fileRequest)
	huma.Register(h, admin(http.MethodPost, "/requests/{id}/refuse", "refusePrivacyRequest", "Close a request without granting it", 404, 409), a.refuseRequest)
	own := operation(http.MethodPost, "/v1/me/privacy-requests", "fileMyPrivacyRequest", "Ask my company for something (GDPR)", auth.ScopeRead, 422)
	own.DefaultStatus = http.StatusCreated
	huma.Register(h, own, a.fileOwnRequest)
	huma.Register(h, operation(http.MethodGet, "/v1/me/privacy-requests", "listMyPrivacyRequests", "What I have asked for that is still open", auth.ScopeRead), a.ownRequests)
}

func (a *API) readSubject(ctx context.Context, in Subject) (s retention.Subject, request uuid.UUID, err error) {
	if in.RequestID != nil {
		request = *in.RequestID
	}
	s, err = a.Privacy.Read(ctx, principalOf(ctx).Actor(), in.Number, idOf(in.UserID))
	return s, request, err
}

func idOf(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

func (a *API) findSubject(ctx context.Context, in *subjectInput) (*foundOutput, error) {
	s, _, err := a.readSubject(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	f, err := a.Privacy.Find(ctx, principalOf(ctx).Actor(), s)
	return &foundOutput{SubjectFound{
		Records: f.Records, Live: f.Live, Oldest: utc(f.Oldest), Newest: utc(f.Newest), Restricted: f.Restricted, DoNotDial: f.DoNotDial,
		SignIns: f.SignIns, Phones: f.Phones, Refusals: f.Refusals,
	}}, err
}

func (a *API) correctSubject(ctx context.Context, in *correctInput) (*receiptOutput, error) {
	s, request, err := a.readSubject(ctx, in.Body.Subject)
	if err != nil {
		return nil, err
	}
	r, err := a.Privacy.Correct(ctx, principalOf(ctx).Actor(), s, request, retention.Correction{Name: in.Body.Name, Email: in.Body.Email})
	return &receiptOutput{a.wireReceipt(r)}, err
}

func (a *API) privacyRequests(ctx context.Context, in *requestsInput) (*list[Receipt], error) {
	after, err := call.ReadCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, more, err := a.Privacy.Requests(ctx, principalOf(ctx).Actor(), in.Open, retention.Place{At: after.At, ID: after.ID}, in.Limit)
	if err != nil {
		return nil, err
	}
	out := listOf(rows, a.wireReceipt)
	if more {
		last := rows[len(rows)-1].Place()
		raw := binary.BigEndian.AppendUint64(nil, uint64(last.At.UnixMicro()))
		next := base64.RawURLEncoding.EncodeToString(append(raw, last.ID[:]...))
		out.Body.Next = &next
	}
	return out, nil
}

func (a *API) fileRequest(ctx context.Context, in *fileInput) (*receiptOutput, error) {
	by := principalOf(ctx).Actor()
	s, err := a.Privacy.Read(ctx, by, in.Body.Number, idOf(in.Body.UserID))
	if err != nil {
		return nil, err
	}
	var received time.Time
	if in.Body.ReceivedAt != nil {
		if received = *in.Body.ReceivedAt; received.IsZero() {
			return nil, fault.New(fault.Refused, "received-invalid", "A request was received at most a year ago, and not in the future.")
		}
	}
	r, err := a.Privacy.File(ctx, by, s, models.PrivacyAct(in.Body.Act), received)
	return &receiptOutput{a.wireReceipt(r)}, err
}

func (a *API) refuseRequest(ctx context.Context, in *userID) (*receiptOutput, error) {
	r, err := a.Privacy.Refuse(ctx, principalOf(ctx).Actor(), in.ID)
	return &receiptOutput{a.wireReceipt(r)}, err
}

func (a *API) fileOwnRequest(ctx context.Context, in *ownFileInput) (*receiptOutput, error) {
	by := principalOf(ctx).Actor()
	r, err := a.Privacy.File(ctx, by, retention.Subject{User: by.UserID}, models.PrivacyAct(in.Body.Act), time.Time{})
	return &receiptOutput{a.wireReceipt(r)}, err
}

func (a *API) ownRequests(ctx context.Context, _ *struct{}) (*list[Receipt], error) {
	rows, err := a.Privacy.OwnRequests(ctx, principalOf(ctx).Actor())
	if err != nil {
		return nil, err
	}
	return listOf(rows, a.wireReceipt), nil
}

func (a *API) deletePerson(ctx context.Context, in *userID) (*receiptOutput, error) {
	r, err := a.Privacy.Depart(ctx, principalOf(ctx).Actor(), in.ID, uuid.Nil)
	return &receiptOutput{a.wireReceipt(r)}, err
}
