package console

import (
	"strings"

	"clicktodial/server/web"
)

// reasons are why a token is revoked, as it is stored: in plain English, because
// it is also read where no table is, with the key of its text.
var reasons = []Reason{
	{"lost or stolen device", "reason-lost"},
	{"left the company", "reason-left"},
	{"suspicious use", "reason-suspicious"},
	{"other", "reason-other"},
}

// Reason is a choice.
type Reason struct{ Value, Key string }

// Reasons are the choices.
func (p *page) Reasons() []Reason { return reasons }

// FirstReason is what is chosen when nothing is.
func (p *page) FirstReason() string { return reasons[0].Value }

// readReason puts the choice and what was typed beside it together.
func readReason(form web.Form) string {
	chosen := ""
	for _, r := range reasons {
		if form["reason"] == r.Value {
			chosen = r.Value
		}
	}
	typed := strings.Join(strings.Fields(form["why"]), " ")
	switch {
	case typed == "":
		return chosen
	case chosen == "":
		return typed
	}
	return chosen + ": " + typed
}

// reasonText says a stored reason in the language, as far as it is one of the choices.
func reasonText(lang, stored string) string {
	chosen, typed, more := strings.Cut(stored, ": ")
	for _, r := range reasons {
		if chosen != r.Value {
			continue
		}
		if more {
			return say(lang, r.Key) + ": " + typed
		}
		return say(lang, r.Key)
	}
	return stored
}
