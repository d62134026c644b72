package console

import (
	"time"

	"clicktodial/server/auth"
)

type mineData struct {
	SignIns  signInList
	Browsers []auth.Browser
	Notices  []noticeRow
}

// noticeRow is something that somebody else did to the person's sign-in.
type noticeRow struct {
	Text string
	At   time.Time
}

func (v *visit) minePage() error {
	ctx := v.c.UserContext()
	list, err := v.signIns(v.session.UserID, "/console")
	if err != nil {
		return err
	}
	browsers, err := v.Auth.Browsers(ctx, v.session)
	if err != nil {
		return err
	}
	notices, err := v.Auth.Notices(ctx, v.session)
	if err != nil {
		return err
	}
	d := mineData{SignIns: list, Browsers: browsers}
	for _, n := range notices {
		if text := noticeText(v.lang, n); text != "" {
			d.Notices = append(d.Notices, noticeRow{text, n.At})
		}
	}
	return v.render("sign-ins", d)
}

func (v *visit) revokeMine() error {
	if err := v.revoke(v.session.UserID, ""); err != nil {
		return err
	}
	if v.c.Params("signIn") == "" { // of all, this browser's session is one
		sessionCookie.Clear(v.c)
		return v.redirect("/console/sign-in", "revoked")
	}
	return v.redirect("/console/sign-ins", "revoked")
}

func (v *visit) closeBrowser() error {
	id, err := v.id("browser")
	if err != nil {
		return err
	}
	if err := v.Auth.CloseBrowser(v.c.UserContext(), v.session, id); err != nil {
		return err
	}
	return v.redirect("/console/sign-ins", "browser")
}

// codeData is a pairing code, which is shown this once.
type codeData struct {
	Code  string
	Until time.Time
	For   string // another person's e-mail; "" for one's own
	Back  string
}

func (v *visit) pairMyself() error {
	code, until, err := v.Auth.PairPerson(v.c.UserContext(), v.session.Actor(), v.session.UserID)
	if err != nil {
		return err
	}
	return v.render("code", codeData{Code: code, Until: until, Back: "/console/sign-ins"})
}
