package auth

import (
	"context"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
)

var supportCodeForm = regexp.MustCompile(`^[A-Z]{6}$`)

// FindPerson gives whom support looks for, by whole e-mail or by six-letter
// support code; nobody is no error. The look is audited. Errors: forbidden,
// search-invalid.
func (s *Service) FindPerson(ctx context.Context, by Actor, emailOrCode string) ([]Person, error) {
	if !by.isSupport() {
		return nil, errForbidden
	}
	typed := strings.TrimSpace(emailOrCode)
	code := strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(typed, " ", ""), "-", ""))
	email := ""
	switch {
	case len(typed) > 254:
		return nil, errSearch
	case strings.Contains(typed, "@"):
		email, code = foldEmail(typed), ""
	case !supportCodeForm.MatchString(code):
		return nil, errSearch
	}
	rows, err := s.DB.FindPeople(ctx, email, code, audit.Entry(by.audit(), "support-search", audit.Subject{}, ""))
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
	return s.DB.MaskedCalls(ctx, p.TenantID, user, by.look("support-look-calls", user, p.TenantID))
}

// Refusals gives support the newest refused clicks of a user. The look is
// audited. Errors: forbidden, not-found.
func (s *Service) Refusals(ctx context.Context, by Actor, user uuid.UUID) ([]models.Refusal, error) {
	p, err := s.personForSupport(ctx, by, user)
	if err != nil {
		return nil, err
	}
	return s.DB.Refusals(ctx, p.TenantID, user, by.look("support-look-refusals", user, p.TenantID))
}

func (s *Service) personForSupport(ctx context.Context, by Actor, user uuid.UUID) (Person, error) {
	if !by.isSupport() {
		return Person{}, errForbidden
	}
	return s.Person(ctx, by, user)
}
