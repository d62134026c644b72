package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// resp is a bare connection to Redis (RESP2), for what the service's own client
// does not offer, and to hold that client beside.
type resp struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
}

const respLimit = 2 * time.Minute

func dialRedis(address string) (*resp, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("REDIS_URL cannot be read")
	}
	conn, err := net.DialTimeout("tcp", at.Host, 2*time.Second)
	if err != nil {
		return nil, err
	}
	r := &resp{conn, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)}
	if password, has := at.User.Password(); has {
		if _, err := r.ask([]string{"AUTH", password}); err != nil {
			r.close()
			return nil, errors.New("the private Redis refuses the password")
		}
	}
	return r, nil
}

func (r *resp) close() { _ = r.conn.Close() } // its work is done

// ask sends commands in one go and sums their answers, those that are numbers.
func (r *resp) ask(commands ...[]string) (sum int, err error) {
	if err := r.conn.SetDeadline(time.Now().Add(respLimit)); err != nil {
		return 0, err
	}
	for _, command := range commands {
		r.write(command...)
	}
	if err := r.out.Flush(); err != nil {
		return 0, err
	}
	for range commands {
		n, err := r.answer()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (r *resp) write(words ...string) {
	fmt.Fprintf(r.out, "*%d\r\n", len(words))
	for _, word := range words {
		r.out.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n") //nolint:errcheck // Flush says so
	}
}

// answer reads a line: a status, a number, or a refusal.
func (r *resp) answer() (int, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	switch line = strings.TrimRight(line, "\r\n"); {
	case strings.HasPrefix(line, ":"):
		return strconv.Atoi(line[1:])
	case strings.HasPrefix(line, "+"):
		return 0, nil
	case strings.HasPrefix(line, "-"):
		return 0, errors.New("redis refused: " + line[1:])
	default:
		return 0, io.ErrUnexpectedEOF
	}
}
