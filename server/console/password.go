package console

import (
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

var errDiffer = fault.New(fault.Refused, "passwords-differ", "The two passwords are not the same.")

// fresh reads a new password, which is typed twice.
func fresh(form web.Form) (string, error) {
	if form["password"] != form["again"] {
		return "", errDiffer
	}
	return form["password"], nil
}

func (v *visit) passwordPage() error { return v.render("password", nil) }

func (v *visit) changePassword() error {
	password, err := fresh(v.form)
	if err != nil {
		return v.again("password", err, (*visit).passwordPage)
	}
	opened, err := v.Auth.ChangePassword(v.c.UserContext(), v.session, v.form["old"], password, v.visitor())
	if err != nil {
		return v.again("password", err, (*visit).passwordPage)
	}
	sessionCookie.Set(v.c, opened.Cookie)
	return v.redirect("/console/password", "password")
}
