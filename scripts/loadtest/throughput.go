package main

import (
	"context"
	"fmt"
	"time"
)

// connections at which accepting calls is measured; the last is also that of the
// practice calls.
var connections = []int{8, 32}

const practiceURL = "practice://?ring=0s&callee=0s&talk=0s"

// throughput measures calls accepted and whole practice calls, each in turn with
// pgbench.
func (b *bench) throughput(ctx context.Context) error {
	quiet, err := newSilent()
	if err != nil {
		return err
	}
	defer quiet.close()
	accepting, err := b.serve(ctx, "silent", quiet.url())
	if err != nil {
		return err
	}
	defer accepting.stop()
	practising, err := b.serve(ctx, "practice", practiceURL)
	if err != nil {
		return err
	}
	defer practising.stop()

	var used struct{ pgbench, accepted, practice meter }
	cold, err := b.coldTokens(ctx, accepting, practising)
	if err != nil {
		return err
	}
	yard, accepted, share := map[int][]float64{}, map[int][]float64{}, map[int][]float64{}
	var practice, practiceShare []float64
	for round := range b.rounds + 1 { // the first is to warm up
		during := b.load
		if round == 0 {
			during = b.warm
		} else {
			progress("throughput, round %d of %d", round, b.rounds)
		}
		for _, n := range connections {
			tps, rate, err := b.acceptRound(ctx, accepting, quiet, n, during, &used.pgbench, &used.accepted)
			if err != nil {
				return err
			}
			if round > 0 {
				yard[n], accepted[n], share[n] = append(yard[n], tps), append(accepted[n], rate), append(share[n], rate/tps)
			}
		}
		rate, err := b.practiceRun(ctx, practising, during, &used.practice)
		if err != nil {
			return err
		}
		if round > 0 {
			last := connections[len(connections)-1]
			practice, practiceShare = append(practice, rate), append(practiceShare, rate/yard[last][round-1])
		}
	}
	for _, n := range connections {
		b.results = append(b.results, rateResult(fmt.Sprintf("calls accepted, %d connections, tokens warm", n), accepted[n], "pgbench", yard[n], share[n], 0.5))
	}
	last := connections[len(connections)-1]
	b.results = append(b.results, rateResult("whole practice calls, tokens warm", practice, "pgbench", yard[last], practiceShare, 0.1))
	b.notes = append(b.notes, fmt.Sprintf("Processor time of a transaction of pgbench: %v; of an accepted call: %v; of a whole practice call: %v.",
		used.pgbench, used.accepted, used.practice),
		fmt.Sprintf("Tokens warm: each user's extension has asked GET /v1/me before. With tokens in no cache %.0f calls/s were accepted over %d connections (one run).",
			cold, last))
	return nil
}

// coldTokens gives the rate of accepted calls whose tokens no cache knows, and
// then has both servers know all of them, as it is in use.
func (b *bench) coldTokens(ctx context.Context, accepting, practising *process) (float64, error) {
	var l load
	for _, during := range []time.Duration{b.warm, b.load} { // the first for the server itself to warm up
		if err := b.data.fresh(ctx); err != nil {
			return 0, err
		}
		var err error
		l, err = flood(ctx, accepting.addr, connections[len(connections)-1], during, func(c *client, n int) error {
			if during == b.load {
				n = len(b.data.tokens) - 1 - n // none of those that have just been used
			}
			return b.click(c, n)
		})
		if err != nil {
			return 0, fmt.Errorf("calls with cold tokens: %w", err)
		}
	}
	progress("warming the tokens")
	for _, server := range []*process{accepting, practising} {
		if err := b.warmTokens(ctx, server); err != nil {
			return 0, fmt.Errorf("warming the tokens: %w", err)
		}
	}
	time.Sleep(settling)
	return l.rate(), nil
}

// settling is until the days of use of all those sign-ins are written.
const settling = time.Second

func (b *bench) acceptRound(ctx context.Context, server *process, quiet *silent, connections int, during time.Duration,
	yard, ours *meter,
) (tps, rate float64, err error) {
	if err := b.data.fresh(ctx); err != nil {
		return 0, 0, err
	}
	err = b.metered(ctx, yard, nil, func() (int, error) {
		tps, err = b.pgbench(ctx, connections, during)
		return int(tps * during.Seconds()), err
	})
	if err != nil {
		return 0, 0, err
	}
	if err := b.data.fresh(ctx); err != nil {
		return 0, 0, err
	}
	before := quiet.taken.Load()
	var l load
	err = b.metered(ctx, ours, server, func() (int, error) {
		l, err = flood(ctx, server.addr, connections, during, b.click)
		return l.answered, err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("accepting calls: %w", err)
	}
	return tps, l.rate(), b.checkAccepted(ctx, l.answered, func() int { return int(quiet.taken.Load() - before) })
}

// checkAccepted: a figure counts only if each call that was accepted has its row,
// and was sent to the PBX once.
func (b *bench) checkAccepted(ctx context.Context, accepted int, sent func() int) error {
	for range 200 {
		if sent() >= accepted {
			break
		}
		time.Sleep(10 * time.Millisecond) // a client may have its answer before the PBX has the call
	}
	rows, err := b.data.count(ctx, 0, 4)
	if err != nil {
		return err
	}
	if rows != accepted || sent() != accepted {
		return fmt.Errorf("%d calls were accepted, but there are %d rows and the PBX was asked %d times", accepted, rows, sent())
	}
	time.Sleep(100 * time.Millisecond) // what follows the answer is still being written
	return nil
}

// practiceRun clicks for a while, and waits for the end of every call.
func (b *bench) practiceRun(ctx context.Context, server *process, during time.Duration, used *meter) (float64, error) {
	if err := b.data.fresh(ctx); err != nil {
		return 0, err
	}
	var l load
	var took time.Duration
	err := b.metered(ctx, used, server, func() (_ int, err error) {
		began := time.Now()
		l, err = flood(ctx, server.addr, connections[len(connections)-1], during, b.click)
		if err != nil {
			return 0, fmt.Errorf("practice calls: %w", err)
		}
		err = b.data.awaitEnds(ctx, time.Minute)
		took = time.Since(began)
		return l.answered, err
	})
	if err != nil {
		return 0, err
	}
	return float64(l.answered) / took.Seconds(), b.data.checkStories(ctx, l.answered)
}

// checkStories: each call has all its four steps in its timeline.
func (d *database) checkStories(ctx context.Context, calls int) error {
	var ended, steps int
	err := d.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM calls WHERE status = 'disconnected' AND reason = 'hangUp'),
		(SELECT count(*) FROM call_events)`).Scan(&ended, &steps)
	if err == nil && (ended != calls || steps != 4*calls) {
		err = fmt.Errorf("of %d practice calls %d ended well, with %d steps instead of %d", calls, ended, steps, 4*calls)
	}
	return err
}
