package auth

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Link lets its holder set a password, once.
type Link struct {
	URL       string
	ExpiresAt time.Time
	Mailed    bool // it was mailed, and need not be shown
}

// LinkHolder is who a link is for.
type LinkHolder struct {
	Kind       models.LinkKind
	Email      string
	Name       string
	TenantName string
	ExpiresAt  time.Time
}

// LinkPath is where a link leads, with its secret as code.
const LinkPath = "/console/link"

var errLink = fault.New(fault.Refused, "link-invalid",
	"This link is not valid any more: a link works once, and for a limited time. Ask for a new one.")

// newLink makes a link, and the row that is to be stored of it.
func (s *Service) newLink(kind models.LinkKind, user, tenant uuid.UUID, madeBy string) (Link, models.PasswordLink, error) {
	secret, err := newSecret()
	if err != nil {
		return Link{}, models.PasswordLink{}, err
	}
	life := InvitationLife
	if kind == models.Reset {
		life = ResetLife
	}
	now := s.Now().UTC()
	row := models.PasswordLink{
		ID: uuid.Must(uuid.NewV7()), UserID: user, Kind: kind, Hash: hashToken(secret), MadeBy: madeBy,
		CreatedAt: now, ExpiresAt: now.Add(life),
	}
	if tenant != uuid.Nil {
		row.TenantID = &tenant
	}
	return Link{URL: s.PublicURL + LinkPath + "?code=" + secret, ExpiresAt: row.ExpiresAt}, row, nil
}

// deliver mails a link where mail is set up; else whoever made it passes it on.
func (s *Service) deliver(ctx context.Context, link Link, to LinkHolder, lang string) Link {
	if s.Mail == nil {
		return link
	}
	if err := s.Mail(ctx, to, link.URL, lang); err != nil {
		s.log().Warn("a link was not mailed: it is shown instead", "error", err)
		return link
	}
	link.Mailed = true
	return link
}

// Invite makes the link of a new user, for the command line. It shows itself: the
// operator passes it on.
func (s *Service) Invite(user models.User) (Link, models.PasswordLink, error) {
	tenant := uuid.Nil
	if user.TenantID != nil {
		tenant = *user.TenantID
	}
	return s.newLink(models.Invitation, user.ID, tenant, "operator")
}

// FindLink tells who a link is for, as long as it can be used. Errors:
// link-invalid.
func (s *Service) FindLink(ctx context.Context, code string) (LinkHolder, error) {
	link, user, err := s.findLink(ctx, code)
	return LinkHolder{link.Kind, user.Email, user.Name, user.TenantName, link.ExpiresAt}, err
}

func (s *Service) findLink(ctx context.Context, code string) (link models.PasswordLink, user store.Credential, err error) {
	if !isSecret(code) {
		return link, user, errLink
	}
	hash, now := hashToken(code), s.Now().UTC()
	link, err = s.DB.FindLink(ctx, hash, now)
	if errors.Is(err, store.ErrNotFound) {
		link, err = s.DB.FindExportLink(ctx, hash, now)
	}
	if err == nil {
		user, err = s.DB.Credential(ctx, link.UserID)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = errLink
	}
	return link, user, err
}

// UseLink sets the password of the person whom the link is for, and signs them in
// as far as a password does: see Opened.Stage. Errors: link-invalid,
// password-weak, password-common.
func (s *Service) UseLink(ctx context.Context, code, password string, v Visitor) (Opened, error) {
	link, user, err := s.findLink(ctx, code)
	if err != nil {
		return Opened{}, err
	}
	if link.Kind == models.Export { // no password is set by it
		return Opened{}, errLink
	}
	if err := CheckPassword(password, guessable(user.Email, user.Name, user.TenantName)...); err != nil {
		return Opened{}, err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return Opened{}, err
	}
	opened, row, err := s.newSession(user, stageAfterPassword(user), v)
	if err != nil {
		return Opened{}, err
	}
	entry := audit.Entry(audit.By(opened.Actor()), "password-link-use", opened.subject(), string(link.Kind))
	err = s.DB.UseLink(ctx, link, row, hash, s.Now().UTC(), entry)
	if errors.Is(err, store.ErrNotFound) {
		err = errLink
	}
	return opened, err
}
