package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The errand of an angry customer who lost a laptop: find, revoke, see that it is
// dead. Two clicks once support is signed in.
func TestSupportErrand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	laptop, one := b.device(t, b.piet, "Laptop")
	desk, _ := b.device(t, b.piet, "Desk")
	b.call(t, b.piet)
	b.refusal(t, b.piet)
	sam := b.as(t, b.sam)
	if to := sam.get(t, "/console").to(t); to != "/console/support" {
		t.Errorf("support's first page is %s", to)
	}
	sam.get(t, "/console/support").wants(t, http.StatusOK, " autofocus")
	page := sam.post(t, "/console/support", "who", "  Piet@Example.test ").to(t)
	if page != "/console/support/users/"+b.piet.ID.String() {
		t.Fatalf("found, one is led to %s", page)
	}
	a := sam.get(t, page)
	a.wants(t, http.StatusOK, b.piet.Email, "Acme", "Laptop", "Desk", "&#43;31 20 123 4***", "2 min 30 s", "The call has ended.", "premium-rate", "QWERTY",
		`<title>User · Click-to-Dial</title>`, `value="lost or stolen device" checked`)
	a.lacks(t, wholeCall, wholeCall[1:], "123 4567", "Bakery", "De Korst")
	action := regexp.MustCompile(`formaction="([^"]+)" aria-label="Revoke token: Laptop">Revoke token<`).FindStringSubmatch(a.body)
	if len(action) == 0 || !strings.Contains(action[1], one.ID.String()) {
		t.Fatalf("the laptop's button is %v", action)
	}
	to := sam.post(t, action[1], "reason", "lost or stolen device", "why", "").to(t)
	sam.get(t, to).wants(t, http.StatusOK, "Ended just now by support: Lost or stolen device", `role="status"`)
	b.wantAlive(t, laptop, false)
	b.wantAlive(t, desk, true)
	b.as(t, b.piet).get(t, "/console/sign-ins?lang=nl").wants(t, http.StatusOK, "Beëindigd zojuist door support: Apparaat kwijt of gestolen")

	sam.post(t, page+"/sign-ins/revoke", "reason", "other", "why", "asked for it").to(t)
	b.wantAlive(t, desk, false)
	sam.get(t, page).wants(t, http.StatusOK, "Other: asked for it", "No browser is signed in.")
	for _, secret := range []string{b.piet.Email, wholeCall, one.SupportCode} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, one := b.device(t, b.piet, "Laptop")
	sam := b.as(t, b.sam)
	for _, who := range []string{one.SupportCode, strings.ToLower(one.SupportCode), " " + one.SupportCode[:3] + "-" + one.SupportCode[3:]} {
		if to := sam.post(t, "/console/support", "who", who).to(t); to != "/console/support/users/"+b.piet.ID.String() {
			t.Errorf("%q leads to %s", who, to)
		}
	}
	for who, want := range map[string]string{
		"nobody@example.test": "Nobody has this e-mail or support code.", "ZZZZZZ": "Nobody has this e-mail or support code.",
		"": "support code of six letters", "+31201234567": "support code of six letters", "piet": "support code of six letters",
		"%@example.test": "Nobody has this e-mail or support code.", strings.Repeat("x", 300): "support code of six letters",
	} {
		a := sam.post(t, "/console/support", "who", who)
		a.wants(t, http.StatusUnprocessableEntity, want, `aria-invalid="true"`)
		if who != "" {
			a.lacks(t, who)
		}
	}
	if to := sam.post(t, "/console/support", "who", b.sam.Email).to(t); to != "/console/support/users/"+b.sam.ID.String() {
		t.Errorf("a colleague leads to %s", to)
	}
	sam.get(t, "/console/support/users/"+b.sam.ID.String()).wants(t, http.StatusOK, "No calls are kept.", "No click was refused.")
}
