package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Session is a person's browser at the console.
type Session struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	TenantID   uuid.UUID // Nil for support
	Role       models.Role
	Email      string
	Name       string
	TenantName string
	Stage      models.Stage // only models.StageFull may do anything else than finish signing in
	HasFactor  bool         // a second factor is set up
	MustFactor bool         // and may not be removed
	CreatedAt  time.Time
	ExpiresAt  time.Time // absolute
}

// Visitor is what is known of a browser before anybody has signed in.
type Visitor struct {
	Network netip.Prefix // for the failure buckets; stored nowhere
	Browser string       // "Chrome, Linux": shown in the list of browsers that are signed in
}

// Opened is a session that has just begun, with the secret of its cookie.
type Opened struct {
	Session
	Cookie string
}

func (s Session) mustBeFull() error {
	if s.Stage != models.StageFull {
		return errForbidden
	}
	return nil
}

func (s Session) subject() audit.Subject {
	return audit.Subject{Kind: "user", ID: s.UserID, Tenant: s.TenantID}
}

// errSignIn is one answer for every e-mail and password that do not go together.
var errSignIn = fault.New(fault.Refused, "sign-in-refused", "This e-mail and password do not go together.")

// OpenSession signs a person in at the console. Who has a second factor still has
// to show it, and who must have one has to set it up: see Stage. Work, answer and
// time are the same for users who are there and who are not. Errors:
// sign-in-refused, too-many-failures, sign-in-busy.
func (s *Service) OpenSession(ctx context.Context, email, password string, v Visitor) (opened Opened, err error) {
	email = foldEmail(email)
	err = s.attempt(ctx, s.accountBuckets("sign-in", email, v.Network), isFault(errSignIn), func() error {
		opened, err = s.openSession(ctx, email, password, v)
		return err
	})
	return opened, err
}

func (s *Service) openSession(ctx context.Context, email, password string, v Visitor) (Opened, error) {
	user, err := s.findCredential(ctx, email)
	unknown := errors.Is(err, store.ErrNotFound)
	if err != nil && !unknown {
		return Opened{}, err
	}
	right, err := s.verify(ctx, user.PasswordHash, password)
	if err != nil {
		return Opened{}, err
	}
	opened, row, err := s.newSession(user, stageAfterPassword(user), v)
	if err != nil {
		return Opened{}, err
	}
	if unknown || !right || user.DisabledAt != nil || user.TenantStatus != models.TenantActive {
		return Opened{}, s.noteFailure(ctx, user, "sign-in-failure", errSignIn)
	}
	reason := map[models.Stage]string{models.StageFull: "", models.StageFactor: "the second factor is still to come", models.StageEnrol: "a second factor is to be set up"}
	entry := audit.Entry(audit.By(opened.Actor()), "console-sign-in", opened.subject(), reason[row.Stage])
	return opened, s.DB.BeginSession(ctx, row, uuid.Nil, entry)
}

// findCredential: what is no e-mail is nobody's.
func (s *Service) findCredential(ctx context.Context, email string) (store.Credential, error) {
	email, err := ReadEmail(email)
	if err != nil {
		return store.Credential{}, store.ErrNotFound
	}
	return s.DB.FindCredential(ctx, email)
}

func stageAfterPassword(user store.Credential) models.Stage {
	switch {
	case user.TOTPConfirmedAt != nil:
		return models.StageFactor
	case mustFactor(user):
		return models.StageEnrol
	}
	return models.StageFull
}

func mustFactor(user store.Credential) bool {
	return user.Role == models.RoleSupport || user.FactorRequired
}

// noteFailure writes the failure down and passes it on.
func (s *Service) noteFailure(ctx context.Context, user store.Credential, action string, why error) error {
	subject := audit.Subject{Kind: "user", ID: user.ID}
	if user.TenantID != nil {
		subject.Tenant = *user.TenantID
	}
	if err := s.DB.AddSignInAudit(ctx, audit.Entry(audit.System, action, subject, "")); err != nil {
		return err
	}
	return why
}

// newSession makes a session, and the row that is to be stored of it.
func (s *Service) newSession(user store.Credential, stage models.Stage, v Visitor) (Opened, models.Session, error) {
	cookie, err := newSecret()
	if err != nil {
		return Opened{}, models.Session{}, err
	}
	now := s.Now().UTC()
	row := models.Session{
		ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Hash: hashToken(cookie), Stage: stage,
		Browser: browserName(v.Browser), CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(SessionLife),
	}
	if stage != models.StageFull {
		row.ExpiresAt = now.Add(HalfSession)
	}
	session := sessionOf(store.SessionRow{Credential: user, SessionID: row.ID, Stage: stage, CreatedAt: now, SeenAt: now, ExpiresAt: row.ExpiresAt})
	return Opened{session, cookie}, row, nil
}

func browserName(name string) string {
	if clean, err := cleanDeviceName(name); err == nil {
		return clean
	}
	return "Browser"
}

func sessionOf(row store.SessionRow) Session {
	s := Session{
		ID: row.SessionID, UserID: row.ID, Role: row.Role, Email: row.Email, Name: row.Name, TenantName: row.TenantName,
		Stage: row.Stage, HasFactor: row.TOTPConfirmedAt != nil, MustFactor: mustFactor(row.Credential),
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
	}
	if row.TenantID != nil {
		s.TenantID = *row.TenantID
	}
	return s
}

// FindSession gives the session of a cookie, which counts as its use. Errors:
// unauthorized.
func (s *Service) FindSession(ctx context.Context, cookie string) (Session, error) {
	if !isSecret(cookie) {
		return Session{}, errUnauthorized
	}
	row, err := s.DB.FindSession(ctx, hashToken(cookie))
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, errUnauthorized
	}
	if err != nil {
		return Session{}, err
	}
	now := s.Now()
	if !now.Before(row.ExpiresAt) || row.DisabledAt != nil || !mayGoOn(row, now) {
		return Session{}, errUnauthorized
	}
	session := sessionOf(row)
	if session.Stage == models.StageFull && session.MustFactor && !session.HasFactor {
		session.Stage = models.StageEnrol // required since
	}
	if now.Sub(row.SeenAt) >= time.Minute { // so that not every request writes
		if err := s.DB.TouchSession(ctx, row.SessionID, now.UTC()); err != nil {
			return Session{}, err
		}
	}
	return session, nil
}

// mayGoOn: a session ends with its company's contract or after it was idle; one of
// a contract that has ended, to take the data along, lasts its whole time.
func mayGoOn(row store.SessionRow, now time.Time) bool {
	if row.Stage == models.StageExport {
		return row.TenantStatus == models.TenantEnded
	}
	return row.TenantStatus == models.TenantActive && now.Before(row.SeenAt.Add(SessionIdle))
}

// CloseSession signs the session's person out.
func (s *Service) CloseSession(ctx context.Context, session Session) error {
	return s.CloseBrowser(ctx, session, session.ID)
}

// Browser is a console session as its person sees it.
type Browser struct {
	ID      uuid.UUID
	Name    string
	Since   time.Time
	SeenAt  time.Time // to the minute
	Current bool
}

// Browsers gives where the session's person is signed in at the console.
func (s *Service) Browsers(ctx context.Context, session Session) ([]Browser, error) {
	if err := session.mustBeFull(); err != nil {
		return nil, err
	}
	rows, err := s.DB.Sessions(ctx, session.UserID, s.Now().Add(-SessionIdle))
	browsers := make([]Browser, 0, len(rows))
	for _, row := range rows {
		browsers = append(browsers, Browser{row.ID, row.Browser, row.CreatedAt, row.SeenAt, row.ID == session.ID})
	}
	return browsers, err
}

// CloseBrowser ends one of the person's sessions. Errors: not-found.
func (s *Service) CloseBrowser(ctx context.Context, session Session, id uuid.UUID) error {
	entry := audit.Entry(audit.By(session.Actor()), "console-sign-out", session.subject(), "")
	return s.DB.EndSession(ctx, session.UserID, id, entry)
}

// Notice is something that somebody else did to a person's way of signing in.
type Notice struct {
	At     time.Time
	By     string // admin, support, operator, system
	Action string // pairing-code-create, password-set, password-link-create, second-factor-reset
}

const noticesKept = 90 * 24 * time.Hour

// Notices gives what others did, newest first, of the last 90 days.
func (s *Service) Notices(ctx context.Context, session Session) ([]Notice, error) {
	if err := session.mustBeFull(); err != nil {
		return nil, err
	}
	entries, err := s.DB.Notices(ctx, session.UserID, s.Now().Add(-noticesKept))
	notices := make([]Notice, 0, len(entries))
	for _, e := range entries {
		notices = append(notices, Notice{e.At, e.ActorKind, e.Action})
	}
	return notices, err
}

// foldEmail is how an e-mail is stored and looked for.
func foldEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
