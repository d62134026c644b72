package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
)

const (
	raceLanes = 8 // races at the same time
	lateFill  = 50 * time.Millisecond
)

// races is what became of them.
type races struct {
	run      int
	answered int // the token's first use came before its end
	filled   int // so it was to be remembered
	late     int // but reached Redis only after the revocation's answer
	lost     int // the token was taken afterwards
}

// racing sends a token's first use to one replica and its revocation to another
// at the same moment: what the one remembers must not outlive the other.
func (b *bench) racing(ctx context.Context) error {
	at, err := url.Parse(b.Redis)
	if err != nil {
		return errors.New("REDIS_URL cannot be read")
	}
	h, err := newHoldup(at.Host)
	if err != nil {
		return err
	}
	defer h.close()
	at.Host = h.addr()
	of := newInstallation("races")
	revoking, err := b.serveReplica(ctx, of, "race-a", practiceURL, b.Redis)
	if err != nil {
		return err
	}
	defer revoking.stop()
	filling, err := b.serveReplica(ctx, of, "race-b", practiceURL, at.String())
	if err != nil {
		return err
	}
	defer filling.stop()
	signIns, err := b.data.signIns(ctx, b.revoked)
	if err != nil {
		return err
	}
	progress("%d races", len(signIns))
	sum, err := raceAll(ctx, signIns, h, revoking.addr, filling.addr)
	if err != nil {
		return fmt.Errorf("racing: %w", err)
	}
	b.results = append(b.results, sum.result())
	b.notes = append(b.notes, fmt.Sprintf("Races: a token's first use and its revocation left within 2 ms of each other, and what fills the cache was held up on its way to "+
		"Redis, by %v at most. %d of %d first uses were answered 200, the others 401.", holdupLimit, sum.answered, sum.run))
	return nil
}

func raceAll(ctx context.Context, signIns []signIn, h *holdup, a, b string) (sum races, err error) {
	var mu sync.Mutex
	var work sync.WaitGroup
	faults := make([]error, raceLanes)
	for i := range raceLanes {
		work.Go(func() {
			l := &lane{holdup: h}
			defer l.close()
			if faults[i] = l.open(a, b); faults[i] != nil {
				return
			}
			for n := i; n < len(signIns) && faults[i] == nil && ctx.Err() == nil; n += raceLanes {
				faults[i] = l.race(signIns[n], n)
			}
			mu.Lock()
			defer mu.Unlock()
			sum = races{sum.run + l.run, sum.answered + l.answered, sum.filled + l.filled, sum.late + l.late, sum.lost + l.lost}
		})
	}
	work.Wait()
	return sum, errors.Join(append(faults, ctx.Err())...)
}

func (r races) result() result {
	row := result{
		what: "forced races lost", figure: fmt.Sprintf("%d of %d", r.lost, r.run), goal: "none", met: r.lost == 0,
		yardstick: fmt.Sprintf("%d filled the cache, %d of them after the revocation's answer", r.filled, r.late),
	}
	if r.late == 0 {
		row.missing = "no fill came so late that there was a race"
	}
	return row
}

// lane runs one race after the other.
type lane struct {
	races
	holdup               *holdup
	revoking, asking     *client // on A, on B
	checkingA, checkingB *client
}

func (l *lane) open(a, b string) (err error) {
	for _, to := range []struct {
		client **client
		addr   string
	}{{&l.revoking, a}, {&l.checkingA, a}, {&l.asking, b}, {&l.checkingB, b}} {
		if *to.client, err = dialClient(to.addr); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) close() {
	for _, c := range []*client{l.revoking, l.asking, l.checkingA, l.checkingB} {
		if c != nil {
			c.close()
		}
	}
}

// race runs the n-th: the first use leaves up to 2 ms before or after the
// revocation.
func (l *lane) race(s signIn, n int) error {
	offset := time.Duration(n%41-20) * 100 * time.Microsecond
	start := time.Now().Add(4 * time.Millisecond)
	var first reply
	var firstErr error
	var asking sync.WaitGroup
	asking.Go(func() {
		time.Sleep(time.Until(start.Add(offset)))
		first, firstErr = l.asking.get("/v1/me", s.access)
	})
	time.Sleep(time.Until(start))
	revoked, err := l.revoking.revoke(s.refresh)
	if err == nil && revoked.status != 200 {
		err = fmt.Errorf("a revocation was answered with %d", revoked.status)
	}
	var alive, aliveLate bool
	if err == nil {
		alive, err = l.alive(s.access)
	}
	asking.Wait()
	if err == nil {
		time.Sleep(lateFill)
		aliveLate, err = l.alive(s.access)
	}
	if err := errors.Join(err, firstErr); err != nil {
		return err
	}
	return l.note(s, first, revoked, alive || aliveLate)
}

// alive says whether a replica takes the token.
func (l *lane) alive(token string) (bool, error) {
	alive := false
	for _, c := range []*client{l.checkingA, l.checkingB} {
		r, err := c.get("/v1/me", token)
		if err != nil {
			return false, err
		}
		if r.status != 200 && r.status != 401 {
			return false, fmt.Errorf("a revoked token was answered with %d", r.status)
		}
		alive = alive || r.status == 200
	}
	return alive, nil
}

func (l *lane) note(s signIn, first, revoked reply, alive bool) error {
	l.run++
	switch first.status {
	case 200:
		l.answered++
	case 401:
	default:
		return fmt.Errorf("the first use of a token was answered with %d", first.status)
	}
	if at := l.holdup.letGo(s.access); !at.IsZero() {
		l.filled++
		if at.After(revoked.came) {
			l.late++
		}
	}
	if alive {
		l.lost++
	}
	return nil
}
