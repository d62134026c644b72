package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilledBetweenSteps kills a server with SIGKILL between any two steps of a
// call, with the real PBX and its phone, while a second server runs. Whatever
// the step: what was acknowledged is in the history, the call ends honestly
// within a time, the same click again makes no second call, and the PBX is told
// to ring the phone at most once.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	never := func([]byte) bool { return true }
	inserted, committed := []byte(`insert into "calls"`), []byte("COMMIT\x00")
	var written atomic.Bool // the row of the call that is committed while nobody hears of it
	var told atomic.Int64   // how much had been written when the text of the INSERT had
	for _, step := range []struct {
		name string
		// dies says when the server dies, by what passes on its lines: to and from
		// Postgres, to and from the PBX.
		toDB, fromDB, toPBX, fromPBX func([]byte) bool
		rings                        int    // Originates that reach the PBX, before the click is repeated
		again                        int    // what the same click again is answered with
		diagnosis                    string // of the call that was left; "" when it goes on
	}{
		{
			name: "before the commit", again: http.StatusCreated,
			// First Postgres is told the statement, then, in one piece, to do it and to
			// commit: that piece does not arrive. "COMMIT" itself is told once a connection.
			toDB: func(seen []byte) bool {
				if !bytes.Contains(bytes.ToLower(seen), inserted) || told.CompareAndSwap(0, int64(len(seen))) {
					return false
				}
				return int64(len(seen)) > told.Load()
			},
		},
		{
			name: "committed, and not told so", again: http.StatusOK, diagnosis: "lost-track",
			toDB: func(seen []byte) bool {
				if bytes.Contains(bytes.ToLower(seen), inserted) {
					written.Store(true)
				}
				return false
			},
			fromDB: func(seen []byte) bool {
				return written.Load() && bytes.Contains(seen[max(0, len(seen)-64):], committed)
			},
		},
		{
			name: "committed, the PBX not told", again: http.StatusOK, diagnosis: "lost-track",
			toPBX: func(seen []byte) bool { return bytes.Contains(seen, []byte("Action: Originate\r\n")) },
		},
		{
			name: "the PBX told, no answer yet", rings: 1, again: http.StatusOK,
			fromPBX: func(seen []byte) bool { return bytes.Contains(seen, []byte("successfully queued")) },
		},
		{
			name: "the own phone rings", rings: 1, again: http.StatusOK,
			fromPBX: func(seen []byte) bool { return bytes.Contains(seen, []byte("ChannelStateDesc: Ringing\r\n")) },
		},
		{
			name: "the own phone has answered", rings: 1, again: http.StatusOK,
			fromPBX: func(seen []byte) bool { return bytes.Contains(seen, []byte("Reason: 4\r\n")) },
		},
		{
			name: "both are connected", rings: 1, again: http.StatusOK,
			fromPBX: func(seen []byte) bool { return bytes.Contains(seen, []byte("Event: BridgeEnter\r\n")) },
		},
	} {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			l := needLab(t)
			in := install(t)
			amiTap, dbTap := newTap(t, fmt.Sprintf("%s:%d", l.AMI.Host, l.AMI.Port)), newTap(t, hostOf(t, in.database))
			otherTap := newTap(t, fmt.Sprintf("%s:%d", l.AMI.Host, l.AMI.Port))
			doomed := in.serve(withHost(t, in.database, dbTap.addr()), pbxURL(l, amiTap.addr()))
			other := in.serve(in.database, pbxURL(l, otherTap.addr()))
			in.signIn(other)

			dead := make(chan struct{})
			var once sync.Once
			die := func(when func([]byte) bool) func([]byte) bool {
				if when == nil {
					return never
				}
				return func(seen []byte) bool {
					if !when(seen) {
						return true
					}
					once.Do(func() { doomed.kill(); <-doomed.gone; close(dead) })
					return false
				}
			}
			dbTap.watch(die(step.toDB), die(step.fromDB))
			amiTap.watch(die(step.toPBX), die(step.fromPBX))

			const click = `{"number":"020 123 6666","name":"Mrs Test"}`
			_, status := in.ask(http.MethodPost, doomed.base+"/v1/calls", "click-1", click)
			select {
			case <-dead:
			case <-time.After(20 * time.Second):
				t.Fatal("the step at which the server should have died did not come")
			}
			left := in.history(other)
			if status == http.StatusCreated && len(left) != 1 {
				t.Fatalf("the call was acknowledged, and the history has %d", len(left))
			}

			if _, status := in.ask(http.MethodPost, other.base+"/v1/calls", "click-1", click); status != step.again {
				t.Errorf("the same click again: %d, want %d", status, step.again)
			}
			ids := in.history(other)
			if len(ids) != 1 {
				t.Fatalf("%d calls in the history, want 1", len(ids))
			}
			if step.diagnosis == "" {
				in.await(15*time.Second, "the call to be followed again", func() bool {
					return in.history(other)[0].Status == "connected"
				})
				if _, status := in.ask(http.MethodDelete, other.base+"/v1/calls/"+ids[0].ID, "", ""); status != http.StatusNoContent {
					t.Errorf("hanging up: %d", status)
				}
			}
			in.await(20*time.Second, "the call to end", func() bool { return ended(in.history(other)[0]) })
			last := in.history(other)[0]
			if step.diagnosis != "" && (last.Status != "failed" || last.Diagnosis.Code != step.diagnosis) {
				t.Errorf("the call that was left: %s %s, want failed %s", last.Status, last.Diagnosis.Code, step.diagnosis)
			}
			if step.diagnosis == "" && (last.Status != "disconnected" || last.Reason != "hangUp") {
				t.Errorf("the call that went on: %s %s %s, want disconnected hangUp", last.Status, last.Reason, last.Diagnosis.Code)
			}

			told := otherTap.count("Action: Originate\r\n")
			if step.toPBX == nil { // what was held back did not reach the PBX
				told += amiTap.count("Action: Originate\r\n")
			}
			want := step.rings
			if step.again == http.StatusCreated {
				want++
			}
			if told != want {
				t.Errorf("the PBX was told to call %d times, want %d", told, want)
			}
		})
	}
}

func ended(c wireCall) bool { return c.Status == "disconnected" || c.Status == "failed" }

func pbxURL(l lab, addr string) string {
	return fmt.Sprintf("ami://%s:%s@%s?channel=PJSIP/{device}&context=from-internal&numbers=national", l.AMI.User, l.AMI.Secret, addr)
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func withHost(t *testing.T, raw, host string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = host
	return u.String()
}
