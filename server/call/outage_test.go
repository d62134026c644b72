package call

import (
	"context"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/testdb"
)

// Postgres is cut in mid-call: what happens is told at once, all of it, and is
// in the row when Postgres is back.
func TestPostgresIsCutInMidCall(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t)
	wire := testdb.NewLine(t, b.url)
	p := newPeer()
	s := b.run(t, b.newServiceOn(t, p, openStore(t, wire.URL), b.redis))
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(call.ChannelID, pbx.CallerRinging, pbx.End{})
	b.awaitStatus(t, call.ID, models.CallingCaller)
	wire.Cut()
	p.emit(call.ChannelID, pbx.CallerAnswered, pbx.End{})
	p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
	p.emit(call.ChannelID, pbx.Ended, pbx.End{Leg: pbx.LegCallee, Cause: pbx.CauseNormal})
	b.eventually(t, "all steps were told meanwhile", func() bool {
		events, err := b.sub.Since(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		var told []models.Status
		for _, ev := range events {
			if ev.CallID == call.ID {
				told = append(told, ev.Status)
			}
		}
		want := []models.Status{models.CallingCaller, models.CallingCallee, models.Connected, models.Disconnected}
		if len(told) < len(want) {
			return false
		}
		for i := range want {
			if told[i] != want[i] {
				t.Fatalf("told %v, want %v", told, want)
			}
		}
		return true
	})
	if now := b.call(t, call.ID); now.Status != models.CallingCaller {
		t.Errorf("cut off, the row says %s", now.Status)
	}
	_, _, err := s.Start(ctx, b.caller, click(t, "020 123 4567"))
	wantCode(t, err, "postgres-unavailable")
	if p.sentCount() != 1 {
		t.Error("a phone rang without a row")
	}
	wire.Mend()
	got := b.awaitEnd(t, call.ID)
	if ends(got) != "disconnected hangUp hung-up" || got.CallerAnsweredAt == nil || got.ConnectedAt == nil {
		t.Errorf("afterwards %q, %v, %v", ends(got), got.CallerAnsweredAt, got.ConnectedAt)
	}
}

// Nobody could beat while Postgres was away, and nobody is dead for it.
func TestNobodyIsDeadAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.deadAfter = 400 * time.Millisecond
	wire := testdb.NewLine(t, b.url)
	p := newPeer()
	one := b.run(t, b.newServiceOn(t, p, openStore(t, wire.URL), b.redis))
	two := b.run(t, b.newServiceOn(t, p, openStore(t, wire.URL), b.redis))
	call := b.dial(t, one.Service, click(t, "020 123 4567"))
	b.await(t, call.ID, "it was dispatched", func(c models.Call) bool { return c.Dispatch == models.Dispatched })
	wire.Cut()
	cut := time.Now()
	eventually(t, "an outage longer than any replica may be silent", func() bool { return time.Since(cut) > 3*b.timing.deadAfter })
	wire.Mend()
	eventually(t, "both may judge again", func() bool {
		now := time.Now()
		return one.pulse.mayJudge(now, b.timing.deadAfter) && two.pulse.mayJudge(now, b.timing.deadAfter)
	})
	if now := b.call(t, call.ID); now.ReplicaID != one.Replica || now.Status.Ended() {
		t.Errorf("the call is %s now, its replica was taken for dead: %v", now.Status, now.ReplicaID != one.Replica)
	}
}

// Without Redis a whole call works; the sockets of this replica hear of it.
func TestRedisIsCut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t)
	wire := testdb.NewLine(t, b.redis)
	p := newPeer()
	s := b.run(t, b.newServiceOn(t, p, openStore(t, b.url), wire.URL))
	sub := s.Fanout.Subscribe(ctx, b.user.ID)
	defer sub.Close(ctx)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(call.ChannelID, pbx.CallerRinging, pbx.End{})
	b.awaitStatus(t, call.ID, models.CallingCaller)
	wire.Cut()
	p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
	b.awaitStatus(t, call.ID, models.Connected)
	other := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(call.ChannelID, pbx.Ended, pbx.End{Cause: pbx.CauseNormal})
	p.emit(other.ChannelID, pbx.Ended, pbx.End{Cause: pbx.CauseNormal})
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected hangUp hung-up" {
		t.Errorf("ends %q", ends(got))
	}
	if got := b.awaitEnd(t, other.ID); ends(got) != "disconnected callerAbandon hung-up-by-client" {
		t.Errorf("a call that began without Redis ends %q", ends(got))
	}
	told := map[models.Status]bool{}
	waitFor(t, "this replica's sockets hear of it", sub.Wake(), func() bool {
		events, _ := sub.Since(ctx, "")
		for _, ev := range events {
			told[ev.Status] = true
		}
		return told[models.Connected] && told[models.Disconnected]
	})
}

// A PBX that floods us while Postgres is silent does not keep Run from ending.
func TestRunEndsUnderAFlood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wire := testdb.NewLine(t, b.url)
	flood := &flooder{peer: newPeer(), begin: make(chan struct{}), full: make(chan struct{})}
	s := b.run(t, b.newServiceOn(t, flood, openStore(t, wire.URL), b.redis))
	wire.Silence()
	close(flood.begin)
	select {
	case <-flood.full:
	case <-time.After(deadline):
		t.Fatal("the flood was swallowed")
	}
	s.stop(t)
}

// flooder sends more events of one channel than wait for it anywhere.
type flooder struct {
	*peer
	begin, full chan struct{}
}

func (f *flooder) Run(ctx context.Context, sink func(pbx.Event)) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go f.peer.Run(inner, sink) //nolint:errcheck // ends with us
	select {
	case <-f.begin:
	case <-ctx.Done():
		return ctx.Err()
	}
	for i := 0; ; i++ {
		if i == shardDepth {
			close(f.full)
		}
		sink(pbx.Event{ChannelID: "ctd-flood", Kind: pbx.CallerRinging, At: time.Now()})
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
