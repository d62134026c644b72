package call

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// bar puts a number on the list of the bundle's tenant, under the first key.
func (b *bundle) bar(t *testing.T, text string) {
	t.Helper()
	hashes, err := store.DoNotDialHashes(b.keys, b.tenant.ID, number(t, text))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	s := store.Subject{Tenant: b.tenant.ID, Number: number(t, text)}
	_, err = b.db.Bar(t.Context(), store.Act{Subject: s, Receipt: models.PrivacyRequest{
		ID: uuid.Must(uuid.NewV7()), TenantID: b.tenant.ID, Reference: "ABCDEFGH", Act: models.ActObjection, Subject: models.SubjectNumber,
		ReceivedAt: now, DueAt: now, DoneAt: &now,
	}}, hashes)
	if err != nil {
		t.Fatal(err)
	}
}

// Nobody of the tenant calls a number that has objected, whatever its extension,
// and after SECRET_KEY got a new key; a click that was made before gets its call.
func TestDoNotDial(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := b.practicePBX(t, "practice://?ring=5ms&callee=5ms&talk=5ms")
	r := b.start(t, line)
	before := click(t, "020 123 4567")
	first, _, err := r.Start(t.Context(), b.caller, before)
	if err != nil {
		t.Fatal(err)
	}
	b.bar(t, "020 123 4567 ext. 5")
	b.keys = newKeys(t, 9, 7) // the old one still opens
	renewed := b.start(t, line)
	for name, s := range map[string]*Service{"the same key": r.Service, "a renewed key": renewed.Service} {
		for _, spelling := range []string{"+31201234567", "020-123 45 67 ext. 12"} {
			if _, _, err := s.Start(t.Context(), b.caller, click(t, spelling)); fault.Code(err) != "do-not-dial" {
				t.Errorf("%s, %s: %v", name, spelling, err)
			} else if f, _ := fault.Of(err); f.Kind != fault.Refused || len(f.SupportCode) != 6 {
				t.Errorf("%s, %s: %+v", name, spelling, f)
			}
			if v, err := s.Ask(t.Context(), b.caller, number(t, spelling)); err != nil || v.Ruling != models.Denied || v.Code != "do-not-dial" {
				t.Errorf("%s, %s asked: %+v %v", name, spelling, v, err)
			}
		}
		if v, err := s.Ask(t.Context(), b.caller, number(t, "020 123 4568")); err != nil || v.Ruling != models.Allowed {
			t.Errorf("%s, a neighbour: %+v %v", name, v, err)
		}
		if again, replayed, err := s.Start(t.Context(), b.caller, before); err != nil || !replayed || again.ID != first.ID {
			t.Errorf("%s, the click of before: %v %v", name, replayed, err)
		}
	}
	if _, _, err := r.Start(t.Context(), b.caller, click(t, "020 123 4568")); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
}

// A click whose record its user has deleted is not rung again.
func TestDeletedClickIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.start(t, b.practicePBX(t, "practice://?ring=5ms&callee=5ms&talk=5ms"))
	one, two := click(t, "020 123 4567"), click(t, "020 123 4568")
	for _, c := range []Click{one, two} {
		made, _, err := r.Start(t.Context(), b.caller, c)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has ended", func() bool {
			now, err := r.Get(t.Context(), b.caller, made.ID)
			return err == nil && now.Status.Ended()
		})
		if c == one {
			if err := r.Service.Delete(t.Context(), b.caller, made.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Clear(t.Context(), b.caller); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Click{"deleted": one, "cleared": two} {
		if _, _, err := r.Start(t.Context(), b.caller, c); fault.Code(err) != "call-gone" {
			t.Errorf("%s: %v", name, err)
		}
		c.Private = true // another request under the same key: nobody can tell any more
		if _, _, err := r.Start(t.Context(), b.caller, c); fault.Code(err) != "call-gone" {
			t.Errorf("%s, another body: its fingerprint is kept: %v", name, err)
		}
	}
}
