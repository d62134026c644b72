package console_test

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"clicktodial/server/console"
	"clicktodial/server/register"
	"clicktodial/server/web"
)

// notice asks for the public notice of an installation. There is no database and
// nobody to ask for a session: the page needs neither.
func notice(t *testing.T, s register.Settings, path, accept string) (*http.Response, string) {
	t.Helper()
	app := web.New(web.Options{PublicURL: publicURL, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	(&console.Console{Notice: s, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Register(app)
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", accept)
	r.AddCookie(&http.Cookie{Name: "__Host-ctd", Value: strings.Repeat("a", 43)})
	res, err := app.Test(r, 20_000)
	check(t, err)
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	check(t, err)
	return res, string(body)
}

func TestPrivacyNotice(t *testing.T) {
	t.Parallel()
	set := register.Settings{
		Contact: "privacy@example.test <b>", Locations: "Amsterdam & Groningen", HistoryMaxAge: 5 * time.Second, PurgeInterval: time.Minute,
		LogAnonymiseAfter: 11 * time.Hour, LogDeleteAfter: 13 * time.Hour, AuditDeleteAfter: 17 * time.Hour, ContractGrace: 19 * time.Hour,
	}
	for _, c := range []struct {
		name, path, accept, lang string
		wants                    []string
	}{
		{"English", "/privacy", "fr", "en", []string{"never more than 5 seconds after", "within 1 minute it", "Without number or name; gone after 11 hours.", "anonymous after 11 hours, gone after 13 hours", "17 hours; the network 11 hours", "goes 19 hours after", "go 90 days after"}},
		{"Dutch, as the browser asks", "/privacy", "nl-NL,nl;q=0.9", "nl", []string{"nooit meer dan 5 seconden", "Zonder nummer of naam; weg na 11 uur.", "anoniem na 11 uur, weg na 13 uur", "19 uur na het einde"}},
		{"German, as was chosen", "/privacy?lang=de", "nl", "de", []string{"nie länger als 5 Sekunden", "Ohne Nummer oder Namen; 11 Stunden lang.", "11 Stunden lang, dann anonym, insgesamt 13 Stunden lang", "19 Stunden nach dem Ende"}},
	} {
		res, page := notice(t, set, c.path, c.accept)
		if res.StatusCode != http.StatusOK || !strings.Contains(page, `<html lang="`+c.lang+`"`) {
			t.Errorf("%s: %d", c.name, res.StatusCode)
		}
		for _, want := range append(c.wants, "privacy@example.test &lt;b&gt;", "Amsterdam &amp; Groningen", `href="/privacy?lang=nl"`) {
			if !strings.Contains(page, want) {
				t.Errorf("%s: it lacks %q", c.name, want)
			}
		}
		if res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: it says that it sets no cookie, and sets one", c.name)
		}
		if !strings.Contains(res.Header.Get("Content-Security-Policy"), "style-src 'self'") || strings.Contains(page, "mailto:") {
			t.Errorf("%s: it is no page of ours, or has an e-mail in a URL", c.name)
		}
		for _, unset := range []string{"privacy-contact-none", "privacy-locations-none"} {
			if strings.Contains(html.UnescapeString(page), console.Texts[unset][c.lang]) {
				t.Errorf("%s: %s although it is set", c.name, unset)
			}
		}
	}
	for _, lang := range languages {
		_, page := notice(t, register.Settings{Contact: " "}, "/privacy?lang="+lang, "")
		for _, unset := range []string{"privacy-contact-none", "privacy-locations-none"} {
			if !strings.Contains(html.UnescapeString(page), console.Texts[unset][lang]) {
				t.Errorf("in %s it lacks %s", lang, unset)
			}
		}
	}
	if res, page := notice(t, set, "/privacy/nothing", ""); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "<h1") {
		t.Errorf("below it is %d", res.StatusCode)
	}
}

// Every page leads to the notice.
func TestNoticeIsLinked(t *testing.T) {
	t.Parallel()
	for _, view := range console.Views() {
		for _, bare := range []bool{false, true} {
			page, err := console.Sample(view, "nl", "", bare)
			check(t, err)
			_, footer, _ := strings.Cut(page, "<footer>")
			link := `<a href="/privacy?lang=nl"`
			if bare {
				link = `<a href="/privacy"`
			}
			if !strings.Contains(footer, link) {
				t.Errorf("%s, bare %v, does not lead to the notice", view, bare)
			}
		}
	}
}
