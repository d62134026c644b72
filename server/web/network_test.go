package web_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/web"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		proxies []string
		lines   []string
		want    string
	}{
		{"nobody is trusted", nil, []string{"203.0.113.7"}, "127.0.0.1/32"},
		{"another is trusted", []string{"10.0.0.0/8"}, []string{"203.0.113.7"}, "127.0.0.1/32"},
		{"by address", []string{"127.0.0.1"}, []string{"203.0.113.7"}, "203.0.113.7/32"},
		{"by network", []string{"127.0.0.0/8"}, []string{"203.0.113.7"}, "203.0.113.7/32"},
		{"no header", []string{"127.0.0.1"}, nil, "127.0.0.1/32"},
		{"invented before it", []string{"127.0.0.1"}, []string{"1.2.3.4, 203.0.113.7"}, "203.0.113.7/32"},
		{"a line invented before it", []string{"127.0.0.1"}, []string{"1.2.3.4", "203.0.113.7"}, "203.0.113.7/32"},
		{"two proxies", []string{"127.0.0.1", "10.0.0.0/8"}, []string{"1.2.3.4, 203.0.113.7, 10.0.0.1"}, "203.0.113.7/32"},
		{"all are proxies", []string{"127.0.0.1", "10.0.0.0/8"}, []string{"10.0.0.2, 10.0.0.1"}, "10.0.0.2/32"},
		{"garbage", []string{"127.0.0.1"}, []string{"1.2.3.4, garbage"}, "127.0.0.1/32"},
		{"garbage before", []string{"127.0.0.1"}, []string{"garbage, 203.0.113.7"}, "203.0.113.7/32"},
		{"IPv6 is a /64", []string{"127.0.0.1"}, []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", []string{"127.0.0.1"}, []string{"::ffff:203.0.113.7"}, "203.0.113.7/32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := web.New(web.Options{PublicURL: "http://127.0.0.1", TrustedProxies: tt.proxies, Log: slog.New(slog.DiscardHandler), Now: time.Now})
			app.Get("/network", func(c *fiber.Ctx) error { return c.SendString(web.Network(c).String()) })
			if got := ask(t, app, tt.lines); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// ask asks over a real connection: the address is what it is about.
func ask(t *testing.T, app *fiber.App, forwarded []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = app.Listener(l) }()
	defer func() { _ = l.Close(); <-ended }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // over
	request := "GET /network HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for _, line := range forwarded {
		request += "X-Forwarded-For: " + line + "\r\n"
	}
	if _, err := io.Copy(conn, strings.NewReader(request+"\r\n")); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
