package register_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"clicktodial/server/register"
)

// odd is an installation whose every time is another, and none the usual.
var odd = register.Settings{
	Contact: "privacy@example.test,\n## floor 2", Locations: "Hall A; Hall B", Ledger: true, Mail: true,
	HistoryMaxAge: 5 * time.Second, PurgeInterval: 7 * time.Second, LogAnonymiseAfter: 11 * time.Hour,
	LogDeleteAfter: 13 * time.Hour, AuditDeleteAfter: 17 * time.Hour, ContractGrace: 19 * time.Hour,
}

func markdown(r register.Register) string {
	var out strings.Builder
	r.WriteMarkdown(&out)
	return out.String()
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		length     time.Duration
		en, nl, de string
	}{
		{2160 * time.Hour, "90 days", "90 dagen", "90 Tage"},
		{24 * time.Hour, "1 day", "1 dag", "1 Tag"},
		{36 * time.Hour, "36 hours", "36 uur", "36 Stunden"},
		{time.Hour, "1 hour", "1 uur", "1 Stunde"},
		{90 * time.Minute, "90 minutes", "90 minuten", "90 Minuten"},
		{time.Minute, "1 minute", "1 minuut", "1 Minute"},
		{5 * time.Second, "5 seconds", "5 seconden", "5 Sekunden"},
		{61 * time.Second, "61 seconds", "61 seconden", "61 Sekunden"},
		{time.Second, "1 second", "1 seconde", "1 Sekunde"},
		{1500 * time.Millisecond, "1500 milliseconds", "1500 milliseconden", "1500 Millisekunden"},
		{time.Nanosecond, "1 millisecond", "1 milliseconde", "1 Millisekunde"},
		{time.Second + time.Nanosecond, "1001 milliseconds", "1001 milliseconden", "1001 Millisekunden"},
	} {
		if en, nl, de := register.Span("en", c.length), register.Span("nl", c.length), register.Span("de", c.length); en != c.en || nl != c.nl || de != c.de {
			t.Errorf("%v is %q, %q, %q", c.length, en, nl, de)
		}
	}
}

// Each kind is told of whole, once, in an activity that is there.
func TestRegisterIsWhole(t *testing.T) {
	t.Parallel()
	r := register.Of(odd)
	var told []string
	for _, a := range r.Activities {
		if a.Title == "" || a.Purpose == "" || !strings.Contains(a.Basis, "art. 6(1)") || len(a.Subjects) == 0 || len(a.Data) == 0 || a.Transfers == "" {
			t.Errorf("activity %s is not whole: %+v", a.Name, a)
		}
		for _, k := range a.Data {
			told = append(told, k.Name)
			known := slices.ContainsFunc(r.Categories, func(c register.Category) bool { return c.Name == k.Category && c.Processed })
			if !known || k.What == "" || len(k.Subjects) == 0 || k.Recipients == "" || k.Retention == "" || len(k.Columns) == 0 {
				t.Errorf("kind %s is not whole: %+v", k.Name, k)
			}
		}
		for _, p := range a.Elsewhere {
			if p.Where == "" || p.What == "" || p.Retention == "" {
				t.Errorf("a place is not whole: %+v", p)
			}
		}
	}
	want := register.Kinds()
	slices.Sort(want)
	slices.Sort(told)
	if !slices.Equal(told, want) {
		t.Errorf("told of %v, not of %v", told, want)
	}
	text := markdown(r)
	for _, c := range register.Columns() {
		if !strings.Contains(text, "`"+c.Name+"`") {
			t.Errorf("%s is not in the text", c.Name)
		}
	}
}

func TestCategories(t *testing.T) {
	t.Parallel()
	processed := map[string]bool{
		"phone-number": true, "email": true, "ip-address": true, "name": true, "call-data": true, "signalling": true, "account": true,
		"photo": false, "voicemail": false, "fax": false, "recording": false,
	}
	r := register.Of(odd)
	for _, c := range r.Categories {
		want, known := processed[c.Name]
		if !known || c.Processed != want || c.Why == "" || c.Title == "" {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Categories) != len(processed) {
		t.Errorf("%d categories", len(r.Categories))
	}
}

var usual = regexp.MustCompile(`\b(365 days after|within 1 minute|after 14 days)`)

// Every time that can be configured is told as it is configured, and no other.
func TestTimesAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	text := markdown(register.Of(odd))
	kept := map[string]string{}
	for _, a := range register.Of(odd).Activities {
		for _, k := range a.Data {
			kept[k.Name] = k.Retention
		}
		for _, p := range a.Elsewhere {
			kept[p.Where] = p.Retention
		}
	}
	for what, spans := range map[string][]string{
		"number": {"5 seconds after the click", "deleted within 7 seconds"}, "call": {"5 seconds after the click"},
		"refusal": {"11 hours"}, "the service's log": {"anonymous after 11 hours", "gone after 13 hours"},
		"audit": {"17 hours", "19 hours after the end of the contract"}, "network": {"11 hours"}, "phone": {"19 hours after"},
		"account": {"19 hours after"}, "email": {"19 hours after"}, "person-name": {"19 hours after"}, "credential": {"19 hours after"},
		"objection": {"19 hours after"}, "restriction": {"19 hours after"}, "company": {"19 hours after"},
	} {
		for _, span := range spans {
			if !strings.Contains(kept[what], span) {
				t.Errorf("%s: %q does not tell of %q", what, kept[what], span)
			}
		}
	}
	if found := usual.FindString(text); found != "" {
		t.Errorf("it tells of %q, which is not so here", found)
	}
	other := odd
	other.Ledger, other.Mail = false, false
	if text := markdown(register.Of(other)); !strings.Contains(text, "would bring erased records back") || !strings.Contains(text, "nothing is mailed") {
		t.Error("it does not tell what is not set")
	}
}

func TestContactAndLocations(t *testing.T) {
	t.Parallel()
	r := register.Of(odd)
	if r.Contact != "privacy@example.test, ## floor 2" || r.Locations != "Hall A; Hall B" {
		t.Errorf("%q, %q", r.Contact, r.Locations)
	}
	if r := register.Of(register.Settings{Contact: " \n"}); r.Contact != "not stated" || r.Locations != "not stated" {
		t.Errorf("%q, %q", r.Contact, r.Locations)
	}
}

func TestAnnex(t *testing.T) {
	t.Parallel()
	notStated := map[string]string{"en": "not stated", "nl": "niet opgegeven", "de": "nicht angegeben"}
	for lang, none := range notStated {
		a, err := register.AnnexOf(odd, lang)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Sections) != 12 || a.Title == "" || a.Intro == "" || a.Lang != lang {
			t.Errorf("%s: %d sections, title %q", lang, len(a.Sections), a.Title)
		}
		for i, s := range a.Sections {
			if s.Title == "" || len(s.Text) < 40 {
				t.Errorf("%s: section %d is %q with %q", lang, i+1, s.Title, s.Text)
			}
		}
		var out strings.Builder
		a.WriteMarkdown(&out)
		for _, want := range []string{
			register.Span(lang, odd.HistoryMaxAge), register.Span(lang, odd.LogAnonymiseAfter), register.Span(lang, odd.AuditDeleteAfter),
			register.Span(lang, odd.ContractGrace), "privacy@example.test, ## floor 2", "Hall A; Hall B", "`purge verify`", "`restore-check`",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: it lacks %q", lang, want)
			}
		}
		if strings.Contains(out.String(), "ERASURE_LEDGER") || strings.Contains(out.String(), "90 d") {
			t.Errorf("%s: it tells what is not so here", lang)
		}
		bare, err := register.AnnexOf(register.Settings{}, lang)
		if err != nil {
			t.Fatal(err)
		}
		out.Reset()
		bare.WriteMarkdown(&out)
		if strings.Count(out.String(), none) != 2 || !strings.Contains(out.String(), "ERASURE_LEDGER") {
			t.Errorf("%s: it does not tell what is not set", lang)
		}
	}
	if _, err := register.AnnexOf(odd, "fr"); err == nil {
		t.Error("a language that is not there is accepted")
	}
}
