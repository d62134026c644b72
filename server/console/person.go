package console

import (
	"context"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
)

func personPath(user uuid.UUID) string { return "/console/people/" + user.String() }

type personData struct {
	Person  auth.Person
	Self    bool
	Path    string
	SignIns signInList
	Phones  []auth.Phone
	Keep    bool // the company keeps the call records of who leaves
}

func (v *visit) personPage() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	d := personData{Person: person, Self: person.ID == v.session.UserID, Path: personPath(person.ID)}
	if d.SignIns, err = v.signIns(person.ID, d.Path); err != nil {
		return err
	}
	if d.Phones, err = v.Auth.Phones(v.c.UserContext(), v.session.Actor(), person.ID); err != nil {
		return err
	}
	chosen, err := v.Chooser.Settings(v.c.UserContext(), v.session.Actor())
	if err != nil {
		return err
	}
	d.Keep = chosen.LeaverRecords == models.KeepLeaver
	return v.render("person", d)
}

// person is the one whom the path names, as far as the visitor may see them.
func (v *visit) person() (auth.Person, error) {
	id, err := v.id("user")
	if err != nil {
		return auth.Person{}, err
	}
	return v.Auth.Person(v.c.UserContext(), v.session.Actor(), id)
}

func (v *visit) revokeOfPerson() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	if err := v.revoke(person.ID, readReason(v.form)); err != nil {
		return v.again("revoke", err, (*visit).personPage)
	}
	return v.redirect(personPath(person.ID), "revoked")
}

func (v *visit) addPhone() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	phone := auth.NewPhone{Label: v.form["label"], Endpoint: v.form["endpoint"], CallerID: v.form["caller_id"]}
	if err := v.Auth.AddPhone(v.c.UserContext(), v.session.Actor(), person.ID, phone); err != nil {
		return v.again("phone", err, (*visit).personPage)
	}
	return v.redirect(personPath(person.ID), "phone-added")
}

func (v *visit) removePhone() error {
	phone, err := v.id("phone")
	if err != nil {
		return err
	}
	return v.change("phone-removed", func(ctx context.Context, by auth.Actor, user uuid.UUID) error {
		return v.Auth.RemovePhone(ctx, by, user, phone)
	})
}

func (v *visit) disable() error {
	return v.change("disabled", func(ctx context.Context, by auth.Actor, user uuid.UUID) error {
		return v.Auth.SetDisabled(ctx, by, user, true)
	})
}

func (v *visit) enable() error {
	return v.change("enabled", func(ctx context.Context, by auth.Actor, user uuid.UUID) error {
		return v.Auth.SetDisabled(ctx, by, user, false)
	})
}

func (v *visit) correctPerson() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	name, email := v.form["name"], v.form["email"]
	if err := v.Auth.ChangePerson(v.c.UserContext(), v.session.Actor(), person.ID, &name, &email); err != nil {
		return v.again("correct", err, (*visit).personPage)
	}
	return v.redirect(personPath(person.ID), "corrected")
}

// deletePerson lets somebody leave, and leads to the receipt: their page is gone.
func (v *visit) deletePerson() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	if err := v.checked(); err != nil {
		return v.again("delete", err, (*visit).personPage)
	}
	r, err := v.Privacy.Depart(v.c.UserContext(), v.session.Actor(), person.ID, uuid.Nil)
	if err != nil {
		return v.again("delete", err, (*visit).personPage)
	}
	return v.leadToReceipt(r)
}

func (v *visit) resetFactor() error { return v.change("factor-reset", v.Auth.ResetFactor) }

// change does something to the person of the path, and shows them again.
func (v *visit) change(done string, do func(context.Context, auth.Actor, uuid.UUID) error) error {
	id, err := v.id("user")
	if err != nil {
		return err
	}
	if err := do(v.c.UserContext(), v.session.Actor(), id); err != nil {
		return v.again("access", err, (*visit).personPage)
	}
	return v.redirect(personPath(id), done)
}

func (v *visit) newLink() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	link, err := v.Auth.NewLink(v.c.UserContext(), v.session.Actor(), person.ID, v.lang)
	if err != nil {
		return v.again("access", err, (*visit).personPage)
	}
	if link.Mailed {
		return v.redirect(personPath(person.ID), "invited")
	}
	return v.render("person-link", newLinkData{Person: person, Link: link})
}

func (v *visit) pairPerson() error {
	person, err := v.person()
	if err != nil {
		return err
	}
	code, until, err := v.Auth.PairPerson(v.c.UserContext(), v.session.Actor(), person.ID)
	if err != nil {
		return v.again("access", err, (*visit).personPage)
	}
	return v.render("code", codeData{Code: code, Until: until, For: person.Email, Back: personPath(person.ID)})
}
