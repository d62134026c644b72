package console

import (
	"encoding/base64"
	"html/template"
	"strings"

	"clicktodial/models"
)

type factorData struct{ Next string }

// factorPage asks for the second factor, or shows what can be done with it.
func (v *visit) factorPage() error {
	switch v.session.Stage {
	case models.StageEnrol:
		return v.afterwards(v.session, v.next())
	case models.StageFactor:
		return v.render("factor", factorData{v.next()})
	case models.StageFull:
	}
	return v.render("factor-state", nil)
}

func (v *visit) passFactor() error {
	if v.session.Stage != models.StageFactor {
		return errNotFound
	}
	opened, err := v.Auth.PassFactor(v.c.UserContext(), v.session, v.form["code"], v.visitor())
	if err != nil {
		return v.again("factor", err, (*visit).factorPage)
	}
	return v.begin(opened, v.next())
}

type enrolData struct {
	Next   string
	QR     template.URL // a data: URL of a picture that we made
	Secret string       // in groups of four
}

func (v *visit) enrolPage() error {
	if v.session.Stage == models.StageFactor || v.session.HasFactor {
		return v.redirect("/console/factor", "")
	}
	begin := v.Auth.BeginFactor
	if v.failure != nil { // a mistyped code asks for no new scan
		begin = v.Auth.PendingFactor
	}
	e, err := begin(v.c.UserContext(), v.session)
	if err != nil {
		return err
	}
	return v.render("factor-new", enrolData{
		Next: v.next(), Secret: inFours(e.Secret),
		QR: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(e.PNG)), //nolint:gosec // ours
	})
}

type codesData struct {
	Codes []string
	Next  string
}

func (v *visit) enrol() error {
	if v.session.Stage == models.StageFactor {
		return errNotFound
	}
	codes, opened, err := v.Auth.ConfirmFactor(v.c.UserContext(), v.session, v.form["code"], v.visitor())
	if err != nil {
		return v.again("factor-new", err, (*visit).enrolPage)
	}
	next := v.next() // the page cannot be opened again, so nothing leads on but its link
	v.session = opened.Session
	sessionCookie.Set(v.c, opened.Cookie)
	return v.render("factor-codes", codesData{codes, next})
}

func (v *visit) newCodes() error {
	codes, err := v.Auth.NewRecoveryCodes(v.c.UserContext(), v.session, v.form["code"], v.visitor())
	if err != nil {
		return v.again("codes", err, (*visit).factorPage)
	}
	return v.render("factor-codes", codesData{codes, "/console/factor"})
}

func (v *visit) removeFactor() error {
	if err := v.Auth.RemoveFactor(v.c.UserContext(), v.session, v.form["code"], v.visitor()); err != nil {
		return v.again("remove", err, (*visit).factorPage)
	}
	return v.redirect("/console/factor", "factor-removed")
}

// inFours is easier to type over.
func inFours(secret string) string {
	var out strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
	}
	return out.String()
}
