package console

import (
	"html/template"
	"strings"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// failure is what was wrong with a form that is shown again.
type failure struct {
	form     string // its name in the template
	field    string // "": none in particular
	sentence string
	old      web.Form // what was typed, but for what is secret
}

// fields is which field a fault is about.
var fields = map[string]string{
	"password-weak": "password", "password-common": "password", "passwords-differ": "again", "password-wrong": "old",
	"sign-in-refused": "password", "factor-refused": "code", "email-taken": "email", "email-invalid": "email", "name-invalid": "name",
	"label-taken": "label", "label-invalid": "label", "endpoint-invalid": "endpoint", "device-not-allowed": "endpoint",
	"caller-id-invalid": "caller_id", "device-name-invalid": "device_name", "reason-invalid": "why",
	"date-invalid": "from", "period-invalid": "to", "user-unknown": "email", "number-invalid": "number", "number-too-long": "number", "outcome-invalid": "outcome",
	"setting-invalid": "days", "subject-invalid": "number", "received-invalid": "received", "confirm-unchecked": "checked", "act-invalid": "act",
	"search-invalid": "who", "person-unknown": "who",
}

// shownAgain are the fields whose text a form keeps.
var shownAgain = []string{"email", "name", "role", "label", "endpoint", "caller_id", "device_name", "reason", "why", "from", "to", "user", "outcome", "number", "days", "recording", "text", "received", "act", "request", "action"}

// again shows a form once more with what was wrong with it. What the person
// cannot mend by typing is an error like any other.
func (v *visit) again(form string, err error, show func(*visit) error) error {
	f, ok := fault.Of(err)
	if !ok || !mendable(f) {
		return err
	}
	p := web.NewProblem(err, v.lang)
	v.failure = &failure{form: form, field: fields[p.Code], sentence: sentenceIn(form, v.lang, p.Code, p.Detail), old: web.Form{}}
	for _, name := range shownAgain {
		v.failure.old[name] = v.form[name]
	}
	if after := p.GetHeaders().Get(fiber.HeaderRetryAfter); after != "" {
		v.c.Set(fiber.HeaderRetryAfter, after)
	}
	v.c.Status(p.Status)
	return show(v)
}

func mendable(f *fault.Error) bool {
	switch f.Kind {
	case fault.Refused, fault.TooMany, fault.Conflict, fault.Gone, fault.Malformed:
		return true
	case fault.Unauthorized:
		return f.Code != errUnauthorized.Code // the session has ended
	case fault.Internal, fault.Unavailable, fault.NotFound, fault.Forbidden:
		return false
	}
	return false
}

// ---- what templates ask

// ErrorIn gives the sentence of what was wrong with the form.
func (p *page) ErrorIn(form string) string {
	if p.failure == nil || p.failure.form != form {
		return ""
	}
	return p.failure.sentence
}

// Old gives what was typed into the field before, or else the value.
func (p *page) Old(form, field, value string) string {
	if p.failure == nil || p.failure.form != form {
		return value
	}
	return p.failure.old[field]
}

// Field gives the attributes of a form's field: its id is the form's name and its
// own. hints are ids of what describes it.
func (p *page) Field(form, field string, hints ...string) template.HTMLAttr {
	return p.field(form, field, false, hints)
}

// First is Field for the one where typing begins.
func (p *page) First(form, field string, hints ...string) template.HTMLAttr {
	return p.field(form, field, true, hints)
}

func (p *page) field(form, field string, first bool, hints []string) template.HTMLAttr {
	out := `id="` + form + "-" + field + `" name="` + field + `"`
	if p.ErrorIn(form) != "" {
		hints = append([]string{form + "-error"}, hints...)
		bad := p.failure.field == field
		if bad {
			out += ` aria-invalid="true"`
		}
		first = bad || first && p.failure.field == ""
	} else {
		first = first && p.failure == nil
	}
	if len(hints) > 0 {
		out += ` aria-describedby="` + strings.Join(hints, " ") + `"`
	}
	if first {
		out += " autofocus"
	}
	return template.HTMLAttr(out) //nolint:gosec // of the templates' own words
}
