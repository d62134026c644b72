package console

import (
	"regexp"
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

// reasonText says a stored reason in the language, as far as it is one of the choices
// or the service's own words.
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
	parts := strings.Split(stored, "; ")
	for i, part := range parts {
		parts[i] = phraseText(lang, part)
	}
	return strings.Join(parts, "; ")
}

// phrases are what the service itself stores as a reason, each with the key of its
// text. What a group holds is the text's argument.
var phrases = []struct {
	stored *regexp.Regexp
	key    string
}{
	{phrase(`retention (\d+) to (\d+) days`), "why-retention"},
	{phrase(`users may delete`), "why-may-delete"},
	{phrase(`users may not delete`), "why-may-not-delete"},
	{phrase(`records of leavers: erase`), "why-leavers-erase"},
	{phrase(`records of leavers: keep`), "why-leavers-keep"},
	{phrase(`recording declared: ([a-z-]+)`), "why-recording"},
	{phrase(`recording withdrawn`), "why-no-recording"},
	{phrase(`history as (csv|json), all calls`), "why-history"},
	{phrase(`history as (csv|json), by ([a-z ,]+)`), "why-history-by"},
	{phrase(`pairing code made by user`), "why-paired"},
	{phrase(`pairing code made by admin`), "made-by-admin"},
	{phrase(`pairing code made by operator`), "made-by-operator"},
	{phrase(`consented in a browser`), "why-consented"},
	{phrase(`the second factor is still to come`), "why-factor-to-come"},
	{phrase(`a second factor is to be set up`), "why-factor-to-set"},
	{phrase(`invitation`), "why-invitation"},
	{phrase(`reset`), "why-reset"},
	{phrase(`a used refresh token came back`), "why-token-back"},
	{phrase(`an authorization code came back`), "why-code-back"},
	{phrase(`account closed`), "why-closed"},
	{phrase(`contract ended`), "why-contract"},
	{phrase(`database restored`), "why-restored"},
}

func phrase(pattern string) *regexp.Regexp { return regexp.MustCompile("^" + pattern + "$") }

// phraseText says a phrase in the language; what is none stays as it was typed.
func phraseText(lang, stored string) string {
	for _, p := range phrases {
		if found := p.stored.FindStringSubmatch(stored); found != nil {
			for i, list := range found {
				found[i] = wordsText(lang, list)
			}
			return say(lang, p.key, found[1:]...)
		}
	}
	return stored
}

// filterWords are what an export of the history was narrowed by.
var filterWords = map[string]string{
	"time": "filter-time", "user": "history-person", "outcome": "history-outcome", "number": "history-number", "last four digits": "filter-last-four", "name": "history-name",
}

// wordsText says what a phrase holds, word by word of a list.
func wordsText(lang, list string) string {
	words := strings.Split(list, ", ")
	for i, word := range words {
		for _, table := range []map[string]string{filterWords, recordingWords} {
			if key := table[word]; key != "" {
				words[i] = say(lang, key)
			}
		}
	}
	return strings.Join(words, ", ")
}
