package call

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/store"
)

const hurried = "practice://?ring=20ms&callee=20ms&talk=50ms&unanswered=50ms"

// Every story of the practice exchange, from the click to the row.
func TestStories(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.start(t, b.practicePBX(t, hurried))
	rows := []struct {
		name, number string
		ends         string
		answered     bool // the own phone
		connected    bool
	}{
		{"answered", "020 123 4567", "disconnected hangUp hung-up", true, true},
		{"an extension", "102", "disconnected hangUp hung-up", true, true},
		{"nobody answers", "020 123 0000", "disconnected calleeNoAnswer number-unanswered", true, false},
		{"busy", "020 123 1111", "disconnected calleeBusy number-busy", true, false},
		{"failure", "020 123 2222", "disconnected calleeFailure number-failed", true, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			call := b.dial(t, s.Service, click(t, row.number))
			if call.Status != models.Initiating || call.ReplicaID != s.Replica {
				t.Errorf("a new call: %s of replica %s", call.Status, call.ReplicaID)
			}
			got := b.awaitEnd(t, call.ID)
			if ends(got) != row.ends {
				t.Errorf("ends %q, want %q", ends(got), row.ends)
			}
			if (got.CallerAnsweredAt != nil) != row.answered || (got.ConnectedAt != nil) != row.connected || got.EndedAt == nil {
				t.Errorf("times: answered %v, connected %v, ended %v", got.CallerAnsweredAt, got.ConnectedAt, got.EndedAt)
			}
			if got.Number != number(t, row.number) || got.Name != "Jan Jansen" || got.DeviceLabel != "desk" {
				t.Errorf("row: %v %v %v", got.Number, got.Name, got.DeviceLabel)
			}
			if want, _ := models.Expiry(call.CreatedAt, 90, b.maxAge); !got.ExpiresAt.Equal(want) {
				t.Errorf("expires at %v, want %v", got.ExpiresAt, want)
			}
		})
	}
}

// The own phone is not picked up within the tenant's choice.
func TestOwnPhoneUnanswered(t *testing.T) {
	t.Parallel()
	p := newPeer()
	b := setup(t)
	s := b.start(t, p)
	b.dial(t, s.Service, click(t, "020 123 3333"))
	if req := p.nextOriginate(t); req.RingTimeout.Seconds() != 25 || req.Endpoint != "101" {
		t.Errorf("asked to ring %s for %v", req.Endpoint, req.RingTimeout)
	}
}

// As if the line were down: 503 and no row.
func TestLineDownStory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.start(t, b.practicePBX(t, hurried))
	_, _, err := s.Start(context.Background(), b.caller, click(t, "020 123 4444"))
	wantCode(t, err, "pbx-unavailable")
	if rows := b.history(t); len(rows) != 0 {
		t.Errorf("%d rows of a call that was never begun", len(rows))
	}
}

// The same key is the same call, also when its first one has ended.
func TestTwoClicksOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.start(t, b.practicePBX(t, hurried))
	c := click(t, "020 123 4567")
	first := b.dial(t, s.Service, c)
	again, replayed, err := s.Start(context.Background(), b.caller, c)
	if err != nil || !replayed || again.ID != first.ID {
		t.Fatalf("again: %v, replayed %v, %v", again.ID, replayed, err)
	}
	b.awaitEnd(t, first.ID)
	again, replayed, err = s.Start(context.Background(), b.caller, c)
	if err != nil || !replayed || again.ID != first.ID || !again.Status.Ended() {
		t.Fatalf("after its end: %v, replayed %v, %v", again, replayed, err)
	}
	other := c
	other.Number = number(t, "020 123 4568")
	_, _, err = s.Start(context.Background(), b.caller, other)
	wantCode(t, err, "idempotency-key-reused")
	other = c
	other.Private = true
	_, _, err = s.Start(context.Background(), b.caller, other)
	wantCode(t, err, "idempotency-key-reused")
}

func TestFiftyAtOnceOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	one, two := b.start(t, p), b.start(t, p)
	c := click(t, "020 123 4567")
	ids := make([]uuid.UUID, 50)
	var fresh, all = make([]bool, 50), sync.WaitGroup{}
	for i := range ids {
		s := []*replica{one, two}[i%2]
		all.Go(func() {
			call, replayed, err := s.Start(context.Background(), b.caller, c)
			if err != nil {
				t.Errorf("click %d: %v", i, err)
			}
			ids[i], fresh[i] = call.ID, !replayed
		})
	}
	all.Wait()
	made := 0
	for i := range ids {
		if ids[i] != ids[0] {
			t.Errorf("click %d made call %s, another made %s", i, ids[i], ids[0])
		}
		if fresh[i] {
			made++
		}
	}
	if made != 1 || len(b.history(t)) != 1 || p.sentCount() != 1 {
		t.Errorf("50 clicks: %d made a call, %d rows, %d originated", made, len(b.history(t)), p.sentCount())
	}
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	rows := []struct {
		name, number, code string
		change             func(*Click)
		noted              bool
	}{
		{name: "emergency", number: "112", code: "emergency-number", noted: true},
		{name: "premium", number: "0900 1234", code: "premium-number", noted: true},
		{name: "star", number: "*21#", code: "star-code", noted: true},
		{name: "another's phone", number: "020 123 4567", code: "device-unknown", noted: true, change: func(c *Click) { c.DeviceID = uuid.New() }},
		{name: "no key", number: "020 123 4567", code: "invalid-request", change: func(c *Click) { c.Key = "" }},
		{name: "a bad key", number: "020 123 4567", code: "invalid-request", change: func(c *Click) { c.Key = "a b" }},
		{name: "a long key", number: "020 123 4567", code: "invalid-request", change: func(c *Click) {
			c.Key = uuid.NewString() + uuid.NewString()
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := click(t, row.number)
			if row.change != nil {
				row.change(&c)
			}
			_, _, err := s.Start(context.Background(), b.caller, c)
			f := wantCode(t, err, row.code)
			if (f.SupportCode != "") != row.noted {
				t.Errorf("support code %q, noted should be %v", f.SupportCode, row.noted)
			}
		})
	}
	if p.sentCount() != 0 || len(b.history(t)) != 0 {
		t.Errorf("refusals dialled %d and left %d rows", p.sentCount(), len(b.history(t)))
	}
}

func TestStartWithoutCheck(t *testing.T) {
	t.Parallel()
	if _, err := New(Parts{}); err == nil {
		t.Error("a service without a policy check was built")
	}
}

func TestHangUpOfAnothers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	stranger := b.caller
	stranger.UserID = uuid.New()
	if err := s.HangUp(context.Background(), stranger, call.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a stranger's hang-up: %v", err)
	}
	stranger = b.caller
	stranger.TenantID = uuid.New()
	if err := s.HangUp(context.Background(), stranger, call.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant's hang-up: %v", err)
	}
}

// A call that is to be recorded says so to the PBX, when the company has declared
// why it records; before, nothing rings.
func TestRecording(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	c := click(t, "020 123 4567")
	c.Record = true
	_, _, err := s.Start(context.Background(), b.caller, c)
	if f := wantCode(t, err, "recording-reason-missing"); f.SupportCode == "" {
		t.Error("the refusal was not noted")
	}
	if p.sentCount() != 0 || len(b.history(t)) != 0 {
		t.Errorf("dialled %d, left %d rows", p.sentCount(), len(b.history(t)))
	}
	reason := "quality"
	entry := audit.Entry(audit.System, "test", audit.Subject{Tenant: b.tenant.ID}, "")
	if err := b.db.ChangeSettings(context.Background(), b.tenant.ID, store.SettingsChange{RecordingReason: &reason, RecordingText: "x"}, entry); err != nil {
		t.Fatal(err)
	}
	for _, record := range []bool{true, false} {
		c := click(t, "020 123 4567")
		c.Record = record
		call := b.dial(t, s.Service, c)
		if req := p.nextOriginate(t); req.Record != record || call.RecordingEnabled != record || b.call(t, call.ID).RecordingEnabled != record {
			t.Errorf("record %v: asked %v, row %v", record, req.Record, call.RecordingEnabled)
		}
		c.Record = !record
		_, _, err := s.Start(context.Background(), b.caller, c)
		wantCode(t, err, "idempotency-key-reused")
	}
}
