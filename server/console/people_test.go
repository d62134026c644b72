package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/testdb"
)

var shownLink = regexp.MustCompile(`id="link" class="mono" value="([^"]+)"`)

func TestPeople(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	a := anna.get(t, "/console/people")
	a.wants(t, http.StatusOK, b.piet.Email, "Anna Smit")
	a.lacks(t, b.olga.Email, b.sam.Email)
}

func TestAddPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	a := anna.post(t, "/console/people", "email", "New@Example.test", "name", "Jan de Vries", "role", "admin")
	a.wants(t, http.StatusOK, "new@example.test was added", "It works once", "readonly")
	link := shownLink.FindStringSubmatch(a.body)
	if len(link) == 0 || !strings.HasPrefix(link[1], publicURL+"/console/link?code=") {
		t.Fatalf("the link is %v", link)
	}
	fresh := b.nobody()
	fresh.get(t, strings.TrimPrefix(link[1], publicURL)).to(t)
	fresh.get(t, "/console/link").wants(t, http.StatusOK, "new@example.test")
	anna.get(t, "/console/people").wants(t, http.StatusOK, "Jan de Vries", "Invited")

	for _, c := range []struct{ name, email, person, want, field string }{
		{"an e-mail that is taken", b.olga.Email, "", "There is a user with this e-mail already.", "email"},
		{"no e-mail", "x", "", "does not look like an e-mail", "email"},
		{"a name that is too long", "long@example.test", strings.Repeat("x", 81), "at most 80", "name"},
	} {
		a := anna.post(t, "/console/people", "email", c.email, "name", c.person, "role", "user")
		if a.status != http.StatusUnprocessableEntity && a.status != http.StatusConflict {
			t.Errorf("%s: %d", c.name, a.status)
		}
		a.wants(t, a.status, c.want, `id="person-`+c.field+`" name="`+c.field+`" aria-invalid="true"`, `value="`+c.email+`"`)
	}
	support := anna.post(t, "/console/people", "email", "s@example.test", "name", "", "role", "support")
	support.wants(t, http.StatusOK)
	found, _, err := b.auth.People(t.Context(), actorOf(b.anna), "", 50)
	check(t, err)
	for _, p := range found {
		if p.Role == models.RoleSupport {
			t.Error("an admin makes support staff")
		}
	}
}

func TestPeoplePages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	for i := range 55 {
		b.asApp(t, b.acme.ID, `INSERT INTO users (id, tenant_id, email, name, role, created_at)
			VALUES (gen_random_uuid(), $1, 'p' || to_char($2::int, 'FM000') || '@example.test', '', 'user', now())`, b.acme.ID, i)
	}
	seen := map[string]bool{}
	href := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	emails := regexp.MustCompile(`>(p\d+@example\.test)<`)
	path := "/console/people"
	for pages := 0; path != ""; pages++ {
		a := anna.get(t, path)
		a.wants(t, http.StatusOK)
		for _, m := range emails.FindAllStringSubmatch(a.body, -1) {
			if seen[m[1]] {
				t.Errorf("%s stands on two pages", m[1])
			}
			seen[m[1]] = true
		}
		next := href.FindStringSubmatch(a.body)
		if pages > 5 || strings.Contains(path, "@") {
			t.Fatalf("page %d is %s", pages, path)
		}
		path = ""
		if len(next) > 0 {
			path = next[1]
		}
	}
	if len(seen) != 55 {
		t.Errorf("%d people are shown", len(seen))
	}
}

func TestPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	laptop, one := b.device(t, b.piet, "Laptop")
	desk, _ := b.device(t, b.piet, "Desk")
	anna, piet := b.as(t, b.anna), b.as(t, b.piet)
	page := "/console/people/" + b.piet.ID.String()
	a := anna.get(t, page)
	a.wants(t, http.StatusOK, "Laptop", "Desk", "No phone yet", "New password link")
	a.wants(t, http.StatusOK, "<title>Person · Click-to-Dial</title>")

	if to := anna.post(t, page+"/sign-ins/"+one.ID.String()+"/revoke", "why", "spring cleaning").to(t); to != page+"?done=revoked" {
		t.Errorf("revoked, one is led to %s", to)
	}
	b.wantAlive(t, laptop, false)
	b.wantAlive(t, desk, true)
	anna.get(t, page).wants(t, http.StatusOK, "Ended just now by an administrator: spring cleaning")
	piet.get(t, "/console/sign-ins").wants(t, http.StatusOK, "Ended just now by an administrator: spring cleaning")
	anna.post(t, page+"/sign-ins/revoke", "why", strings.Repeat("x", 201)).wants(t, http.StatusUnprocessableEntity, "at most 200", `id="revoke-why" name="why" aria-invalid="true"`)
	anna.post(t, page+"/sign-ins/revoke").to(t)
	b.wantAlive(t, desk, false)
	piet.get(t, "/console/sign-ins").to(t) // the console too

	for _, c := range []struct{ name, label, endpoint, callerID, field string }{
		{"no label", "", "101", "", "label"}, {"an endpoint of somebody else", "Desk", "999", "", "endpoint"},
		{"an endpoint that is a command", "Desk", "1&2", "", "endpoint"}, {"a caller id that is no number", "Desk", "101", "x", "caller_id"},
	} {
		anna.post(t, page+"/phones", "label", c.label, "endpoint", c.endpoint, "caller_id", c.callerID).
			wants(t, http.StatusUnprocessableEntity, `name="`+c.field+`" aria-invalid="true"`, `<details class="panel" open>`)
	}
	anna.post(t, page+"/phones", "label", "Desk phone", "endpoint", "101", "caller_id", "").to(t)
	anna.get(t, page).wants(t, http.StatusOK, "Desk phone")
	phones, err := b.auth.Phones(ctx, actorOf(b.anna), b.piet.ID)
	check(t, err)
	if to := anna.post(t, page+"/phones/"+phones[0].ID.String()+"/remove").to(t); to != page+"?done=phone-removed" {
		t.Errorf("removed, one is led to %s", to)
	}
	anna.get(t, page).wants(t, http.StatusOK, "No phone yet")
}

func TestAccessOfPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	tokens, _ := b.device(t, b.piet, "Laptop")
	anna := b.as(t, b.anna)
	page := "/console/people/" + b.piet.ID.String()
	if link := shownLink.FindStringSubmatch(anna.post(t, page+"/link").body); len(link) == 0 {
		t.Error("no link is shown")
	}
	a := anna.post(t, page+"/pair")
	a.wants(t, http.StatusOK, "pairing-code", "sees on their page")
	if to := anna.post(t, page+"/factor/reset").to(t); to != page+"?done=factor-reset" {
		t.Errorf("reset, one is led to %s", to)
	}
	b.as(t, b.piet).get(t, "/console/sign-ins").wants(t, http.StatusOK, "An administrator made a pairing code for you.", "An administrator made a link to set your password.")
	anna.post(t, page+"/disable").to(t)
	b.wantAlive(t, tokens, false)
	anna.get(t, page).wants(t, http.StatusOK, "Disabled", "Enable")
	if _, err := b.auth.OpenSession(ctx, b.piet.Email, password, auth.Visitor{Browser: "x"}); err == nil {
		t.Error("who is disabled signs in")
	}
	anna.post(t, page+"/enable").to(t)
	b.as(t, b.piet)
	self := "/console/people/" + b.anna.ID.String()
	anna.get(t, self).lacks(t, "/disable")
	anna.post(t, self+"/disable").wants(t, http.StatusConflict, "your own account")
}

func TestCorrectPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna, piet := b.as(t, b.anna), b.as(t, b.piet)
	page := "/console/people/" + b.piet.ID.String()
	for _, c := range []struct{ name, email, field, want string }{
		{"Piet", b.olga.Email, "email", "There is a user with this e-mail already."},
		{"Piet", "x", "email", "does not look like an e-mail"},
		{strings.Repeat("x", 81), b.piet.Email, "name", "at most 80"},
	} {
		a := anna.post(t, page+"/correct", "name", c.name, "email", c.email)
		if a.status != http.StatusUnprocessableEntity && a.status != http.StatusConflict {
			t.Errorf("%s as e-mail: %d", c.email, a.status)
		}
		a.wants(t, a.status, c.want, `id="correct-`+c.field+`" name="`+c.field+`" aria-invalid="true"`, `value="`+c.email+`"`)
	}
	if to := anna.post(t, page+"/correct", "name", "Piet Bos", "email", "Bos@Example.test").to(t); to != page+"?done=corrected" {
		t.Errorf("it leads to %s", to)
	}
	anna.get(t, page+"?done=corrected").wants(t, http.StatusOK, "<h1>Piet Bos</h1>", "bos@example.test", "Name and e-mail are saved.")
	piet.get(t, "/console/my-data").wants(t, http.StatusOK, "<dd>bos@example.test</dd>", "<dd>Piet Bos</dd>")
	b.as(t, b.olga).post(t, page+"/correct", "name", "Stranger", "email", "stranger@example.test").wants(t, http.StatusNotFound)
	anna.get(t, page).wants(t, http.StatusOK, "<h1>Piet Bos</h1>")
}

func TestDeletePerson(t *testing.T) {
	t.Parallel()
	for _, leavers := range []struct{ choice, says, left string }{
		{"erase", "The call records are erased too.", "0"}, {"keep", "The call records stay until their time, without this person.", "1"},
	} {
		t.Run(leavers.choice, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tokens, _ := b.device(t, b.piet, "Laptop")
			anna, piet := b.as(t, b.anna), b.as(t, b.piet)
			b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
			piet.post(t, "/console/my-data/requests", "act", "departure").to(t)
			ref := reference.FindStringSubmatch(piet.get(t, "/console/my-data").body)[1]
			anna.post(t, "/console/retention/settings", "leavers", leavers.choice).to(t)
			page := "/console/people/" + b.piet.ID.String()
			anna.get(t, page).plain().wants(t, http.StatusOK, leavers.says)
			anna.post(t, page+"/delete").wants(t, http.StatusUnprocessableEntity, "Tick the box", `id="delete-checked" name="checked" aria-invalid="true"`)
			b.as(t, b.olga).post(t, page+"/delete", "checked", "yes").wants(t, http.StatusNotFound)
			b.wantAlive(t, tokens, true)

			receipt := anna.post(t, page+"/delete", "checked", "yes").to(t)
			a := anna.get(t, receipt)
			a.wants(t, http.StatusOK, "<dd>Departure</dd>", ref)
			a.lacks(t, b.piet.Email)
			b.wantAlive(t, tokens, false)
			anna.get(t, page).wants(t, http.StatusNotFound)
			anna.post(t, page+"/delete", "checked", "yes").wants(t, http.StatusNotFound)
			anna.get(t, "/console/people").lacks(t, b.piet.Email)
			piet.get(t, "/console/my-data").to(t) // to sign in
			if left := testdb.Strings(t, b.url, "SELECT count(*) FROM calls"); left[0] != leavers.left {
				t.Errorf("%s calls are left", left[0])
			}
		})
	}
}

func TestDeleteIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	self := "/console/people/" + b.anna.ID.String()
	a := anna.get(t, self)
	a.wants(t, http.StatusOK, "You cannot delete your own account", self+"/correct")
	a.lacks(t, self+"/delete")
	anna.post(t, self+"/delete", "checked", "yes").wants(t, http.StatusConflict, `id="delete-error" role="alert">You cannot do this to your own account.`)

	b.live(t, b.piet)
	page := "/console/people/" + b.piet.ID.String()
	anna.post(t, page+"/delete", "checked", "yes").wants(t, http.StatusConflict, `id="delete-error" role="alert">A call is still up`, "Disabled")
	testdb.AsOwner(t, b.url, "UPDATE calls SET status = 'failed', rank = 4, ended_at = now(), diagnosis = 'lost-track'")
	anna.get(t, anna.post(t, page+"/delete", "checked", "yes").to(t)).wants(t, http.StatusOK, "<dd>Departure</dd>")
}

// A request is handled from the person's page, also where they are too many for a
// list.
func TestRequestFromThePersonsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	anna.get(t, "/console/privacy-requests").wants(t, http.StatusOK, `<select id="find-user"`)
	b.asApp(t, b.acme.ID, `INSERT INTO users (id, tenant_id, email, name, role, created_at)
		SELECT gen_random_uuid(), $1, 'p' || i || '@example.test', '', 'user', now() FROM generate_series(1, 200) i`, b.acme.ID)
	a := anna.get(t, "/console/privacy-requests")
	a.plain().wants(t, http.StatusOK, `Or use “Privacy request” on the page of the person, under <a href="/console/people">People</a>`)
	a.lacks(t, `<select id="find-user"`)
	page := "/console/people/" + b.piet.ID.String()
	form := regexp.MustCompile(`action="(/console/privacy-requests/find)"><input type="hidden" name="user" value="([0-9a-f-]{36})"><button[^>]*>Privacy request<`)
	found := form.FindStringSubmatch(anna.get(t, page).body)
	if found == nil || found[2] != b.piet.ID.String() {
		t.Fatalf("the person's page has the form %v", found)
	}
	subject := anna.post(t, found[1], "user", found[2]).to(t)
	anna.get(t, subject).wants(t, http.StatusOK, "<h1>"+b.piet.Email+"</h1>", `<a href="`+page+`">`)
}

func TestCompany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	laptop, _ := b.device(t, b.piet, "Laptop")
	mine, _ := b.device(t, b.anna, "Mine")
	foreign, _ := b.device(t, b.olga, "Elsewhere")
	anna, piet := b.as(t, b.anna), b.as(t, b.piet)
	anna.get(t, "/console/company/revoke").wants(t, http.StatusOK, "Everybody at Acme")
	b.wantAlive(t, laptop, true)
	if to := anna.post(t, "/console/company/revoke", "why", "stolen server").to(t); to != "/console/sign-in?done=company-revoked" || anna.cookies["__Host-ctd"] != "" {
		t.Errorf("revoked, one is led to %s", to)
	}
	b.wantAlive(t, laptop, false)
	b.wantAlive(t, mine, false)
	b.wantAlive(t, foreign, true)

	anna, piet = b.as(t, b.anna), b.as(t, b.piet)
	if to := anna.post(t, "/console/company/factor", "required", "yes").to(t); to != "/console/people?done=factor-required" {
		t.Errorf("required, one is led to %s", to)
	}
	if to := piet.get(t, "/console/sign-ins").to(t); !strings.HasPrefix(to, "/console/factor/new") {
		t.Errorf("who has none is led to %s", to)
	}
	secret := shownSecret.FindStringSubmatch(anna.get(t, "/console/factor/new").body)[1]
	anna.post(t, "/console/factor/new", "code", b.factor(t, secret)).wants(t, http.StatusOK)
	anna.get(t, "/console/people").wants(t, http.StatusOK, "Everybody in your company needs one.")
	b.ahead.Add(int64(time.Minute))
	anna.post(t, "/console/company/factor", "required", "no").to(t)
	piet.get(t, "/console/password").wants(t, http.StatusOK)
}
