package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

// client is one kept-alive HTTP connection, so plain that the load costs the
// server's processors little: pgbench, beside which it is held, is plain too.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	out    []byte
	body   []byte // of the last answer
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

// reply is the status of an answer, when the question left, and when the answer
// was there.
type reply struct {
	status     int
	sent, came time.Time
}

// call posts one click.
func (c *client) call(token, key, number string) (reply, error) {
	body := `{"number":"` + number + `"}`
	c.out = fmt.Appendf(c.out[:0], "POST /v1/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, key, len(body), body)
	return c.exchange()
}

// get asks for a path with a token.
func (c *client) get(path, token string) (reply, error) {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
	return c.exchange()
}

// post sends a JSON body to a path with a token.
func (c *client) post(path, token string, body []byte) (reply, error) {
	c.out = fmt.Appendf(c.out[:0], "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, token, len(body), body)
	return c.exchange()
}

// revoke signs out (RFC 7009).
func (c *client) revoke(token string) (reply, error) {
	body := "token=" + token
	c.out = fmt.Appendf(c.out[:0], "POST /oauth/revoke HTTP/1.1\r\nHost: 127.0.0.1\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return c.exchange()
}

func (c *client) exchange() (r reply, err error) {
	r.sent = time.Now()
	if err := c.conn.SetDeadline(r.sent.Add(requestLimit)); err != nil {
		return r, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return r, err
	}
	r.status, err = c.answer()
	r.came = time.Now()
	return r, err
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
			c.body = slices.Grow(c.body[:0], length)[:length]
			_, err := io.ReadFull(c.reader, c.body)
			return status, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}
