package console_test

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"clicktodial/server/console"
)

var languages = []string{"en", "nl", "de"}

// Each page, full and bare, in each language, is whole: escaped, labelled, without
// script, and says nothing of anybody in its title.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, view := range console.Views() {
		for _, lang := range languages {
			for _, bare := range []bool{false, true} {
				page, err := console.Sample(view, lang, "", bare)
				if err != nil {
					t.Fatal(err)
				}
				for _, fault := range faultsOf(page, view, lang) {
					t.Errorf("%s in %s, bare %v: %s", view, lang, bare, fault)
				}
			}
		}
	}
}

var (
	active     = regexp.MustCompile(`(?i)<script|<style|<iframe|<object|<base|<[^>]*\s(style|srcdoc|on[a-z]+)=`)
	values     = regexp.MustCompile(`="[^"]*"`)
	tag        = regexp.MustCompile(`<(input|select|button|a|form|h1|img|label|html|meta|link)\b[^>]*>`)
	attribute  = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
	identifier = regexp.MustCompile(`\sid="([^"]*)"`)
)

func faultsOf(page, view, lang string) (faults []string) {
	if found := active.FindString(values.ReplaceAllString(page, `=""`)); found != "" {
		faults = append(faults, "it holds "+found)
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<no value>") || strings.Contains(page, "<b onclick") {
		faults = append(faults, "something is not escaped as it should be")
	}
	want := html.EscapeString(console.Texts[view+".title"][lang])
	if console.Texts[view+".title"] == nil || !strings.Contains(html.EscapeString(html.UnescapeString(page)), "title&gt;"+want+" · Click-to-Dial&lt;/title") {
		faults = append(faults, "its title is not "+want)
	}
	for _, must := range []string{`lang="` + lang + `" translate="no"`, `<meta name="google" content="notranslate">`, `<main id="main"`, `name="viewport"`} {
		if !strings.Contains(page, must) {
			faults = append(faults, "it lacks "+must)
		}
	}
	if strings.Count(page, "<h1") != 1 || strings.Count(page, " autofocus") > 1 {
		faults = append(faults, "it has not one heading, or several places where typing begins")
	}
	ids := map[string]bool{}
	for _, id := range identifier.FindAllStringSubmatch(page, -1) {
		if ids[id[1]] {
			faults = append(faults, "the id "+id[1]+" stands there twice")
		}
		ids[id[1]] = true
	}
	for _, m := range tag.FindAllStringSubmatch(page, -1) {
		faults = append(faults, faultsOfTag(page, m[1], m[0], ids)...)
	}
	return faults
}

func faultsOfTag(page, name, text string, ids map[string]bool) (faults []string) {
	has := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(text, -1) {
		has[a[1]] = a[2]
	}
	for _, of := range []string{has["form"], has["aria-labelledby"]} {
		if of != "" && !ids[of] {
			faults = append(faults, text+" points at nothing")
		}
	}
	for _, of := range strings.Fields(has["aria-describedby"]) {
		if !ids[of] {
			faults = append(faults, text+" is described by nothing")
		}
	}
	switch name {
	case "form":
		if has["method"] != "post" || !strings.HasPrefix(has["action"], "/") {
			faults = append(faults, text+" is no POST to us")
		}
	case "input", "select":
		hidden := has["aria-hidden"] == "true" || has["type"] == "hidden"
		if has["type"] != "radio" && !hidden && !strings.Contains(page, `<label for="`+has["id"]+`"`) {
			faults = append(faults, text+" has no label")
		}
		if has["type"] != "radio" && has["type"] != "hidden" && has["autocomplete"] == "" {
			faults = append(faults, text+" leaves autofill to the browser")
		}
		if slices.Contains([]string{"text", "password"}, has["type"]) && !strings.Contains(text, "readonly") && has["spellcheck"] != "false" {
			faults = append(faults, text+" is spell-checked")
		}
	case "a":
		if href := html.UnescapeString(has["href"]); !strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "#") {
			faults = append(faults, text+" leads away")
		}
	case "img":
		if !strings.HasPrefix(has["src"], "data:image/png;base64,") || has["alt"] == "" {
			faults = append(faults, text+" is loaded, or has no words")
		}
	}
	return faults
}

// A form that is shown again says what is wrong beside the fields, and typing
// begins there.
func TestFormsShownAgain(t *testing.T) {
	t.Parallel()
	forms := map[string][]string{
		"sign-in": {"sign-in"}, "factor": {"factor"}, "factor-new": {"factor-new"}, "factor-state": {"codes", "remove"}, "password": {"password"},
		"link": {"link"}, "people": {"person"}, "person": {"revoke", "phone", "access", "correct", "delete"}, "company-revoke": {"company"}, "support": {"find"},
		"support-person": {"revoke"}, "authorize": {"authorize"}, "history": {"history"}, "audit": {"audit"},
		"retention": {"days", "recording"}, "privacy-requests": {"find"}, "privacy-subject": {"correct", "erase", "file", "export"}, "my-data": {"clear", "file"},
	}
	for view, names := range forms {
		for _, form := range names {
			page, err := console.Sample(view, "en", form, false)
			check(t, err)
			if !strings.Contains(page, `id="`+form+`-error" role="alert">Wrong.`) {
				t.Errorf("%s does not say what is wrong in %s", view, form)
			}
			if form != "access" && !strings.Contains(page, `aria-describedby="`+form+`-error`) {
				t.Errorf("%s has no field in %s that points at what is wrong", view, form)
			}
			if !strings.Contains(page, "<title>Error: ") {
				t.Errorf("%s does not say so in its title", view)
			}
			for _, fault := range faultsOf(strings.Replace(page, "<title>Error: ", "<title>", 1), view, "en") {
				t.Errorf("%s with a failure in %s: %s", view, form, fault)
			}
		}
	}
}

var (
	inTemplate = regexp.MustCompile(`\.T "([^"]+)"`)
	inGo       = regexp.MustCompile(`(?:\bsay\([^,]+, |\.T\()"([^"]+)"`)
	anyText    = regexp.MustCompile(`"([a-z][a-z.-]*)"`)
	argument   = regexp.MustCompile(`\{\d\}`)
)

// Every text that is asked for is there in three languages, and none is there for
// nothing.
func TestTexts(t *testing.T) {
	t.Parallel()
	asked, mentioned := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	check(t, err)
	pages, err := filepath.Glob("templates/*.html")
	check(t, err)
	for _, file := range append(files, pages...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		check(t, err)
		for _, re := range []*regexp.Regexp{inTemplate, inGo} {
			for _, m := range re.FindAllStringSubmatch(string(source), -1) {
				asked[m[1]] = true
			}
		}
		for _, m := range anyText.FindAllStringSubmatch(string(source), -1) {
			mentioned[m[1]] = true
		}
	}
	for _, view := range console.Views() {
		asked[view+".title"] = true
	}
	for _, key := range console.Words() {
		asked[key] = true
	}
	delete(asked, "done-") // what follows is in the Go files
	for key := range asked {
		if console.Texts[key] == nil {
			t.Errorf("%q is asked for and not there", key)
		}
	}
	for key, text := range console.Texts {
		for _, lang := range languages {
			if text[lang] == "" {
				t.Errorf("%q has no text in %s", key, lang)
			}
			if got, want := argument.FindAllString(text[lang], -1), argument.FindAllString(text["en"], -1); len(got) != len(want) {
				t.Errorf("%q in %s has the arguments %v, not %v", key, lang, got, want)
			}
		}
		code, isError := strings.CutPrefix(key, "error-") // of a fault
		done, isDone := strings.CutPrefix(key, "done-")
		if !asked[key] && !mentioned[key] && !isError && (!isDone || !mentioned[done]) {
			t.Errorf("%q is there for nothing", key)
		}
		if isError && code == "" {
			t.Error("an error without a code")
		}
	}
	for _, done := range doneIn(t, files) {
		if console.Texts["done-"+done] == nil {
			t.Errorf("%q is done without a word", done)
		}
	}
}

var doneWord = regexp.MustCompile(`(?:redirect\(.*, |change\()"([a-z-]+)"[,)]`)

func doneIn(t *testing.T, files []string) (words []string) {
	t.Helper()
	for _, file := range files {
		source, err := os.ReadFile(file)
		check(t, err)
		for _, m := range doneWord.FindAllStringSubmatch(string(source), -1) {
			words = append(words, m[1])
		}
	}
	if len(words) < 10 {
		t.Errorf("the search for what is done found %v", words)
	}
	return words
}

func TestWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, lang, want string
		at               time.Time
	}{
		{"this second", "en", "just now", now},
		{"a clock that is a little ahead", "en", "just now", now.Add(30 * time.Second)},
		{"a clock that is far ahead", "en", "2 Mar 2026, 14:00 UTC", now.Add(2 * time.Hour)},
		{"59 s", "nl", "zojuist", now.Add(-59 * time.Second)},
		{"a minute", "en", "1 min ago", now.Add(-time.Minute)},
		{"an hour but a second", "de", "vor 59 Min.", now.Add(time.Second - time.Hour)},
		{"an hour", "nl", "1 uur geleden", now.Add(-time.Hour)},
		{"a day", "nl", "1 mrt 2026, 12:00 UTC", now.Add(-24 * time.Hour)},
		{"a day, in German", "de", "1. März 2026, 12:00 UTC", now.Add(-24 * time.Hour)},
		{"another zone", "en", "1 Jan 2026, 00:30 UTC", time.Date(2026, 1, 1, 1, 30, 0, 0, time.FixedZone("CET", 3600))},
	} {
		if got := console.When(c.lang, c.at, now); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reason, why, stored, nl string }{
		{"lost or stolen device", "", "lost or stolen device", "Apparaat kwijt of gestolen"},
		{"left the company", " by \n phone ", "left the company: by phone", "Uit dienst: by phone"},
		{"", "typed: this", "typed: this", "typed: this"},
		{"<nothing of ours>", "", "", ""},
		{"other", "a: b", "other: a: b", "Anders: a: b"},
	} {
		stored := console.ReadReason(map[string]string{"reason": c.reason, "why": c.why})
		if got := console.ReasonText("nl", stored); stored != c.stored || got != c.nl {
			t.Errorf("%q and %q are stored as %q and read %q", c.reason, c.why, stored, got)
		}
	}
}

// What the service stores as a reason is read in the reader's language; what
// somebody has typed stays.
func TestReasonsOfOurOwn(t *testing.T) {
	t.Parallel()
	for stored, nl := range map[string]string{
		"retention 90 to 30 days; users may not delete":      "Bewaartijd: 90 → 30 dagen; Gebruikers mogen hun geschiedenis niet wissen",
		"recording declared: legal-duty":                     "Opnemen toegestaan: Wettelijke plicht",
		"recording withdrawn; records of leavers: keep":      "Opnemen niet meer toegestaan; Gespreksgegevens van wie vertrekt blijven tot hun tijd",
		"history as json, all calls":                         "Alle gesprekken, als json",
		"history as csv, by time, last four digits, outcome": "Gesprekken als csv, gezocht op: Periode, Laatste vier cijfers, Afloop",
		"pairing code made by admin":                         "Met een koppelcode van een beheerder",
		"invitation":                                         "Uitnodiging",
		"a used refresh token came back":                     "Een gebruikt refresh-token kwam terug",
		"suspicious use: retention 90 to 30 days":            "Verdacht gebruik: retention 90 to 30 days",
		"retention of the cup; 90 days":                      "retention of the cup; 90 days",
		"":                                                   "",
	} {
		if got := console.ReasonText("nl", stored); got != nl {
			t.Errorf("%q reads %q, want %q", stored, got, nl)
		}
	}
}

func TestBrowserName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                           "Chrome, Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0":           "Edge, Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15":           "Safari, macOS",
		"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36":                        "Chrome, Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36":                      "Chrome, ChromeOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0 Mobile Safari/604.1": "Chrome, iPhone",
		"Mozilla/5.0 (Windows NT 10.0; rv:127.0) Gecko/20100101 Firefox/127.0":                                                            "Firefox, Windows",
		"curl/8.5.0":                  "Browser",
		"":                            "Browser",
		"\x1b[2J\u202eLinux <script>": "Browser, Linux",
	} {
		if got := console.BrowserName(agent); got != want {
			t.Errorf("%q is %q, not %q", agent, got, want)
		}
	}
}
