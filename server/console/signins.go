package console

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/auth"
)

// endedShown is how long an ended sign-in stays on the pages.
const endedShown = 28 * 24 * time.Hour

// signInList is the sign-ins of one person, with what ends them.
type signInList struct {
	Alive, Ended []auth.SignIn
	Base         string // the path that the actions are below
	Mine         bool   // the person is looking at their own
}

func (v *visit) signIns(user uuid.UUID, base string) (signInList, error) {
	all, err := v.Auth.SignIns(v.c.UserContext(), v.session.Actor(), user)
	list := v.arrange(all, base)
	list.Mine = user == v.session.UserID
	return list, err
}

// arrange puts those that can be used before those that ended lately.
func (v *visit) arrange(all []auth.SignIn, base string) signInList {
	list := signInList{Base: base}
	for _, s := range all {
		switch {
		case s.Alive:
			list.Alive = append(list.Alive, s)
		case v.Now().Sub(endOf(s)) < endedShown:
			list.Ended = append(list.Ended, s)
		}
	}
	return list
}

func endOf(s auth.SignIn) time.Time {
	if s.RevokedAt != nil {
		return *s.RevokedAt
	}
	return s.ExpiresAt
}

// revoke ends the sign-in of the path, or all of the user where it names none.
func (v *visit) revoke(user uuid.UUID, reason string) error {
	which := auth.Which{User: user}
	if v.c.Params("signIn") != "" {
		id, err := v.id("signIn")
		if err != nil {
			return err
		}
		which = auth.Which{SignIn: id}
	}
	_, err := v.Auth.Revoke(v.c.UserContext(), v.session.Actor(), which, reason)
	return err
}

// The words for who did something, in the three places where they stand: "by …",
// as a subject, and in "made by".
var (
	byWords = map[string]string{
		"user": "by-user", "admin": "by-admin", "support": "by-support", "operator": "by-operator", "system": "by-system",
	}
	subjectWords = map[string]string{"admin": "subject-admin", "support": "subject-support", "operator": "subject-operator", "system": "subject-system"}
	madeByWords  = map[string]string{"admin": "made-by-admin", "operator": "made-by-operator"}
	noticeWords  = map[string]string{
		"pairing-code-create": "notice-pairing", "password-set": "notice-password",
		"password-link-create": "notice-link", "second-factor-reset": "notice-factor",
	}
)

// MadeBy says who made the code that a sign-in began with; "" when its person did.
func (p *page) MadeBy(s auth.SignIn) string {
	if key := madeByWords[s.MadeBy]; key != "" {
		return p.T(key)
	}
	return ""
}

// Ended says when a sign-in ended, by whom, and why.
func (p *page) Ended(s auth.SignIn, mine bool) string {
	if s.RevokedAt == nil {
		return p.T("ended-expired")
	}
	by := "system"
	if s.RevokedBy != nil {
		by = *s.RevokedBy
	}
	key := byWords[by]
	if mine && by == "user" {
		key = "by-you"
	}
	if key == "" {
		key = "by-system"
	}
	text := p.T("ended-by", p.When(*s.RevokedAt).Text, p.T(key))
	if s.RevokedReason != nil && *s.RevokedReason != "" {
		text += ": " + reasonText(p.Lang, *s.RevokedReason)
	}
	return text
}

// noticeText says what was done to a person's sign-in; "" for what we have no words for.
func noticeText(lang string, n auth.Notice) string {
	who, what := subjectWords[n.By], noticeWords[n.Action]
	if who == "" || what == "" {
		return ""
	}
	return say(lang, what, say(lang, who))
}
