package console

import (
	"clicktodial/models"
	"clicktodial/server/auth"
)

// home leads each role to where its work is.
func (v *visit) home() error {
	switch v.session.Role {
	case models.RoleSupport:
		return v.redirect("/console/support", "")
	case models.RoleAdmin:
		return v.redirect(historyPath, "")
	case models.RoleUser:
	}
	return v.redirect("/console/sign-ins", "")
}

// signInData: the e-mail is asked for first, the password on a page of its own
// where the e-mail is in no field. Given both in fields, Chrome sends the browser
// vendor a question about them (its password leak check; measured with a net log).
type signInData struct {
	Next       string
	Connecting bool   // an extension is waiting
	Email      string // "": it is asked for
}

func (v *visit) signInPage() error {
	signedIn, err := v.load()
	if err != nil {
		return err
	}
	if signedIn && v.failure == nil {
		return v.afterwards(v.session, v.next())
	}
	next := v.next()
	return v.render("sign-in", signInData{Next: next, Connecting: isAuthorization(next), Email: v.emailOnce()})
}

// emailOnce is the e-mail that the first page has asked for.
func (v *visit) emailOnce() string {
	if v.failure != nil && v.failure.field == "email" {
		return ""
	}
	return v.form["email"]
}

func (v *visit) signIn() error {
	if _, asked := v.form["password"]; !asked {
		_, err := auth.ReadEmail(v.form["email"])
		if err != nil {
			return v.again("sign-in", err, (*visit).signInPage)
		}
		next := v.next()
		return v.render("sign-in", signInData{Next: next, Connecting: isAuthorization(next), Email: v.form["email"]})
	}
	opened, err := v.Auth.OpenSession(v.c.UserContext(), v.form["email"], v.form["password"], v.visitor())
	if err != nil {
		return v.again("sign-in", err, (*visit).signInPage)
	}
	if err := v.leave(); err != nil {
		return err
	}
	return v.begin(opened, v.next())
}

// leave ends the session that the browser still has, if any: it is about to get
// another one, or none.
func (v *visit) leave() error {
	signedIn, err := v.load()
	if err != nil || !signedIn {
		return err
	}
	return v.Auth.CloseSession(v.c.UserContext(), v.session)
}

func (v *visit) signOut() error {
	if err := v.leave(); err != nil {
		return err
	}
	sessionCookie.Clear(v.c)
	return v.redirect(withNext("/console/sign-in", v.next()), "signed-out")
}
