package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// client is one kept-alive HTTP connection, so plain that the load costs the
// server's processors little: pgbench, beside which it is held, is plain too.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	out    []byte
}

const requestLimit = 15 * time.Second

func dialClient(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, reader: bufio.NewReader(conn)}, nil
}

func (c *client) close() { _ = c.conn.Close() } // the run is over

// call posts one click and gives the answer's status, and when the first byte left.
func (c *client) call(token, key, number string) (status int, sent time.Time, err error) {
	body := `{"number":"` + number + `"}`
	c.out = fmt.Appendf(c.out[:0], "POST /v1/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, key, len(body), body)
	sent = time.Now()
	if err := c.conn.SetDeadline(sent.Add(requestLimit)); err != nil {
		return 0, sent, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, sent, err
	}
	status, err = c.answer()
	return status, sent, err
}

func (c *client) answer() (status int, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case first:
			if len(line) < 12 {
				return 0, errors.New("no HTTP answer")
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, err
			}
		case len(line) == 0:
			if length < 0 {
				return 0, errors.New("an answer without a length")
			}
			_, err := io.CopyN(io.Discard, c.reader, int64(length))
			return status, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}

// load is what a number of connections did, each sending its next click when the
// last was answered.
type load struct {
	accepted int
	took     time.Duration
}

func (l load) rate() float64 { return float64(l.accepted) / l.took.Seconds() }

// flood clicks for a while from many users' sign-ins in turn, so that the limits
// of a single user never hold.
func (b *bench) flood(ctx context.Context, addr string, connections int, during time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var next, accepted atomic.Int64
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
				n := int(next.Add(1)) - 1
				faults[i] = b.click(c, n)
				if faults[i] == nil {
					accepted.Add(1)
				}
			}
		})
	}
	work.Wait()
	return load{int(accepted.Load()), time.Since(began)}, errors.Join(faults...)
}

func (b *bench) click(c *client, n int) error {
	if n >= 2*len(b.data.tokens) {
		return errors.New("more calls than the users may have up: seed more users")
	}
	status, _, err := c.call(b.data.tokens[n%len(b.data.tokens)], fmt.Sprintf("bench-%d", n), "+31201234567")
	if err == nil && status != 201 {
		err = fmt.Errorf("a click was answered with %d", status)
	}
	return err
}
