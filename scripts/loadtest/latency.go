package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// pace is how many calls a second go to Asterisk, one after the other.
const (
	pace     = 50
	interval = time.Second / pace
)

const (
	toWire   = "request → Originate on the wire, 50 calls/s"
	toWire95 = "  the same at p95"
	toSocket = "PBX event → message on the socket"

	goalWire, goalWire95, goalSocket = 3.0, 10.0, 10.0 // ms
)

// lab is what lab.json says of the laboratory's PBX.
type lab struct {
	AMI struct {
		Host   string
		Port   int
		User   string
		Secret string
	}
	URL string `json:"pbxUrlBare"`
}

func readLab(path string) (lab, error) {
	var l lab
	body, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(body, &l)
	}
	return l, err
}

func (l lab) addr() string { return fmt.Sprintf("%s:%d", l.AMI.Host, l.AMI.Port) }

// latency measures the way to Asterisk and back, in turn with a bare Originate.
func (b *bench) latency(ctx context.Context) error {
	if b.Lab == "" {
		for _, r := range []result{{what: toWire, goal: "under 3 ms more"}, {what: toWire95, goal: "under 10 ms"}, {what: toSocket, goal: "under 10 ms"}} {
			r.missing = "no Asterisk: " + b.NoLab
			b.results = append(b.results, r)
		}
		return nil
	}
	l, err := readLab(b.Lab)
	if err != nil {
		return fmt.Errorf("reading lab.json: %w", err)
	}
	t, err := newTap(l.addr())
	if err != nil {
		return err
	}
	defer t.close()
	server, err := b.serve(ctx, "asterisk", strings.Replace(l.URL, l.addr(), t.addr(), 1))
	if err != nil {
		return err
	}
	defer server.stop()

	var all journeys
	for round := range b.rounds {
		progress("latency, round %d of %d", round+1, b.rounds)
		if err := b.latencyRound(ctx, l, t, server, round, &all); err != nil {
			return err
		}
	}
	b.results = append(b.results, all.results()...)
	return nil
}

// journeys are the rounds' medians and p95s, in ms.
type journeys struct{ bare, bare95, ours, ours95, more, commit, socket, socket95 []float64 }

func (b *bench) latencyRound(ctx context.Context, l lab, t *tap, server *process, round int, all *journeys) error {
	if err := b.data.fresh(ctx); err != nil {
		return err
	}
	tps, err := b.pgbench(ctx, 1, time.Second)
	if err != nil {
		return err
	}
	if err := b.data.fresh(ctx); err != nil {
		return err
	}
	bare, err := b.bareRun(ctx, l, round)
	if err != nil {
		return fmt.Errorf("bare Originates: %w", err)
	}
	j, err := b.pacedRun(ctx, t, server, round)
	if err != nil {
		return fmt.Errorf("calls through Asterisk: %w", err)
	}
	all.commit = append(all.commit, 1000/tps)
	all.bare, all.bare95 = append(all.bare, median(bare)), append(all.bare95, quantile(bare, 0.95))
	all.ours, all.ours95 = append(all.ours, median(j.wire)), append(all.ours95, quantile(j.wire, 0.95))
	all.more = append(all.more, median(j.wire)-median(bare))
	all.socket, all.socket95 = append(all.socket, median(j.socket)), append(all.socket95, quantile(j.socket, 0.95))
	return nil
}

func (a *journeys) results() []result {
	const ms = "%.2f"
	return []result{
		{
			what: toWire, figure: spread(a.ours, ms) + " ms", yardstick: "bare Originate → Response " + spread(a.bare, ms) + " ms",
			compared: fmt.Sprintf("%+.2f ms", median(a.more)), goal: "under 3 ms more", met: median(a.more) < goalWire,
		},
		{
			what: toWire95, figure: spread(a.ours95, ms) + " ms", yardstick: "bare Originate → Response " + spread(a.bare95, ms) + " ms",
			compared: fmt.Sprintf("%+.2f ms", median(a.ours95)-median(a.bare95)), goal: "under 10 ms", met: median(a.ours95) < goalWire95,
		},
		{
			what: toSocket, figure: spread(a.socket, ms) + " ms; p95 " + spread(a.socket95, ms) + " ms",
			yardstick: "one commit, pgbench alone " + spread(a.commit, ms) + " ms",
			compared:  fmt.Sprintf("%+.2f ms", median(a.socket)-median(a.commit)), goal: "under 10 ms", met: median(a.socket) < goalSocket,
		},
	}
}

// atPace calls fn at the pace for the length of a run, each time on its own
// goroutine, and waits for all.
func (b *bench) atPace(ctx context.Context, during time.Duration, fn func(n int) error) error {
	var work sync.WaitGroup
	faults := make([]error, int(during/interval))
	began := time.Now()
	for n := range faults {
		select {
		case <-time.After(time.Until(began.Add(time.Duration(n) * interval))):
		case <-ctx.Done():
			faults = faults[:n]
		}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() { faults[n] = fn(n) })
	}
	work.Wait()
	return errors.Join(append(faults, ctx.Err())...)
}

// bareRun gives the times from an Originate to its Response, of the same calls on
// the same PBX without us.
func (b *bench) bareRun(ctx context.Context, l lab, round int) ([]float64, error) {
	conn, err := net.DialTimeout("tcp", l.addr(), 2*time.Second)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	took, waiting := []float64{}, map[string]chan time.Time{}
	var reading sync.WaitGroup
	reading.Go(func() {
		in := splitter{each: func(m message, at time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if answer := waiting[m["ActionID"]]; answer != nil && m["Event"] == "" && m["Response"] == "Success" {
				answer <- at
			}
		}}
		readAll(conn, in.feed)
	})
	defer reading.Wait()
	defer conn.Close() //nolint:errcheck // nothing is left to be said

	// do sends an action and waits for the Response.
	do := func(id string, text []byte) (time.Duration, error) {
		answer := make(chan time.Time, 1)
		mu.Lock()
		waiting[id] = answer
		sent := time.Now()
		_, err := conn.Write(text)
		mu.Unlock()
		if err != nil {
			return 0, err
		}
		select {
		case at := <-answer:
			return at.Sub(sent), nil
		case <-time.After(5 * time.Second):
			return 0, errors.New("no Response in 5 s")
		}
	}
	if _, err := do("login", action("Action", "Login", "ActionID", "login", "Username", l.AMI.User, "Secret", l.AMI.Secret)); err != nil {
		return nil, err
	}
	err = b.atPace(ctx, b.paced, func(n int) error {
		id := fmt.Sprintf("bare-%d-%d", round, n)
		d, err := do(id, action("Action", "Originate", "ActionID", id, "Channel", "PJSIP/"+ownPhone, "Context", "from-internal",
			"Exten", fmt.Sprintf("0208%02d%04d", round, n), "Priority", "1", "Timeout", "25000", "Async", "true", "ChannelId", id))
		mu.Lock()
		defer mu.Unlock()
		took = append(took, millis(d))
		return err
	})
	time.Sleep(callLength)
	return took, err
}

// callLength is how long a call to a number that does not exist lasts at most:
// the phone answers after 50 ms, the carrier refuses at once.
const callLength = time.Second
