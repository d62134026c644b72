package store_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

func (b *bundle) past(t *testing.T, text string, name phone.Name, ago time.Duration) models.Call {
	t.Helper()
	n := b.newCall(t, text)
	n.Name, n.At = name, b.at.Add(-ago)
	call := b.create(t, n)
	b.advance(t, call, ended)
	return call
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	var want []uuid.UUID // newest first
	for i := range 7 {
		// Three calls share one millisecond: the id tells them apart.
		call := b.past(t, "020 123 4567", "", time.Duration(7-i/3)*time.Minute)
		want = append([]uuid.UUID{call.ID}, want...)
	}
	for _, size := range []int{1, 2, 3, 6, 7, 100} {
		var got []uuid.UUID
		page := store.Page{Limit: size}
		for {
			calls, err := b.db.History(ctx, b.tenant.ID, b.user.ID, page, store.Search{})
			if err != nil {
				t.Fatal(err)
			}
			more := len(calls) > size
			if more {
				calls = calls[:size]
			}
			for _, c := range calls {
				got = append(got, c.ID)
			}
			if !more {
				break
			}
			last := calls[len(calls)-1]
			page.At, page.ID = last.CreatedAt, last.ID
		}
		if len(got) != len(want) {
			t.Fatalf("pages of %d: %d calls, want %d", size, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("pages of %d: call %d is %s, want %s", size, i, got[i], want[i])
			}
		}
	}
}

// Rows are read one over the other: what one lacks it does not have from the one
// before it.
func TestHistoryRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	private := b.newCall(t, "020 123 4567")
	private.Name, private.Private, private.At = "Jan", true, b.at.Add(-time.Hour)
	b.advance(t, b.create(t, private), ended)
	b.past(t, "020 765 4321", "Piet", time.Minute)
	calls, err := b.db.History(ctx, b.tenant.ID, b.user.ID, store.Page{Limit: 10}, store.Search{})
	if err != nil || len(calls) != 2 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	for _, call := range calls {
		alone, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID)
		if err != nil || !reflect.DeepEqual(call, alone) {
			t.Errorf("in the history %+v, alone %+v, %v", call, alone, err)
		}
	}
	if calls[1].Name != "" || !calls[1].Number.IsZero() || calls[1].NumberMasked != nil {
		t.Error("a private call has another one's number or name")
	}
}

func TestHistorySearch(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	rows := []models.Call{
		b.past(t, "020 123 4567", "Jan de Vries", time.Hour),
		b.past(t, "020 999 4567", "José Peña", 2*time.Hour),
		b.past(t, "102", "", 3*time.Hour),
	}
	colleague := b.newUser(t, b.tenant, "colleague@example.test")
	b.newDevice(t, colleague, "desk", "102")
	n := b.newCall(t, "020 123 4567")
	n.UserID = colleague.ID
	b.create(t, n)
	searches := []struct {
		name   string
		search store.Search
		want   []int
	}{
		{"all", store.Search{}, []int{0, 1, 2}},
		{"number", store.Search{Number: number(t, "+31 20 123 4567")}, []int{0}},
		{"extension", store.Search{Number: number(t, "102")}, []int{2}},
		{"last four", store.Search{LastFour: "4567"}, []int{0, 1}},
		{"last four of none", store.Search{LastFour: "0102"}, nil},
		{"a word", store.Search{Words: "vries"}, []int{0}},
		{"words in any order and case", store.Search{Words: "VRIES jan"}, []int{0}},
		{"more spaces", store.Search{Words: "  jan   vries "}, []int{0}},
		{"accents", store.Search{Words: "josé"}, []int{1}},
		{"half a word", store.Search{Words: "vrie"}, nil},
		{"a pattern is no pattern", store.Search{Words: "%"}, nil},
		{"an array is no array", store.Search{Words: "{jan}"}, nil},
		{"from", store.Search{From: rows[1].CreatedAt}, []int{0, 1}},
		{"to", store.Search{To: rows[1].CreatedAt}, []int{2}},
		{"both must hold", store.Search{LastFour: "4567", Words: "jan"}, []int{0}},
	}
	for _, s := range searches {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			calls, err := b.db.History(context.Background(), b.tenant.ID, b.user.ID, store.Page{Limit: 10}, s.search)
			if err != nil {
				t.Fatal(err)
			}
			if len(calls) != len(s.want) {
				t.Fatalf("%d calls, want %d", len(calls), len(s.want))
			}
			for i, row := range s.want {
				if calls[i].ID != rows[row].ID {
					t.Errorf("call %d is not row %d", i, row)
				}
			}
		})
	}
}

func TestNameCall(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call, other := b.past(t, "020 123 4567", "Jan", time.Hour), b.past(t, "020 123 4567", "Piet", time.Hour)
	if got, err := b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, "Klaas"); err != nil || got.Name != "Klaas" {
		t.Errorf("renamed to %v, %v", got.Name, err)
	}
	for id, want := range map[uuid.UUID]phone.Name{call.ID: "Klaas", other.ID: "Piet"} {
		if got, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, id); err != nil || got.Name != want {
			t.Errorf("stored %v, want %v (%v)", got.Name, want, err)
		}
	}
	if got, err := b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, ""); err != nil || got.Name != "" {
		t.Errorf("unnamed: %v, %v", got.Name, err)
	}
	colleague := b.newUser(t, b.tenant, "colleague@example.test")
	if _, err := b.db.NameCall(ctx, b.tenant.ID, colleague.ID, call.ID, "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a colleague's call: %v", err)
	}
}

// A private call that has ended keeps no name, and gets none.
func TestNameOfAPrivateCall(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	n := b.newCall(t, "020 123 4567")
	n.Private = true
	call := b.create(t, n)
	b.advance(t, call, ended)
	if _, err := b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, "Jan"); err == nil {
		t.Error("a private call that has ended was given a name")
	}
	if got, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID); err != nil || got.Name != "" {
		t.Errorf("stored %v, %v", got.Name, err)
	}
}

func TestDeleteCalls(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call, other := b.past(t, "020 123 4567", "Jan", time.Hour), b.past(t, "020 123 4567", "Piet", time.Hour)
	living := b.startCall(t, "020 123 4567")
	colleague := b.newUser(t, b.tenant, "colleague@example.test")
	for name, err := range map[string]error{
		"a colleague's": second(b.db.DeleteCall(ctx, b.tenant.ID, colleague.ID, call.ID, store.LedgerNote{})),
		"a living":      second(b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, living.ID, store.LedgerNote{})),
		"no":            second(b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, uuid.New(), store.LedgerNote{})),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s call: %v", name, err)
		}
	}
	if gone, err := b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, call.ID, store.LedgerNote{}); err != nil || gone.Call != call.ID || !gone.Expires.Equal(call.ExpiresAt) {
		t.Error(gone, err)
	}
	if n := b.count(t, "call_events"); n != 1 {
		t.Errorf("%d timelines, want the other's", n)
	}
	var gone []store.Erased
	mine := store.Erasure{Subject: store.Subject{Tenant: b.tenant.ID, User: b.user.ID}, Before: b.at}
	n, err := b.db.Erase(ctx, mine, func(rows []store.Erased) { gone = append(gone, rows...) })
	if err != nil || n != 1 || len(gone) != 1 || gone[0].Call != other.ID {
		t.Errorf("deleted %d, %v, %v", n, gone, err)
	}
	left, err := b.db.History(ctx, b.tenant.ID, b.user.ID, store.Page{Limit: 10}, store.Search{})
	if err != nil || len(left) != 1 || left[0].ID != living.ID {
		t.Errorf("left %d, %v", len(left), err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	if may, err := b.db.MayDelete(ctx, b.tenant.ID); err != nil || !may {
		t.Errorf("MayDelete %v, %v", may, err)
	}
	got, err := b.db.TenantSettings(ctx, b.tenant.ID)
	if err != nil || got.Name != "Acme" || got.RetentionDays != 90 || got.Region != "NL" {
		t.Errorf("settings %+v, %v", got, err)
	}
	if _, err := b.db.TenantSettings(ctx, uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no tenant's settings: %v", err)
	}
	b.newDevice(t, b.user, "second", "102")
	devices, err := b.db.Devices(ctx, b.tenant.ID, b.user.ID)
	if err != nil || len(devices) != 2 || devices[0].ID != b.device.ID {
		t.Errorf("devices %v, %v", devices, err)
	}
}
