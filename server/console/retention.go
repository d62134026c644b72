package console

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

const retentionPath = "/console/retention"

// retentionData is how long the company's records are kept, and what shows it.
type retentionData struct {
	Chosen   retention.Chosen
	State    retention.Preview
	Progress *retention.Progress
	Proof    retention.Proof
}

func (v *visit) retentionPage() error {
	ctx, by := v.c.UserContext(), v.session.Actor()
	var d retentionData
	var err error
	if d.Chosen, err = v.Chooser.Settings(ctx, by); err != nil {
		return err
	}
	if d.State, d.Progress, err = v.Chooser.State(ctx, by); err != nil {
		return err
	}
	if d.Proof, err = v.Chooser.Proof(ctx, by); err != nil {
		return err
	}
	return v.render("retention", d)
}

var errDays = fault.New(fault.Refused, "setting-invalid", "Retention is 0 to 365 days, and a reason to record has 1 to 500 printable characters.")

// typedDays reads the days of the form.
func (v *visit) typedDays() (int, error) {
	days, err := strconv.Atoi(strings.TrimSpace(v.form["days"]))
	if err != nil {
		return 0, errDays
	}
	return days, nil
}

// previewData is what would go, and when.
type previewData struct {
	Now     int // days that hold
	Preview retention.Preview
}

// previewRetention shows what the days would do; it changes nothing.
func (v *visit) previewRetention() error {
	days, err := v.typedDays()
	if err != nil {
		return v.again("days", err, (*visit).retentionPage)
	}
	p, err := v.Chooser.Preview(v.c.UserContext(), v.session.Actor(), days)
	if err != nil {
		return v.again("days", err, (*visit).retentionPage)
	}
	chosen, err := v.Chooser.Settings(v.c.UserContext(), v.session.Actor())
	if err != nil {
		return err
	}
	return v.render("retention-preview", previewData{chosen.RetentionDays, p})
}

// changeRetention takes only days whose preview was confirmed.
func (v *visit) changeRetention() error {
	if v.form["confirm"] != "yes" {
		return v.previewRetention()
	}
	days, err := v.typedDays()
	if err != nil {
		return v.again("days", err, (*visit).retentionPage)
	}
	err = v.Chooser.Choose(v.c.UserContext(), v.session.Actor(), retention.Choice{RetentionDays: &days, Confirm: true})
	if err != nil {
		return v.again("days", err, (*visit).retentionPage)
	}
	return v.redirect(retentionPath, "retention")
}

// changeSettings is one of the small forms: the one whose field is there.
func (v *visit) changeSettings() error {
	var choice retention.Choice
	form := "deleting"
	if may, ok := v.form["may_delete"]; ok {
		yes := may == "yes"
		choice.UsersMayDelete = &yes
	}
	if leavers, ok := v.form["leavers"]; ok {
		form = "leavers"
		choice.LeaverRecords = (*models.LeaverRecords)(&leavers)
	}
	if reason, ok := v.form["recording"]; ok {
		form = "recording"
		choice.Recording = &retention.Recording{Reason: reason, Text: strings.TrimSpace(v.form["text"])}
	}
	if err := v.Chooser.Choose(v.c.UserContext(), v.session.Actor(), choice); err != nil {
		return v.again(form, err, (*visit).retentionPage)
	}
	return v.redirect(retentionPath, "settings")
}

// ---- what the templates ask

// Head is the hash at the end of the chain, whole and its beginning.
func (d retentionData) Head() string { return hex.EncodeToString(d.Proof.Head) }

// HeadStart is what one reads to another over the telephone.
func (d retentionData) HeadStart() string { return d.Head()[:min(16, len(d.Head()))] }

// Recording is the reason that was declared, or "".
func (d retentionData) Recording() string {
	if d.Chosen.Recording == nil {
		return ""
	}
	return d.Chosen.Recording.Reason
}

// RecordingText is the company's own words for it.
func (d retentionData) RecordingText() string {
	if d.Chosen.Recording == nil {
		return ""
	}
	return d.Chosen.Recording.Text
}

var recordingWords = map[string]string{
	"agreement-proof": "recording-agreement", "quality": "recording-quality", "training": "recording-training",
	"legal-duty": "recording-duty", "complaints": "recording-complaints", "safety": "recording-safety",
}

// RecordingReasons are the choices.
func (retentionData) RecordingReasons() []Reason {
	choices := make([]Reason, 0, len(models.RecordingReasons))
	for _, r := range models.RecordingReasons {
		choices = append(choices, Reason{Value: r, Key: recordingWords[r]})
	}
	return choices
}

// Days says a number of days; the list's end is a time.
func (p *page) Days(n int) string {
	if n == 1 {
		return p.T("days-one")
	}
	return p.T("days-many", strconv.Itoa(n))
}

// Kept says how long records are kept.
func (p *page) Kept(days int, effective time.Duration) string {
	if days == 0 {
		return p.T("retention-none")
	}
	return p.T("retention-in-force", p.Span(effective))
}

// Count says a number, of whatever integer type, in the language's way: 5,000,000 or
// 5.000.000.
func (p *page) Count(n any) string { return message.NewPrinter(language.Make(p.Lang)).Sprint(n) }

// Counted says a number that may be more.
func (p *page) Counted(n int64, more bool) string {
	if more {
		return p.T("count-more", p.Count(n))
	}
	return p.Count(n)
}

// Longer says that the days only make new records live longer.
func (d previewData) Longer() bool { return d.Preview.Days >= d.Now }
