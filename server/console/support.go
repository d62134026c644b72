package console

import (
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
)

type supportData struct{ Found []auth.Person }

var errNobody = fault.New(fault.Refused, "person-unknown", "Nobody has this e-mail or support code.")

func (v *visit) supportPage() error { return v.render("support", supportData{}) }

// find looks for a person. What was typed is not put into a URL, and not shown again.
func (v *visit) find() error {
	found, err := v.Auth.FindPerson(v.c.UserContext(), v.session.Actor(), v.form["who"])
	if err != nil {
		return v.again("find", err, (*visit).supportPage)
	}
	switch len(found) {
	case 0:
		return v.again("find", errNobody, (*visit).supportPage)
	case 1:
		return v.redirect(foundPath(found[0].ID), "")
	}
	return v.render("support", supportData{found})
}

func foundPath(user uuid.UUID) string { return "/console/support/users/" + user.String() }

type foundData struct {
	Person   auth.Person
	SignIns  signInList
	Calls    []models.MaskedCall
	Refusals []models.Refusal
}

func (v *visit) foundPage() error {
	user, err := v.id("user")
	if err != nil {
		return err
	}
	e, err := v.Auth.Errand(v.c.UserContext(), v.session.Actor(), user)
	if err != nil {
		return err
	}
	d := foundData{Person: e.Person, SignIns: v.arrange(e.SignIns, foundPath(user)), Calls: e.Calls, Refusals: e.Refusals}
	return v.render("support-person", d)
}

func (v *visit) revokeFound() error {
	user, err := v.id("user")
	if err != nil {
		return err
	}
	if err := v.revoke(user, readReason(v.form)); err != nil {
		return v.again("revoke", err, (*visit).foundPage)
	}
	return v.redirect(foundPath(user), "revoked")
}

var statusWords = map[models.Status]string{
	models.Initiating: "status-initiating", models.CallingCaller: "status-calling-caller", models.CallingCallee: "status-calling-callee",
	models.Connected: "status-connected", models.Disconnected: "status-disconnected", models.Failed: "status-failed",
}

// Outcome says how a call stands or ended, as its user was told.
func (p *page) Outcome(call models.MaskedCall) string {
	if call.Diagnosis != nil && *call.Diagnosis != models.NoDiagnosis {
		return p.Sentence(string(*call.Diagnosis))
	}
	return p.T(statusWords[call.Status])
}

// Talked says how long a call was connected; "" for one that was not, or still is.
func (p *page) Talked(call models.MaskedCall) string {
	return talked(p.Lang, call.ConnectedAt, call.EndedAt)
}
