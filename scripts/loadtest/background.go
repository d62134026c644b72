package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// What people do while sign-ins are ended, on each replica and second.
const (
	backgroundReads = 200
	backgroundCalls = 10
	readLanes       = 4 // connections
)

// background is that load.
type background struct {
	stop         context.CancelFunc
	began        time.Time
	work         sync.WaitGroup
	reads, calls atomic.Int64

	mu     sync.Mutex
	faults []error
}

// startBackground loads the replicas until it is ended.
func (b *bench) startBackground(ctx context.Context, replicas []*process) *background {
	bg := &background{began: time.Now()}
	ctx, bg.stop = context.WithCancel(ctx)
	var user, click atomic.Int64
	read := func(c *client) error {
		bg.reads.Add(1)
		return b.data.askMe(c, int(user.Add(1))%len(b.data.tokens))
	}
	call := func(c *client) error {
		bg.calls.Add(1)
		n := int(click.Add(1))
		return clickAs(c, b.data.tokens[n%len(b.data.tokens)], fmt.Sprintf("background-%d", n))
	}
	for _, r := range replicas {
		for range readLanes {
			bg.lane(ctx, r.addr, readLanes*time.Second/backgroundReads, read)
		}
		bg.lane(ctx, r.addr, time.Second/backgroundCalls, call)
	}
	return bg
}

// lane does one thing at a steady pace, over one connection. What is late is not
// made up for.
func (bg *background) lane(ctx context.Context, addr string, every time.Duration, do func(*client) error) {
	bg.work.Go(func() {
		c, err := dialClient(addr)
		if err != nil {
			bg.fail(err)
			return
		}
		defer c.close()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := do(c); err != nil {
				bg.fail(err)
				return
			}
		}
	})
}

func (bg *background) fail(err error) {
	bg.mu.Lock()
	defer bg.mu.Unlock()
	bg.faults = append(bg.faults, err)
}

// end stops the load, and says how much of it there was. An error when it was
// not all answered well.
func (bg *background) end() (string, error) {
	bg.stop()
	bg.work.Wait()
	seconds := time.Since(bg.began).Seconds()
	said := fmt.Sprintf("%.0f GET /v1/me and %.0f calls a second", float64(bg.reads.Load())/seconds, float64(bg.calls.Load())/seconds)
	return said, errors.Join(bg.faults...)
}
