package auth

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/pbx"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// Person is a user as an admin or support sees them.
type Person struct {
	ID          uuid.UUID
	TenantID    uuid.UUID
	TenantName  string
	Email       string
	Name        string // "" for support, who may not see it
	Role        models.Role
	CreatedAt   time.Time
	DisabledAt  *time.Time
	HasPassword bool
	HasFactor   bool
}

func personOf(row store.Person) Person {
	p := Person{
		ID: row.ID, TenantName: row.TenantName, Email: row.Email, Name: row.Name, Role: row.Role, CreatedAt: row.CreatedAt,
		DisabledAt: row.DisabledAt, HasPassword: row.HasPassword, HasFactor: row.HasFactor,
	}
	if row.TenantID != nil {
		p.TenantID = *row.TenantID
	}
	return p
}

func mustBeAdmin(a Actor) error {
	if !a.IsAdmin() {
		return errForbidden
	}
	return nil
}

// PeoplePage is how many people a page shows unless it is asked otherwise.
const PeoplePage = 50

// People gives at most limit of the tenant's users, in the order of their e-mail,
// and where the next page begins, "" when there is none. after is a user's id, ""
// at first.
func (s *Service) People(ctx context.Context, by Actor, after string, limit int) (people []Person, next string, err error) {
	if err := mustBeAdmin(by); err != nil {
		return nil, "", err
	}
	email := ""
	if after != "" {
		id, err := uuid.Parse(after)
		if err != nil {
			return nil, "", store.ErrNotFound
		}
		last, err := s.Person(ctx, by, id)
		if err != nil {
			return nil, "", err
		}
		email = last.Email
	}
	rows, err := s.DB.People(ctx, by.TenantID, email, limit)
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID.String()
	}
	for _, row := range rows {
		people = append(people, personOf(row))
	}
	return people, next, err
}

// Person gives one user, to their admin or to support, whose look is audited.
// Errors: not-found.
func (s *Service) Person(ctx context.Context, by Actor, user uuid.UUID) (Person, error) {
	var row store.Person
	var err error
	switch {
	case by.IsAdmin():
		row, err = s.DB.Person(ctx, store.ForTenant(by.TenantID), user, models.Audit{})
	case by.IsSupport():
		row, err = s.DB.Person(ctx, store.Support, user, look(by, "support-look", user, uuid.Nil))
	default:
		err = errForbidden
	}
	return personOf(row), err
}

var emailForm = regexp.MustCompile(`^[^\s@<>"(),:;\\\[\]\x00-\x1f\x7f]+@[^\s@<>"(),:;\\\[\]\x00-\x1f\x7f]+$`)

// ReadEmail folds an e-mail. Errors: email-invalid.
func ReadEmail(text string) (string, error) {
	email := foldEmail(text)
	if len(email) < 3 || len(email) > 254 || !emailForm.MatchString(email) {
		return "", fault.New(fault.Refused, "email-invalid", "This does not look like an e-mail address.")
	}
	return email, nil
}

// AddPerson makes a user or admin of the tenant and the link that invites them.
// Errors: forbidden, email-invalid, email-taken, name-invalid, role-invalid.
func (s *Service) AddPerson(ctx context.Context, by Actor, email, name string, role models.Role, lang string) (Person, Link, error) {
	if err := mustBeAdmin(by); err != nil {
		return Person{}, Link{}, err
	}
	folded, err := ReadEmail(email)
	if err != nil {
		return Person{}, Link{}, err
	}
	called, err := phone.ParseName(name)
	if err != nil {
		return Person{}, Link{}, err
	}
	if role != models.RoleUser && role != models.RoleAdmin {
		return Person{}, Link{}, fault.New(fault.Refused, "role-invalid", "A person is a user or an administrator.")
	}
	u := models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &by.TenantID, Email: folded, Name: called.Reveal(), Role: role, CreatedAt: s.Now().UTC(),
	}
	link, row, err := s.newLink(models.Invitation, u.ID, by.TenantID, string(by.Role))
	if err != nil {
		return Person{}, Link{}, err
	}
	subject := audit.Subject{Kind: "user", ID: u.ID, Tenant: by.TenantID}
	err = s.DB.CreatePerson(ctx, by.TenantID, u, row, audit.Entry(audit.By(by), "user-create", subject, ""),
		audit.Entry(audit.By(by), "password-link-create", subject, string(row.Kind)))
	if err != nil {
		return Person{}, Link{}, err
	}
	p, err := s.Person(ctx, by, u.ID)
	if err != nil {
		return Person{}, Link{}, err
	}
	return p, s.deliver(ctx, link, p.holder(row), lang), nil
}

func (p Person) holder(row models.PasswordLink) LinkHolder {
	return LinkHolder{row.Kind, p.Email, p.Name, p.TenantName, row.ExpiresAt}
}

// NewLink makes a link with which a user sets a password: an invitation for who
// has none yet, else a reset. Errors: forbidden, not-found.
func (s *Service) NewLink(ctx context.Context, by Actor, user uuid.UUID, lang string) (Link, error) {
	if err := mustBeAdmin(by); err != nil {
		return Link{}, err
	}
	p, err := s.Person(ctx, by, user)
	if err != nil {
		return Link{}, err
	}
	kind := models.Invitation
	if p.HasPassword {
		kind = models.Reset
	}
	link, row, err := s.newLink(kind, p.ID, p.TenantID, string(by.Role))
	if err != nil {
		return Link{}, err
	}
	entry := audit.Entry(audit.By(by), "password-link-create", p.subject(), string(kind))
	if err := s.DB.CreateLink(ctx, store.ForTenant(by.TenantID), row, entry); err != nil {
		return Link{}, err
	}
	return s.deliver(ctx, link, p.holder(row), lang), nil
}

func (p Person) subject() audit.Subject {
	return audit.Subject{Kind: "user", ID: p.ID, Tenant: p.TenantID}
}

var errOneself = fault.New(fault.Conflict, "oneself", "You cannot do this to your own account.")

// SetDisabled closes a user's account, which ends their sign-ins everywhere, or
// opens it again. Errors: forbidden, not-found, oneself.
func (s *Service) SetDisabled(ctx context.Context, by Actor, user uuid.UUID, disabled bool) error {
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	if user == by.UserID {
		return errOneself // or a company could be left without an admin
	}
	action := "user-enable"
	if disabled {
		action = "user-disable"
	}
	subject := audit.Subject{Kind: "user", ID: user, Tenant: by.TenantID}
	gone, err := s.DB.Disable(ctx, by.TenantID, user, disabled, s.Now().UTC(), audit.Entry(audit.By(by), action, subject, ""))
	if err == nil {
		s.spread(ctx, gone.Tokens)
	}
	return err
}

// ChangePerson gives a user another name or e-mail; nil leaves it. Their sign-ins
// stay; links that went to the old e-mail are used up. Errors: forbidden,
// not-found, name-invalid, email-invalid, email-taken.
func (s *Service) ChangePerson(ctx context.Context, by Actor, user uuid.UUID, name, email *string) error {
	if !by.IsAdmin() && (!by.IsOperator() || by.TenantID == uuid.Nil) {
		return errForbidden
	}
	if name != nil {
		called, err := phone.ParseName(*name)
		if err != nil {
			return err
		}
		clean := called.Reveal()
		name = &clean
	}
	if email != nil {
		folded, err := ReadEmail(*email)
		if err != nil {
			return err
		}
		email = &folded
	}
	entry := audit.Entry(audit.By(by), "user-change", audit.Subject{Kind: "user", ID: user, Tenant: by.TenantID}, "")
	return s.DB.ChangePerson(ctx, by.TenantID, user, name, email, entry)
}

// EndSignIns ends all of a user's, who leaves. Errors: forbidden, not-found.
func (s *Service) EndSignIns(ctx context.Context, by Actor, user uuid.UUID) error {
	const why = "account deleted"
	if by.IsOperator() {
		_, err := s.RevokeByOperator(ctx, Which{User: user}, audit.Subject{Kind: "user", ID: user, Tenant: by.TenantID}, why)
		return err
	}
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	_, err := s.Revoke(ctx, by, Which{User: user}, why)
	return err
}

// ResetFactor takes a user's second factor away, for one who has lost it; it is
// to be set up again where it is required. Errors: forbidden, not-found, oneself.
func (s *Service) ResetFactor(ctx context.Context, by Actor, user uuid.UUID) error {
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	if user == by.UserID {
		return errOneself // it asks for a code of it: RemoveFactor
	}
	subject := audit.Subject{Kind: "user", ID: user, Tenant: by.TenantID}
	entry := audit.Entry(audit.By(by), "second-factor-reset", subject, "")
	return s.DB.RemoveFactor(ctx, store.SignInDesk, by.TenantID, user, entry)
}

// PairPerson makes a pairing code for oneself, or, for an admin, for a user of
// the tenant. Errors: not-found.
func (s *Service) PairPerson(ctx context.Context, by Actor, user uuid.UUID) (code string, expires time.Time, err error) {
	subject := audit.Subject{Kind: "user", ID: user, Tenant: by.TenantID}
	switch {
	case by.UserID == user:
		return s.pair(ctx, store.SignInDesk, subject, "user", audit.By(by))
	case by.IsAdmin():
		return s.pair(ctx, store.ForTenant(by.TenantID), subject, "admin", audit.By(by))
	}
	return "", time.Time{}, store.ErrNotFound
}

// Phone is a person's device.
type Phone struct {
	ID       uuid.UUID
	Label    string
	Endpoint string
	CallerID string // as it is shown to people; "" when the PBX decides
	Withheld bool
}

// Phones gives a user's phones, the one that rings first. Errors: forbidden,
// not-found.
func (s *Service) Phones(ctx context.Context, by Actor, user uuid.UUID) ([]Phone, error) {
	if _, err := s.Person(ctx, by, user); err != nil || !by.IsAdmin() {
		return nil, errors.Join(err, mustBeAdmin(by))
	}
	rows, err := s.DB.Devices(ctx, by.TenantID, user)
	phones := make([]Phone, 0, len(rows))
	for _, row := range rows {
		p := Phone{ID: row.ID, Label: row.Label, Endpoint: row.Endpoint, Withheld: row.Withheld}
		if !row.CallerID.IsZero() {
			p.CallerID = row.CallerID.Reveal()
		}
		phones = append(phones, p)
	}
	return phones, err
}

// NewPhone is a phone to be added.
type NewPhone struct{ Label, Endpoint, CallerID string }

// AddPhone gives a user a phone, within what the operator has given the tenant.
// Errors: forbidden, not-found, label-invalid, endpoint-invalid,
// caller-id-invalid, device-not-allowed, label-taken.
func (s *Service) AddPhone(ctx context.Context, by Actor, user uuid.UUID, fresh NewPhone) error {
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	label, err := cleanDeviceName(fresh.Label)
	if err != nil {
		return fault.New(fault.Refused, "label-invalid", "A phone is called something of 1 to 80 printable characters.")
	}
	if !pbx.ValidEndpoint(fresh.Endpoint) {
		return fault.New(fault.Refused, "endpoint-invalid", "An endpoint is 1 to 40 letters, digits, - or _.")
	}
	d := models.Device{
		ID: uuid.Must(uuid.NewV7()), TenantID: by.TenantID, UserID: user, Label: label, Endpoint: fresh.Endpoint, CreatedAt: s.Now().UTC(),
	}
	if fresh.CallerID != "" {
		tenant, err := s.DB.TenantSettings(ctx, by.TenantID)
		if err != nil {
			return err
		}
		number, err := phone.Parse(fresh.CallerID, tenant.Region)
		if err != nil {
			return fault.New(fault.Refused, "caller-id-invalid", "This is not a number that can be shown.")
		}
		d.CallerID = number
	}
	entry := audit.Entry(audit.By(by), "device-add", audit.Subject{Kind: "device", ID: d.ID, Tenant: by.TenantID}, "")
	return s.DB.AddPhone(ctx, d, entry)
}

// RemovePhone takes a phone from a user. Errors: forbidden, not-found.
func (s *Service) RemovePhone(ctx context.Context, by Actor, user, device uuid.UUID) error {
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	entry := audit.Entry(audit.By(by), "device-remove", audit.Subject{Kind: "device", ID: device, Tenant: by.TenantID}, "")
	return s.DB.RemovePhone(ctx, by.TenantID, user, device, entry)
}

// FactorRequired says whether the tenant asks everybody for a second factor.
func (s *Service) FactorRequired(ctx context.Context, by Actor) (bool, error) {
	if err := mustBeAdmin(by); err != nil {
		return false, err
	}
	return s.DB.FactorRequired(ctx, by.TenantID)
}

// RequireFactor sets whether it does; who has none sets one up at the next page.
func (s *Service) RequireFactor(ctx context.Context, by Actor, required bool) error {
	if err := mustBeAdmin(by); err != nil {
		return err
	}
	action := "second-factor-require"
	if !required {
		action = "second-factor-leave"
	}
	entry := audit.Entry(audit.By(by), action, audit.Subject{Kind: "tenant", ID: by.TenantID, Tenant: by.TenantID}, "")
	return s.DB.RequireFactor(ctx, by.TenantID, required, entry)
}
