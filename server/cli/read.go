package cli

import (
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

var regionForm = regexp.MustCompile(`^[A-Z]{2}$`)

func readRegion(region, otherwise string) (string, error) {
	if region == "" {
		region = otherwise
	}
	region = strings.ToUpper(region)
	if !regionForm.MatchString(region) {
		return "", &usageError{"--region is two letters (ISO 3166)"}
	}
	return region, nil
}

func readEmail(email string) (string, error) {
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Name != "" || addr.Address != email || len(email) > 254 {
		return "", &usageError{"that is no e-mail address"}
	}
	folded, err := auth.ReadEmail(email) // who cannot type it at sign-in could not sign in
	if err != nil {
		return "", &usageError{"that is no e-mail address"}
	}
	return folded, nil
}

// readLine reads what people will read: one line of 1 to limit characters.
func readLine(flag, text string, limit int) error {
	n := utf8.RuneCountInString(text)
	if n < 1 || n > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return &usageError{fmt.Sprintf("%s is 1 to %d printable characters", flag, limit)}
	}
	return nil
}

// readReveal reads the reason for which numbers and names are printed whole; "" does
// not ask.
func readReveal(reason string) error {
	if reason == "" {
		return nil
	}
	const least = 3
	if utf8.RuneCountInString(strings.TrimSpace(reason)) < least {
		return &usageError{"--reveal is a reason of 3 to 200 characters"}
	}
	return readLine("--reveal", reason, maxReason)
}

// number is a number as the operator may see it.
func (r *run) number(n phone.Number) string {
	if r.reveal != "" {
		return n.Reveal()
	}
	return n.Masked()
}

// auditReveal notes that numbers or names were asked for whole, and why.
func (r *run) auditReveal(db *store.DB, whose audit.Subject) error {
	if r.reveal == "" {
		return nil
	}
	return db.AddAudit(r.ctx, audit.Entry(audit.Operator, "reveal", whose, r.reveal))
}

// maxReason is what the audit takes.
const maxReason = 200

func readID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, &usageError{"that is no id"}
	}
	return parsed, nil
}

func readCallerIDs(raw []string, region string) ([]string, error) {
	ids := []string{}
	for _, text := range raw {
		if text == "" {
			continue
		}
		n, err := readCallerID(text, region)
		if err != nil {
			return nil, err
		}
		ids = append(ids, n.E164())
	}
	return ids, nil
}

func readCallerID(text, region string) (phone.Number, error) {
	n, err := phone.Parse(text, region)
	if err == nil && (n.E164() == "" || n.Reveal() != n.E164()) {
		err = &usageError{"a caller id is a whole telephone number"}
	}
	return n, err
}
