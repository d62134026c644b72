package console

import (
	"clicktodial/models"
)

// home leads each role to where its work is.
func (v *visit) home() error {
	if v.session.Role == models.RoleSupport {
		return v.redirect("/console/support", "")
	}
	return v.redirect("/console/sign-ins", "")
}

type signInData struct {
	Next       string
	Connecting bool // an extension is waiting
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
	return v.render("sign-in", signInData{Next: next, Connecting: isAuthorization(next)})
}

func (v *visit) signIn() error {
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
