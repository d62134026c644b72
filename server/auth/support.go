package auth

import (
	"context"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

var supportCodeForm = regexp.MustCompile(`^[A-Z]{6}$`)

// FindPerson gives whom support looks for, by whole e-mail or by six-letter
// support code; nobody is no error. The look is audited. Errors: forbidden,
// search-invalid.
func (s *Service) FindPerson(ctx context.Context, by Actor, emailOrCode string) ([]Person, error) {
	if !by.IsSupport() {
		return nil, errForbidden
	}
	typed := strings.TrimSpace(emailOrCode)
	code := strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(typed, " ", ""), "-", ""))
	email, err := ReadEmail(typed)
	switch {
	case err == nil:
		code = ""
	case !supportCodeForm.MatchString(code):
		return nil, errSearch
	}
	rows, err := s.DB.FindPeople(ctx, email, code, audit.Entry(audit.By(by), "support-search", audit.Subject{}, ""))
	people := make([]Person, 0, len(rows))
	for _, row := range rows {
		people = append(people, personOf(row))
	}
	return people, err
}

var errSearch = fault.New(fault.Refused, "search-invalid", "Type a whole e-mail address, or a support code of six letters.")

// MaskedCalls gives support the newest calls of a user, masked. The look is
// audited. Errors: forbidden, not-found.
func (s *Service) MaskedCalls(ctx context.Context, by Actor, user uuid.UUID) ([]models.MaskedCall, error) {
	p, err := s.personForSupport(ctx, by, user)
	if err != nil {
		return nil, err
	}
	return s.DB.MaskedCalls(ctx, tenantOf(p), user, look(by, "support-look-calls", user, tenantOf(p)))
}

// Refusals gives support the newest refused clicks of a user. The look is
// audited. Errors: forbidden, not-found.
func (s *Service) Refusals(ctx context.Context, by Actor, user uuid.UUID) ([]models.Refusal, error) {
	p, err := s.personForSupport(ctx, by, user)
	if err != nil {
		return nil, err
	}
	return s.DB.Refusals(ctx, tenantOf(p), user, look(by, "support-look-refusals", user, tenantOf(p)))
}

// personForSupport is no look by itself: what is looked at of the person is.
func (s *Service) personForSupport(ctx context.Context, by Actor, user uuid.UUID) (store.Person, error) {
	if !by.IsSupport() {
		return store.Person{}, errForbidden
	}
	return s.DB.Person(ctx, store.Support, user, models.Audit{})
}

func tenantOf(p store.Person) uuid.UUID {
	if p.TenantID == nil {
		return uuid.Nil
	}
	return *p.TenantID
}

// Errand is all that support sees of a person at one look.
type Errand struct {
	Person   Person
	SignIns  []SignIn
	Calls    []models.MaskedCall
	Refusals []models.Refusal
}

// Errand gives support all of a user at one look, which is audited as one. Errors:
// forbidden, not-found.
func (s *Service) Errand(ctx context.Context, by Actor, user uuid.UUID) (e Errand, err error) {
	p, err := s.personForSupport(ctx, by, user)
	if err != nil {
		return e, err
	}
	e.Person = personOf(p)
	rows, err := s.DB.SignIns(ctx, store.Support, user)
	if err != nil {
		return e, err
	}
	e.SignIns = signInsOf(rows)
	if e.Calls, err = s.DB.MaskedCalls(ctx, tenantOf(p), user, models.Audit{}); err != nil {
		return e, err
	}
	e.Refusals, err = s.DB.Refusals(ctx, tenantOf(p), user, look(by, "support-look", user, tenantOf(p)))
	return e, err
}
