package auth

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// deed is a method that asks who is asking, and is done to somebody.
type deed struct {
	name string
	do   func(b *bundle, by Actor, to models.User, grant, device uuid.UUID) error
	look bool // it changes nothing
	self bool // everybody may, of themselves
}

var deeds = []deed{
	{"Person", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.Person(context.Background(), by, to.ID))
	}, true, false},
	{"People, after", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		_, _, err := b.People(context.Background(), by, to.ID.String(), 10)
		return err
	}, true, false},
	{"NewLink", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.NewLink(context.Background(), by, to.ID, "en"))
	}, false, false},
	{"SetDisabled", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return b.SetDisabled(context.Background(), by, to.ID, true)
	}, false, false},
	{"ResetFactor", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return b.ResetFactor(context.Background(), by, to.ID)
	}, false, false},
	{"PairPerson", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		_, _, err := b.PairPerson(context.Background(), by, to.ID)
		return err
	}, false, true},
	{"Phones", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.Phones(context.Background(), by, to.ID))
	}, true, false},
	{"AddPhone", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return b.AddPhone(context.Background(), by, to.ID, NewPhone{Label: "Second", Endpoint: "202"})
	}, false, false},
	{"RemovePhone", func(b *bundle, by Actor, to models.User, _, device uuid.UUID) error {
		return b.RemovePhone(context.Background(), by, to.ID, device)
	}, false, false},
	{"SignIns", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.SignIns(context.Background(), by, to.ID))
	}, true, true},
	{"Revoke, one", func(b *bundle, by Actor, _ models.User, grant, _ uuid.UUID) error {
		return second(b.Revoke(context.Background(), by, Which{SignIn: grant}, ""))
	}, false, true},
	{"Revoke, all of a user", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.Revoke(context.Background(), by, Which{User: to.ID}, ""))
	}, false, true},
	{"Revoke, a company", func(b *bundle, by Actor, to models.User, _, _ uuid.UUID) error {
		return second(b.Revoke(context.Background(), by, Which{Tenant: *to.TenantID}, ""))
	}, false, false},
}

// newDevice gives the user a phone.
func (b *bundle) newDevice(t *testing.T, u models.User) uuid.UUID {
	t.Helper()
	d := models.Device{ID: uuid.Must(uuid.NewV7()), TenantID: *u.TenantID, UserID: u.ID, Label: "Desk", Endpoint: "101", CreatedAt: b.Now()}
	if err := b.DB.AddDevice(context.Background(), d, entry); err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// Who may do what to whom: somebody of another company is not there, and what was
// not allowed has changed nothing. The deeds that end things come last.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	_, boss := b.newTenant(t, "Other", "carl@other.test")
	other := boss
	other.ID, other.Email, other.Role = uuid.Must(uuid.NewV7()), "dora@other.test", models.RoleUser
	if err := b.DB.CreateUser(ctx, other, entry); err != nil {
		t.Fatal(err)
	}
	for _, u := range []models.User{boss, other} {
		b.givePassword(t, u.ID)
	}
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	device, grant := b.newDevice(t, other), b.grantOf(t, b.signInAs(t, other).Access)
	b.session(t, other, models.StageFull)
	before := b.dump(t)
	for _, d := range deeds {
		wantCode(t, "another company's admin: "+d.name, d.do(b, actorOf(b.user), other, grant, device), "not-found")
		wantCode(t, "another company's admin, of an admin: "+d.name, d.do(b, actorOf(b.user), boss, grant, device), "not-found")
		for name, by := range map[string]Actor{
			"another company's user": actorOf(bert), "a user without a company": {Role: models.RoleUser, UserID: bert.ID},
			"an admin without a company": {Role: models.RoleAdmin, UserID: b.user.ID}, "nobody": {}, "no role": {UserID: bert.ID, TenantID: b.tenant.ID},
			"support of a company": {Role: models.RoleSupport, UserID: staff.ID, TenantID: *other.TenantID},
		} {
			if err := d.do(b, by, other, grant, device); err == nil || !slices.Contains([]string{"not-found", "forbidden"}, fault.Code(err)) {
				t.Errorf("%s: %s: %v", name, d.name, err)
			}
		}
		if colleague := b.user; !d.self {
			if err := d.do(b, actorOf(bert), colleague, grant, device); err == nil || fault.Code(err) != "forbidden" {
				t.Errorf("a colleague who is no admin: %s: %v", d.name, err)
			}
		} else if err := d.do(b, actorOf(bert), colleague, grant, device); fault.Code(err) != "not-found" {
			t.Errorf("a colleague: %s: %v", d.name, err)
		}
	}
	for name, do := range map[string]func(Actor) error{
		"People": func(by Actor) error { _, _, err := b.People(ctx, by, "", 10); return err },
		"AddPerson": func(by Actor) error {
			_, _, err := b.AddPerson(ctx, by, "x@example.test", "", models.RoleUser, "en")
			return err
		},
		"FactorRequired": func(by Actor) error { return second(b.FactorRequired(ctx, by)) },
		"RequireFactor":  func(by Actor) error { return b.RequireFactor(ctx, by, true) },
	} {
		for _, by := range []Actor{actorOf(bert), actorOf(staff), {}, {Role: models.RoleAdmin}} {
			wantCode(t, name+" by "+string(by.Role), do(by), "forbidden")
		}
	}
	for name, do := range map[string]func(Actor) error{
		"FindPerson":  func(by Actor) error { return second(b.FindPerson(ctx, by, other.Email)) },
		"MaskedCalls": func(by Actor) error { return second(b.MaskedCalls(ctx, by, other.ID)) },
		"Refusals":    func(by Actor) error { return second(b.Refusals(ctx, by, other.ID)) },
		"Errand":      func(by Actor) error { return second(b.Errand(ctx, by, other.ID)) },
	} {
		for _, by := range []Actor{actorOf(bert), actorOf(b.user), actorOf(boss), {}, {Role: models.RoleSupport, UserID: staff.ID, TenantID: b.tenant.ID}} {
			wantCode(t, name+" by "+string(by.Role), do(by), "forbidden")
		}
	}
	if after := b.dump(t); changed(before, after)+changed(after, before) != "" {
		t.Errorf("something was changed:\n%s\nwas\n%s", changed(before, after), changed(after, before))
	}
	// Support looks, and ends; it does not manage.
	for _, d := range deeds {
		err := d.do(b, actorOf(staff), other, grant, device)
		if may := d.name == "Person" || d.name == "SignIns" || strings.HasPrefix(d.name, "Revoke"); may != (err == nil) || !may && !slices.Contains([]string{"forbidden", "not-found"}, fault.Code(err)) {
			t.Errorf("support: %s: %v", d.name, err)
		}
	}
	for _, d := range deeds {
		if err := d.do(b, actorOf(boss), other, grant, device); err != nil {
			t.Errorf("their own admin: %s: %v", d.name, err)
		}
	}
}

// changed is the rows of the later dump that the earlier one has not.
func changed(before, after string) string {
	var out []string
	old := strings.Split(before, "\n")
	for line := range strings.Lines(after) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(old, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// peoplePage is how many are asked for at a time.
const peoplePage = 50

func TestPeople(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	admin := actorOf(b.user)
	_, stranger := b.newTenant(t, "Other", "carl@other.test")
	for _, row := range []struct{ name, email, called, role, code string }{
		{"right", "New@Example.Test ", "Nina", "user", ""}, {"an admin", "boss@example.test", "", "admin", ""},
		{"there already", "new@example.test", "", "user", "email-taken"}, {"there already, in capitals", "NEW@EXAMPLE.TEST", "", "user", "email-taken"},
		{"at another company", stranger.Email, "", "user", "email-taken"}, {"support", "s@example.test", "", "support", "role-invalid"}, {"no role", "s@example.test", "", "", "role-invalid"},
		{"no e-mail", "", "", "user", "email-invalid"}, {"no @", "example.test", "", "user", "email-invalid"}, {"two", "a@b.test, c@d.test", "", "user", "email-invalid"},
		{"a header", "a@b.test\r\nBcc: c@d.test", "", "user", "email-invalid"}, {"NUL", "a\x00@b.test", "", "user", "email-invalid"}, {"a name with it", "A <a@b.test>", "", "user", "email-invalid"},
		{"too long", strings.Repeat("a", 250) + "@b.test", "", "user", "email-invalid"}, {"a name with a line", "n@example.test", "a\nb", "user", "name-invalid"},
	} {
		p, link, err := b.AddPerson(ctx, admin, row.email, row.called, models.Role(row.role), "en")
		wantCode(t, row.name, err, row.code)
		if err == nil && (p.Email != strings.ToLower(strings.TrimSpace(row.email)) || p.Name != row.called || string(p.Role) != row.role || p.TenantID != b.tenant.ID || p.HasPassword || link.URL == "") {
			t.Errorf("%s: %+v", row.name, p)
		}
	}
	for i := range 2 * peoplePage {
		b.newUser(t, &b.tenant, fmt.Sprintf("u%03d@example.test", i), models.RoleUser)
	}
	var emails []string
	pages := 0
	for after := ""; pages == 0 || after != ""; pages++ {
		page, next, err := b.People(ctx, admin, after, peoplePage)
		if err != nil || len(page) > peoplePage {
			t.Fatal(len(page), err)
		}
		for _, p := range page {
			emails = append(emails, p.Email)
			if p.TenantID != b.tenant.ID {
				t.Errorf("of another company: %+v", p)
			}
		}
		after = next
	}
	if len(emails) != 2*peoplePage+3 || pages != 3 || !slices.IsSorted(emails) || len(slices.Compact(emails)) != len(emails) {
		t.Errorf("%d people on %d pages", len(emails), pages)
	}
	for _, after := range []string{"x", uuid.NewString(), stranger.ID.String(), "' OR 1=1 --"} {
		_, _, err := b.People(ctx, admin, after, peoplePage)
		wantCode(t, "after "+after, err, "not-found")
	}
	wantCode(t, "closing one's own account", b.SetDisabled(ctx, admin, b.user.ID, true), "oneself")
}

// Closing an account ends its sign-ins, and opening it again brings none back.
func TestSetDisabled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	b.givePassword(t, bert.ID)
	tokens, mine := b.signInAs(t, bert), b.signIn(t)
	for _, disabled := range []bool{true, false} {
		if err := b.SetDisabled(ctx, actorOf(b.user), bert.ID, disabled); err != nil {
			t.Fatal(err)
		}
		b.wantAlive(t, tokens.Access, false)
		_, err := b.Refresh(ctx, tokens.Refresh, ExtensionClient, "")
		wantCode(t, "its refresh token", err, "refresh-token-invalid")
		if p, err := b.Person(ctx, actorOf(b.user), bert.ID); err != nil || (p.DisabledAt != nil) != disabled {
			t.Errorf("%+v, %v", p, err)
		}
	}
	b.wantAlive(t, mine.Access, true)
	b.open(t, bert.Email)
	if end, err := b.HowEnded(ctx, b.grantOf(t, tokens.Access)); err != nil || end.By != "admin" || end.Reason != "account closed" {
		t.Errorf("it ended %+v, %v", end, err)
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	admin := actorOf(b.user)
	for _, row := range []struct {
		name  string
		phone NewPhone
		code  string
	}{
		{"right", NewPhone{"Desk", "101", "020 123 4567"}, ""}, {"no caller id", NewPhone{"Hall", "102", ""}, ""}, {"a label twice", NewPhone{"Desk", "103", ""}, "label-taken"},
		{"no label", NewPhone{" ", "104", ""}, "label-invalid"}, {"a label with a line", NewPhone{"a\nb", "104", ""}, "label-invalid"}, {"no endpoint", NewPhone{"Lab", "", ""}, "endpoint-invalid"},
		{"an endpoint with a line", NewPhone{"Lab", "104\r\nAction: Originate", ""}, "endpoint-invalid"}, {"another channel", NewPhone{"Lab", "PJSIP/104", ""}, "endpoint-invalid"},
		{"no number", NewPhone{"Lab", "104", "abc"}, "caller-id-invalid"},
	} {
		wantCode(t, row.name, b.AddPhone(ctx, admin, b.user.ID, row.phone), row.code)
	}
	phones, err := b.Phones(ctx, admin, b.user.ID)
	if err != nil || len(phones) != 2 || phones[0].CallerID != "+31201234567" || phones[1].Endpoint != "102" {
		t.Fatalf("%+v, %v", phones, err)
	}
	wantCode(t, "another person's", b.RemovePhone(ctx, admin, uuid.New(), phones[0].ID), "not-found")
	wantCode(t, "removed", b.RemovePhone(ctx, admin, b.user.ID, phones[0].ID), "")
	wantCode(t, "removed again", b.RemovePhone(ctx, admin, b.user.ID, phones[0].ID), "not-found")
}

// Support's errand: whom is it about, what are their sign-ins, what went wrong.
// Each look leaves a line.
func TestSupport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	by := actorOf(staff)
	b.newTenant(t, "Other", "carl@other.test")
	tokens := b.signIn(t)
	bearer, err := b.DB.FindBearer(ctx, models.AccessToken, hashToken(tokens.Access))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DB.Refuse(ctx, models.Refusal{ID: uuid.Must(uuid.NewV7()), TenantID: b.tenant.ID, UserID: b.user.ID, Code: "star-code", SupportCode: "QWRTPS", At: b.Now()}); err != nil {
		t.Fatal(err)
	}
	b.newCall(t)
	code := bearer.SupportCode
	for _, row := range []struct {
		typed string
		found bool
	}{
		{"anna@example.test", true}, {" ANNA@Example.TEST ", true}, {code, true}, {strings.ToLower(code), true}, {code[:3] + "-" + code[3:], true}, {" " + code[:2] + " " + code[2:] + " ", true},
		{"qwr-tps", true}, {"QWRTPS", true}, {"ZZZZZZ", code == "ZZZZZZ"}, {"anna@example", false}, {"nna@example.test", false}, {"%@example.test", false}, {"nobody@example.test", false},
	} {
		people, err := b.FindPerson(ctx, by, row.typed)
		if err != nil || row.found != (len(people) == 1) {
			t.Errorf("%q finds %d, %v", row.typed, len(people), err)
		}
		for _, p := range people {
			if p.ID != b.user.ID || p.Name != "" || p.TenantName != "Acme" || p.Email != b.user.Email {
				t.Errorf("%q finds %+v", row.typed, p)
			}
		}
	}
	for _, typed := range []string{"", "abc", "abcdefg", "12345a", "Anna", "+31201234567", "020 123 4567", "a\x00@b.test", strings.Repeat("a", 300) + "@x.test", "äöüäöü"} {
		_, err := b.FindPerson(ctx, by, typed)
		wantCode(t, fmt.Sprintf("%.20q", typed), err, "search-invalid")
	}
	p, err := b.Person(ctx, by, b.user.ID)
	if err != nil || p.Name != "" || p.Email != b.user.Email || !p.HasPassword {
		t.Errorf("%+v, %v", p, err)
	}
	if list, err := b.SignIns(ctx, by, b.user.ID); err != nil || len(list) != 1 || list[0].SupportCode != code || !list[0].Alive {
		t.Errorf("%+v, %v", list, err)
	}
	calls, err := b.MaskedCalls(ctx, by, b.user.ID)
	if err != nil || len(calls) != 1 || calls[0].NumberMasked == nil || strings.Contains(*calls[0].NumberMasked, "4567") {
		t.Errorf("%+v, %v", calls, err)
	}
	if refusals, err := b.Refusals(ctx, by, b.user.ID); err != nil || len(refusals) != 1 || refusals[0].SupportCode != "QWRTPS" {
		t.Errorf("%+v, %v", refusals, err)
	}
	e, err := b.Errand(ctx, by, b.user.ID)
	if err != nil || e.Person.Email != b.user.Email || e.Person.Name != "" || len(e.SignIns) != 1 || len(e.Calls) != 1 || len(e.Refusals) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := b.Errand(ctx, Actor{Role: models.RoleAdmin, TenantID: b.tenant.ID, UserID: b.user.ID}, b.user.ID); fault.Code(err) != "forbidden" {
		t.Errorf("an admin on support's errand: %v", err)
	}
	for name, err := range map[string]error{
		"Errand": second(b.Errand(ctx, by, uuid.New())), "Person": second(b.Person(ctx, by, uuid.New())), "SignIns": second(b.SignIns(ctx, by, uuid.New())), "MaskedCalls": second(b.MaskedCalls(ctx, by, uuid.New())),
		"Revoke, all": second(b.Revoke(ctx, by, Which{User: uuid.New()}, "")), "Revoke, one": second(b.Revoke(ctx, by, Which{SignIn: uuid.New()}, "")), "Revoke, nothing": second(b.Revoke(ctx, by, Which{}, "")),
	} {
		wantCode(t, name+" of nobody", err, "not-found")
	}
	for _, reason := range []string{strings.Repeat("x", 201), "a\nb", "\xff", "a\u202eb"} {
		_, err := b.Revoke(ctx, by, Which{User: b.user.ID}, reason)
		wantCode(t, "a reason of odd letters", err, "reason-invalid")
	}
	if _, err := b.Revoke(ctx, by, Which{User: b.user.ID}, strings.Repeat("é", 200)); err != nil {
		t.Error(err)
	}
	b.wantAlive(t, tokens.Access, false)
	looks := b.looks(t, staff.ID)
	for action, least := range map[string]int{"support-search": 13, "support-look": 4 /* Person, SignIns, Errand, Revoke */, "support-look-calls": 1, "support-look-refusals": 1, "sign-in-revoke": 1} {
		if looks[action] < least {
			t.Errorf("%s was written %d times, want %d at least", action, looks[action], least)
		}
	}
}

// looks counts the audit's entries of an actor, by action; none tells what was
// typed.
func (b *bundle) looks(t *testing.T, actor uuid.UUID) map[string]int {
	t.Helper()
	found := map[string]int{}
	b.past(t, func(tx *sql.Tx) {
		rows, err := tx.Query("SELECT action, audit::text FROM audit WHERE actor_id = $1", actor)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close() //nolint:errcheck // read to its end
		for rows.Next() {
			var action, text string
			if err := rows.Scan(&action, &text); err != nil {
				t.Fatal(err)
			}
			found[action]++
			if strings.Contains(text, "@") {
				t.Errorf("the audit tells %s", text)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	})
	return found
}

// newCall is a call of the bundle's user.
func (b *bundle) newCall(t *testing.T) {
	t.Helper()
	n, err := phone.Parse("020 123 4567", "NL")
	if err != nil {
		t.Fatal(err)
	}
	b.newDevice(t, b.user)
	_, _, _, err = b.DB.CreateCall(context.Background(), store.NewCall{
		TenantID: b.tenant.ID, UserID: b.user.ID, Number: n, Name: "Jan Jansen", Key: uuid.NewString(),
		Fingerprints: [2][]byte{make([]byte, 32), make([]byte, 32)}, At: time.Now().UTC().Truncate(time.Millisecond), MaxAge: 90 * models.Day,
		Limits: store.Limits{AtOnce: 100}, ReplicaID: uuid.New(), ChannelID: "ctd-" + uuid.NewString(),
	})
	if err != nil {
		t.Fatal(err)
	}
}
