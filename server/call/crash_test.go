package call

import (
	"context"
	"errors"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/testdb"
)

// mortal makes a running replica, and what kills it: from then on it says nothing
// to anyone, not even that it leaves.
func (b *bundle) mortal(t *testing.T, line pbx.Adapter) (r *replica, kill func()) {
	t.Helper()
	wire := testdb.NewLine(t, b.url)
	r = b.run(t, b.newServiceOn(t, line, openStore(t, wire.URL), b.redis))
	return r, func() {
		wire.Cut()
		r.stop(t)
	}
}

// Killed between any two steps of a call: another replica finds it at the PBX and
// follows it to its end, or says that it has failed. One Originate, ever.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		until func(t *testing.T, b *bundle, p *peer, call models.Call) // when it is killed
		stand pbx.EventKind                                            // what the PBX knows then; "" is nothing
		ends  string                                                   // what becomes of the call
	}{
		{
			"right after the PBX took it", func(*testing.T, *bundle, *peer, models.Call) {},
			pbx.CallerRinging, "disconnected hangUp hung-up",
		},
		{
			"while the own phone rings", func(t *testing.T, b *bundle, p *peer, call models.Call) {
				p.emit(call.ChannelID, pbx.CallerRinging, pbx.End{})
				b.awaitStatus(t, call.ID, models.CallingCaller)
			}, pbx.CalleeRinging, "disconnected hangUp hung-up",
		},
		{
			"while they talk", func(t *testing.T, b *bundle, p *peer, call models.Call) {
				p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
				b.awaitStatus(t, call.ID, models.Connected)
			}, pbx.CalleeAnswered, "disconnected hangUp hung-up",
		},
		{
			"while they talk, and they stop", func(t *testing.T, b *bundle, p *peer, call models.Call) {
				p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
				b.awaitStatus(t, call.ID, models.Connected)
			}, "", "failed lost-track",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := newPeer()
			p.adopt = func(string) (pbx.Snapshot, error) {
				if row.stand == "" {
					return pbx.Snapshot{}, pbx.ErrGone
				}
				return pbx.Snapshot{Kind: row.stand}, nil
			}
			one, kill := b.mortal(t, p)
			two := b.start(t, p)
			call := b.dial(t, one.Service, click(t, "020 123 4567"))
			row.until(t, b, p, call)
			kill()
			b.await(t, call.ID, "adoption", func(c models.Call) bool { return c.ReplicaID == two.Replica })
			if row.stand != "" {
				b.await(t, call.ID, "how it stands", func(c models.Call) bool { return c.Status != models.Initiating })
				p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
				b.awaitStatus(t, call.ID, models.Connected)
				p.emit(call.ChannelID, pbx.Ended, pbx.End{Leg: pbx.LegCallee, Cause: pbx.CauseNormal})
			}
			if got := b.awaitEnd(t, call.ID); ends(got) != row.ends {
				t.Errorf("ends %q, want %q", ends(got), row.ends)
			}
			if p.sentCount() != 1 {
				t.Errorf("%d Originates", p.sentCount())
			}
		})
	}
}

// Killed after the commit, before the PBX was told: nothing is sent afterwards.
func TestKilledBeforeTheOriginate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	b.start(t, p)
	call := b.orphan(t, "020 123 4567", time.Now())
	if got := b.awaitEnd(t, call.ID); ends(got) != "failed lost-track" {
		t.Errorf("ends %q", ends(got))
	} else if age := got.EndedAt.Sub(got.CreatedAt); age < b.timing.dispatchLimit {
		t.Errorf("judged after %v, while its maker might still have sent it", age)
	}
	if p.sentCount() != 0 {
		t.Error("a phone was rung by the adoption")
	}
}

// The maker was slow, not dead: it sends the request after its call was adopted.
func TestSlowReplicaIsNotJudged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.deadAfter, b.timing.dispatchLimit = 300*time.Millisecond, time.Minute
	p := newPeer()
	asked := make(chan struct{}, 1000)
	p.adopt = func(string) (pbx.Snapshot, error) {
		asked <- struct{}{}
		return pbx.Snapshot{}, pbx.ErrGone
	}
	b.start(t, p)
	call := b.orphan(t, "020 123 4567", time.Now())
	for range 3 {
		<-asked
	}
	if now := b.call(t, call.ID); now.Status.Ended() {
		t.Fatal("the call has failed, and then its phone rings")
	}
	p.set(func(p *peer) {
		p.adopt = func(string) (pbx.Snapshot, error) { return pbx.Snapshot{Kind: pbx.CallerRinging}, nil }
	})
	b.awaitStatus(t, call.ID, models.CallingCaller)
}

// The usual timing keeps the promise: adopted within 15 s.
func TestUsualTiming(t *testing.T) {
	t.Parallel()
	worst := usual.deadAfter + usual.beatEvery + usual.adoptEvery + usual.again
	if worst > 15*time.Second || usual.dispatchLimit+usual.adoptEvery+usual.again > 15*time.Second {
		t.Errorf("a dead replica's calls are adopted after %v", worst)
	}
	if usual.deadAfter < 3*usual.beatEvery {
		t.Error("one late beat makes a replica dead")
	}
}

// A replica that stops in good order leaves its calls to the others at once.
func TestLeaving(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.deadAfter = time.Hour
	exchange := b.practicePBX(t, "practice://?ring=1ms&callee=1ms&talk=1h")
	one, two := b.start(t, exchange), b.start(t, exchange.Join())
	call := b.dial(t, one.Service, click(t, "020 123 4567"))
	b.awaitStatus(t, call.ID, models.Connected)
	one.stop(t)
	b.await(t, call.ID, "adoption", func(c models.Call) bool { return c.ReplicaID == two.Replica })
	if err := two.HangUp(context.Background(), b.caller, call.ID); err != nil {
		t.Fatal(err)
	}
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected hangUp hung-up" {
		t.Errorf("ends %q", ends(got))
	}
	_, _, err := one.Start(context.Background(), b.caller, click(t, "020 123 4567"))
	wantCode(t, err, "pbx-unavailable")
	if rows := b.history(t); len(rows) != 1 {
		t.Errorf("a stopped replica left %d rows", len(rows))
	}
}

// The client asked for the end, and then the replica died that was to bring it.
func TestAdoptedWithAHangUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	p.adopt = func(string) (pbx.Snapshot, error) { return pbx.Snapshot{Kind: pbx.CalleeAnswered}, nil }
	p.hangup = func(channel string) error {
		go p.emit(channel, pbx.Ended, pbx.End{Cause: pbx.CauseNormal})
		return nil
	}
	call := b.orphan(t, "020 123 4567", time.Now())
	if _, err := b.db.AskHangUp(context.Background(), b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Fatal(err)
	}
	b.start(t, p)
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected hangUp hung-up" {
		t.Errorf("ends %q", ends(got))
	}
}

// The PBX does not answer the adopter at first.
func TestAdoptionIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	tries := 0
	p.adopt = func(string) (pbx.Snapshot, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if tries++; tries < 4 {
			return pbx.Snapshot{}, pbx.Unavailable(errors.New("cut"))
		}
		return pbx.Snapshot{Kind: pbx.CallerRinging}, nil
	}
	b.start(t, p)
	call := b.orphan(t, "020 123 4567", time.Now())
	b.awaitStatus(t, call.ID, models.CallingCaller)
}

// Not known whether the PBX took it: it is asked, never told again.
func TestDoubt(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		stand pbx.EventKind
		ends  string
	}{
		{"it did", pbx.CallerRinging, "disconnected callerBusy phone-busy"},
		{"it did not", "", "failed lost-track"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := newPeer()
			p.originate = func(context.Context, pbx.Originate) error {
				p.set(func(p *peer) { p.down = pbx.Unavailable(errors.New("cut")) })
				return pbx.ErrDoubt
			}
			p.adopt = func(string) (pbx.Snapshot, error) {
				if row.stand == "" {
					return pbx.Snapshot{}, pbx.ErrGone
				}
				return pbx.Snapshot{Kind: row.stand}, nil
			}
			s := b.start(t, p)
			call := b.dial(t, s.Service, click(t, "020 123 4567"))
			b.await(t, call.ID, "the doubt is noted", func(c models.Call) bool { return c.Dispatch == models.InDoubt })
			if now := b.call(t, call.ID); now.Status != models.Initiating {
				t.Errorf("in doubt it is %s", now.Status)
			}
			p.set(func(p *peer) { p.down = nil })
			if row.stand != "" {
				b.awaitStatus(t, call.ID, models.CallingCaller)
				p.emit(call.ChannelID, pbx.Ended, pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseBusy})
			}
			if got := b.awaitEnd(t, call.ID); ends(got) != row.ends {
				t.Errorf("ends %q, want %q", ends(got), row.ends)
			}
			if p.sentCount() != 1 {
				t.Errorf("%d Originates", p.sentCount())
			}
		})
	}
}

// After the commit a failure of the PBX is a call that has failed, not an error.
func TestOriginateFails(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		err  error
		ends string
	}{
		{"not a byte was sent", pbx.Unavailable(errors.New("cut")), "failed pbx-unreached"},
		{"the PBX refused", pbx.Refused(errors.New("no")), "failed pbx-refused"},
		{"something else", errors.New("what"), "failed pbx-refused"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := newPeer()
			p.originate = func(context.Context, pbx.Originate) error { return row.err }
			s := b.start(t, p)
			call, replayed, err := s.Start(context.Background(), b.caller, click(t, "020 123 4567"))
			if err != nil || replayed {
				t.Fatalf("Start: %v", err)
			}
			if ends(call) != row.ends {
				t.Errorf("the client is told %q, want %q", ends(call), row.ends)
			}
			if got := b.call(t, call.ID); ends(got) != row.ends {
				t.Errorf("stored %q, want %q", ends(got), row.ends)
			}
		})
	}
}

// Nothing is sent later than the limit: an adapter that waits is told to stop.
func TestNothingIsSentLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.dispatchLimit, b.timing.answerLimit = 100*time.Millisecond, 5*time.Millisecond
	p := newPeer()
	p.originate = func(ctx context.Context, _ pbx.Originate) error {
		<-ctx.Done()
		return pbx.Unavailable(ctx.Err())
	}
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	if got := b.awaitEnd(t, call.ID); ends(got) != "failed pbx-unreached" {
		t.Errorf("ends %q", ends(got))
	}
}

// The client went away while the PBX was being asked; its call goes on.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	ctx, cancel := context.WithCancel(context.Background())
	p.originate = func(theirs context.Context, _ pbx.Originate) error {
		cancel()
		return theirs.Err()
	}
	s := b.start(t, p)
	call, _, err := s.Start(ctx, b.caller, click(t, "020 123 4567"))
	if err != nil {
		t.Fatal(err)
	}
	b.await(t, call.ID, "it was dispatched", func(c models.Call) bool { return c.Dispatch == models.Dispatched })
}

// While the line is down a click costs nothing and rings nothing later.
func TestPBXDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	c := click(t, "020 123 4567")
	first := b.dial(t, s.Service, c)
	p.set(func(p *peer) { p.down = pbx.Unavailable(errors.New("cut")) })
	begin := time.Now()
	_, _, err := s.Start(context.Background(), b.caller, click(t, "020 123 4567"))
	wantCode(t, err, "pbx-unavailable")
	if took := time.Since(begin); took > time.Second { // 50 ms on an idle machine; these tests are not alone
		t.Errorf("it took %v", took)
	}
	if rows := b.history(t); len(rows) != 1 {
		t.Errorf("%d rows, want that of the call before", len(rows))
	}
	// The click before is still answered by its call.
	again, replayed, err := s.Start(context.Background(), b.caller, c)
	if err != nil || !replayed || again.ID != first.ID {
		t.Errorf("a repeated click: %v, %v", replayed, err)
	}
	p.set(func(p *peer) { p.down = nil })
	if p.sentCount() != 1 {
		t.Error("a refused click rang later")
	}
}

// The PBX stops under a call and says so.
func TestPBXRestarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
	p.emit(call.ChannelID, pbx.Ended, pbx.End{Kind: pbx.EndRestarted})
	if got := b.awaitEnd(t, call.ID); ends(got) != "failed pbx-restarted" {
		t.Errorf("ends %q", ends(got))
	}
	eventually(t, "the line forgets it", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.forgotten) == 1 && len(s.trackedCalls()) == 0
	})
}

// Events of channels that are not ours, and late ones, change nothing.
func TestForeignAndLateEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit("PJSIP/104-0000001", pbx.CalleeAnswered, pbx.End{})
	p.emit("ctd-00000000000000000000000000000000", pbx.Ended, pbx.End{})
	for range 3 {
		p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
		p.emit(call.ChannelID, pbx.CallerRinging, pbx.End{})
	}
	b.awaitStatus(t, call.ID, models.Connected)
	p.emit(call.ChannelID, pbx.Ended, pbx.End{})
	p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
	p.emit(call.ChannelID, pbx.Ended, pbx.End{Kind: pbx.EndRestarted})
	got := b.awaitEnd(t, call.ID)
	sentinel := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(sentinel.ChannelID, pbx.Ended, pbx.End{})
	b.awaitEnd(t, sentinel.ID)
	if again := b.call(t, call.ID); ends(again) != "disconnected hangUp hung-up" || !again.EndedAt.Equal(*got.EndedAt) {
		t.Errorf("late events made it %q", ends(again))
	}
	if rows := b.history(t); len(rows) != 2 {
		t.Errorf("%d rows", len(rows))
	}
}
