package console

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/call"
	"clicktodial/server/retention"
)

const myDataPath = "/console/my-data"

// myData is what is held about whoever asks, and what they may do about it.
type myData struct {
	Held  held
	Rules retention.Rules
	Open  []requestRow // what they have asked for: the newest first
}

func (v *visit) myself() retention.Subject { return retention.Subject{User: v.session.UserID} }

func (v *visit) myDataPage() error {
	ctx, by := v.c.UserContext(), v.session.Actor()
	var d myData
	var err error
	if d.Held, err = v.held(v.myself()); err != nil {
		return err
	}
	if d.Rules, err = v.Chooser.Rules(ctx, by); err != nil {
		return err
	}
	open, err := v.Privacy.OwnRequests(ctx, by)
	if err != nil {
		return err
	}
	for _, r := range open {
		d.Open = append(d.Open, v.requestRow(r))
	}
	return v.render("my-data", d)
}

func (v *visit) exportMyData() error { return v.export(v.myself(), uuid.Nil, (*visit).myDataPage) }

func (v *visit) fileMyRequest() error {
	_, err := v.Privacy.File(v.c.UserContext(), v.session.Actor(), v.myself(), models.PrivacyAct(v.form["act"]), time.Time{})
	if err != nil {
		return v.again("file", err, (*visit).myDataPage)
	}
	return v.redirect(myDataPath, "asked")
}

// clearMyHistory deletes one's own ended calls, where the company lets its people.
func (v *visit) clearMyHistory() error {
	err := v.checked()
	if err == nil {
		err = v.Calls.Clear(v.c.UserContext(), call.Caller{TenantID: v.session.TenantID, UserID: v.session.UserID})
	}
	if err != nil {
		return v.again("clear", err, (*visit).myDataPage)
	}
	return v.redirect(myDataPath, "history-cleared")
}

// ---- what the templates ask

// Acts are what one can ask for oneself.
func (d myData) Acts() []Reason {
	restriction := models.ActRestriction
	if d.Held.Restricted {
		restriction = models.ActRestrictionLifted
	}
	return choicesOf([]models.PrivacyAct{models.ActAccess, models.ActCorrection, models.ActErasure, restriction, models.ActDeparture})
}

// AsksErasure says that they wait for an erasure.
func (d myData) AsksErasure() bool {
	for _, r := range d.Open {
		if r.Act == models.ActErasure {
			return true
		}
	}
	return false
}
