package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a number of connections did, each sending its next question when
// the last was answered.
type load struct {
	answered int
	took     time.Duration
}

func (l load) rate() float64 { return float64(l.answered) / l.took.Seconds() }

// flood asks for a while over many connections; ask is told the question's number, from 0.
func flood(ctx context.Context, addr string, connections int, during time.Duration, ask func(c *client, n int) error) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var next, answered atomic.Int64
	var work sync.WaitGroup
	faults := make([]error, connections)
	began := time.Now()
	for i := range connections {
		work.Go(func() {
			c, err := dialClient(addr)
			if err != nil {
				faults[i] = err
				return
			}
			defer c.close()
			for ctx.Err() == nil && faults[i] == nil {
				if faults[i] = ask(c, int(next.Add(1))-1); faults[i] == nil {
					answered.Add(1)
				}
			}
		})
	}
	work.Wait()
	return load{int(answered.Load()), time.Since(began)}, errors.Join(faults...)
}

// click clicks from many users' sign-ins in turn, so that the limits of a single
// user never hold.
func (b *bench) click(c *client, n int) error {
	if n >= 2*len(b.data.tokens) {
		return errors.New("more calls than the users may have up: seed more users")
	}
	return clickAs(c, b.data.tokens[n%len(b.data.tokens)], fmt.Sprintf("bench-%d", n))
}

func clickAs(c *client, token, key string) error {
	r, err := c.call(token, key, "+31201234567")
	if err == nil && r.status != 201 {
		err = fmt.Errorf("a click was answered with %d", r.status)
	}
	return err
}

// warmTokens has every user ask who they are, as their extension does before there can
// be a click: the server then knows the tokens.
func (b *bench) warmTokens(ctx context.Context, server *process) error {
	const lanes = 8
	var work sync.WaitGroup
	faults := make([]error, lanes)
	for lane := range lanes {
		work.Go(func() {
			c, err := dialClient(server.addr)
			if err != nil {
				faults[lane] = err
				return
			}
			defer c.close()
			for n := lane; n < len(b.data.tokens) && ctx.Err() == nil && faults[lane] == nil; n += lanes {
				faults[lane] = b.data.askMe(c, n)
			}
		})
	}
	work.Wait()
	return errors.Join(append(faults, ctx.Err())...)
}
