package console

import (
	"clicktodial/models"
	"clicktodial/server/auth"
)

type peopleData struct {
	People   []auth.Person
	Next     string // where the list goes on; "": nowhere
	Rest     bool   // this is not its beginning
	Required bool   // everybody needs a second factor
}

func (v *visit) peoplePage() error {
	ctx, by := v.c.UserContext(), v.session.Actor()
	after := v.c.Query("after")
	people, next, err := v.Auth.People(ctx, by, after, auth.PeoplePage)
	if err != nil {
		return err
	}
	required, err := v.Auth.FactorRequired(ctx, by)
	if err != nil {
		return err
	}
	return v.render("people", peopleData{people, next, after != "", required})
}

// newLinkData is a link to hand over, which is shown this once.
type newLinkData struct {
	Person auth.Person
	Link   auth.Link
	New    bool // of a person who was just added
}

func (v *visit) addPerson() error {
	role := models.RoleUser
	if v.form["role"] == string(models.RoleAdmin) {
		role = models.RoleAdmin
	}
	person, link, err := v.Auth.AddPerson(v.c.UserContext(), v.session.Actor(), v.form["email"], v.form["name"], role, v.lang)
	if err != nil {
		return v.again("person", err, (*visit).peoplePage)
	}
	if link.Mailed {
		return v.redirect(personPath(person.ID), "invited")
	}
	return v.render("person-link", newLinkData{Person: person, Link: link, New: true})
}

func (v *visit) requireFactor() error {
	required := v.form["required"] == "yes"
	if err := v.Auth.RequireFactor(v.c.UserContext(), v.session.Actor(), required); err != nil {
		return err
	}
	if required {
		return v.redirect("/console/people", "factor-required")
	}
	return v.redirect("/console/people", "factor-free")
}

func (v *visit) companyPage() error { return v.render("company-revoke", nil) }

func (v *visit) revokeCompany() error {
	which := auth.Which{Tenant: v.session.TenantID}
	if _, err := v.Auth.Revoke(v.c.UserContext(), v.session.Actor(), which, readReason(v.form)); err != nil {
		return v.again("company", err, (*visit).companyPage)
	}
	sessionCookie.Clear(v.c) // its session has ended like all of the company
	return v.redirect("/console/sign-in", "company-revoked")
}
