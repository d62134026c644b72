package console

import (
	"strings"
	"time"

	"clicktodial/server/register"
)

// privacyData is the public notice: for those who call, and those who are called.
type privacyData struct {
	register.Settings
}

// privacyPage is for anyone; it looks at nobody's session and sets no cookie.
func (v *visit) privacyPage() error {
	notice := v.Notice
	notice.Contact = strings.TrimSpace(notice.Contact)
	notice.Locations = strings.TrimSpace(notice.Locations)
	return v.render("privacy", privacyData{notice})
}

// Span says a length of time: "90 days", "5 seconds".
func (p *page) Span(length time.Duration) string { return register.Span(p.Lang, length) }

// SignInsKept is how long the list of a person's sign-ins goes back.
func (privacyData) SignInsKept() time.Duration { return register.SignInKept }
