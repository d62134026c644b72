package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// paceLanes is how many calls may be under way at once; one more waits, and that
// counts.
const paceLanes = 50

// tailClicks is how many clicks, in the order of their answers, a p99 is of: some 20 s.
const tailClicks = 1000

// paced is how clicks fared while something else was done.
type paced struct {
	took    []float64 // ms, from when each was to leave to its answer
	refused int       // were not answered with 201
	during  time.Duration
}

// pacer clicks at the pace.
type pacer struct {
	lanes chan *client
	work  sync.WaitGroup

	mu     sync.Mutex
	clicks []clicked
	faults []error
}

// clicked is one click.
type clicked struct {
	at     time.Time
	took   time.Duration
	status int
}

// whilePaced does something while people click, each one of another user than
// the one before. Clicks before and after it do not count.
func (s *stock) whilePaced(ctx context.Context, name string, do func() error) (*paced, error) {
	p := &pacer{lanes: make(chan *client, paceLanes)}
	for range paceLanes {
		c, err := dialClient(s.server.addr)
		if err != nil {
			return nil, err
		}
		defer c.close()
		p.lanes <- c
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	p.work.Go(func() { p.run(running, s.data.tokens, name) })
	time.Sleep(s.warm)
	began := time.Now()
	err := do()
	ended := time.Now()
	stop()
	p.work.Wait()
	if err := errors.Join(append(p.faults, err, ctx.Err())...); err != nil {
		return nil, err
	}
	return p.between(began, ended), nil
}

func (p *pacer) run(ctx context.Context, tokens []string, name string) {
	began := time.Now()
	for n := 0; ; n++ {
		at := began.Add(time.Duration(n) * interval)
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return
		}
		p.work.Go(func() { p.click(at, tokens[n%len(tokens)], fmt.Sprintf("%s-%d", name, n)) })
	}
}

func (p *pacer) click(at time.Time, token, key string) {
	c := <-p.lanes
	r, err := c.call(token, key, "+31201234567")
	p.lanes <- c
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.faults = append(p.faults, err)
		return
	}
	p.clicks = append(p.clicks, clicked{at, r.came.Sub(at), r.status})
}

func (p *pacer) between(began, ended time.Time) *paced {
	sum := &paced{during: ended.Sub(began)}
	for _, c := range p.clicks {
		switch {
		case c.at.Before(began) || c.at.After(ended):
		case c.status != 201:
			sum.refused++
		default:
			sum.took = append(sum.took, millis(c.took))
		}
	}
	return sum
}

// add adds what came later of the same.
func (p *paced) add(later *paced) {
	p.took = append(p.took, later.took...)
	p.refused += later.refused
	p.during += later.during
}

// p99 is the median of the p99 of each tailClicks: a bad moment of the machine's is in
// one of them. What is left over at the end counts where there is nothing else.
func (p *paced) p99() float64 {
	var all []float64
	for some := range slices.Chunk(p.took, tailClicks) {
		if len(some) == tailClicks || len(all) == 0 {
			all = append(all, quantile(some, 0.99))
		}
	}
	return median(all)
}
