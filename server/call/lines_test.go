package call

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

// givePBX gives the tenant a PBX of its own.
func (b *bundle) givePBX(t *testing.T) uuid.UUID {
	t.Helper()
	line := &models.PBXConnection{ID: uuid.Must(uuid.NewV7()), SealedURL: []byte("sealed"), CreatedAt: time.Now()}
	change := store.TenantChange{PBX: line}
	if err := b.db.SetTenant(context.Background(), b.tenant.ID, change, audit.Entry(audit.Operator, "test", audit.Subject{}, "")); err != nil {
		t.Fatal(err)
	}
	return line.ID
}

// A tenant's own PBX is opened at its first click, which is not refused for that.
func TestTenantsOwnPBX(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own, theirs := newPeer(), newPeer()
	b.caller.PBXID = b.givePBX(t)
	opened := 0
	b.open = func(_ context.Context, id uuid.UUID) (pbx.Adapter, error) {
		if id != b.caller.PBXID {
			return nil, store.ErrNotFound
		}
		opened++
		return theirs, nil
	}
	s := b.start(t, own)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	b.dial(t, s.Service, click(t, "020 123 4567"))
	if theirs.sentCount() != 2 || own.sentCount() != 0 || opened != 1 {
		t.Errorf("%d calls at theirs, %d at ours, opened %d times", theirs.sentCount(), own.sentCount(), opened)
	}
	theirs.hangup = func(channel string) error {
		go theirs.emit(channel, pbx.Ended, pbx.End{})
		return nil
	}
	if err := s.HangUp(context.Background(), b.caller, call.ID); err != nil {
		t.Fatal(err)
	}
	b.awaitEnd(t, call.ID)
}

// The tenant was given another PBX a moment ago: the row decides, so that whoever
// hangs the call up finds it.
func TestPBXChangesUnderAClick(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		err  error
		ends string
	}{
		"it can be opened":    {nil, "initiating"},
		"it cannot be opened": {errors.New("sealed under another key"), "failed pbx-unreached"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			own, theirs := newPeer(), newPeer()
			b.open = func(context.Context, uuid.UUID) (pbx.Adapter, error) { return theirs, row.err }
			s := b.start(t, own)
			b.givePBX(t) // b.caller does not know
			call := b.dial(t, s.Service, click(t, "020 123 4567"))
			if own.sentCount() != 0 || ends(call) != row.ends {
				t.Errorf("%d calls at ours; the client is told %q, want %q", own.sentCount(), ends(call), row.ends)
			}
			if row.err == nil && theirs.sentCount() != 1 {
				t.Errorf("%d calls at theirs", theirs.sentCount())
			}
		})
	}
}

// There is no PBX at all, or the tenant's cannot be opened: nothing was begun.
func TestNoPBX(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.newService(t, nil)
	_, _, err := s.Start(context.Background(), b.caller, click(t, "020 123 4567"))
	wantCode(t, err, "pbx-unavailable")
	b.caller.PBXID = b.givePBX(t)
	_, _, err = s.Start(context.Background(), b.caller, click(t, "020 123 4567"))
	wantCode(t, err, "pbx-unavailable")
	if rows := b.history(t); len(rows) != 0 {
		t.Errorf("%d rows", len(rows))
	}
	states := s.DeviceStates(context.Background(), uuid.Nil, []string{"101"})
	if states["101"] != pbx.DeviceUnknown {
		t.Errorf("a phone is %s", states["101"])
	}
}

func TestDeviceStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	ctx := context.Background()
	if got := s.DeviceStates(ctx, uuid.Nil, []string{"101", "102"}); got["101"] != pbx.DeviceIdle || got["102"] != pbx.DeviceIdle {
		t.Errorf("states %v", got)
	}
	p.set(func(p *peer) { p.down = pbx.Unavailable(errors.New("cut")) })
	if got := s.DeviceStates(ctx, uuid.Nil, []string{"101"}); got["101"] != pbx.DeviceUnknown {
		t.Errorf("while the line is down: %v", got)
	}
}
