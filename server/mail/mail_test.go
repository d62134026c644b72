package mail_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/mail"
)

// post speaks just enough SMTP (RFC 5321) to take one mail, or to refuse it.
type post struct {
	addr   string
	refuse string // a verb that is answered 550
	taken  chan string
}

func newPost(t *testing.T, refuse string) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // the test is over
	p := &post{addr: l.Addr().String(), refuse: refuse, taken: make(chan string, 1)}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close() //nolint:errcheck // the mail was taken, or not
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		p.taken <- p.take(conn)
	}()
	return p
}

func (p *post) take(conn net.Conn) string {
	var all strings.Builder
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 post")
	lines := bufio.NewScanner(conn)
	for data := false; lines.Scan(); {
		line := lines.Text()
		all.WriteString(line + "\n")
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case data && line == ".":
			data = false
			say("250 taken")
		case data:
		case p.refuse != "" && verb == p.refuse:
			say("550 no")
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return all.String()
		default:
			say("250 ok")
		}
	}
	return all.String()
}

var anna = auth.LinkHolder{
	Kind: models.Invitation, Email: "anna@acme.example", Name: "Anna", TenantName: "Acme B.V.", ExpiresAt: time.Date(2026, 11, 30, 9, 5, 0, 0, time.UTC),
}

const link = "https://calls.example.com/console/link?code=abc"

func TestLink(t *testing.T) {
	t.Parallel()
	for _, kind := range []models.LinkKind{models.Invitation, models.Reset} {
		for lang, word := range map[string]string{"en": "Hello Anna", "nl": "Beste Anna", "de": "Guten Tag Anna", "fr": "Hello Anna"} {
			p := newPost(t, "")
			s, err := mail.New("smtp://"+p.addr+"?from=calls@acme.example", "https://calls.example.com")
			if err != nil {
				t.Fatal(err)
			}
			to := anna
			to.Kind = kind
			if err := s.Link(context.Background(), to, link, lang); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(<-p.taken)))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"MAIL FROM:<calls@acme.example>", "RCPT TO:<anna@acme.example>", word, link, "2026-11-30 09:05 UTC"} {
				if !strings.Contains(string(got), want) {
					t.Errorf("%s %s: no %q in %s", kind, lang, want, got)
				}
			}
		}
	}
}

// What goes wrong is told without the address.
func TestFailureIsMute(t *testing.T) {
	t.Parallel()
	p := newPost(t, "RCPT")
	s, err := mail.New("smtp://"+p.addr, "http://127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Link(context.Background(), anna, link, "en")
	if err == nil || strings.Contains(err.Error(), "anna") || strings.Contains(err.Error(), "acme") {
		t.Errorf("got %v", err)
	}
	<-p.taken
	dead, err := mail.New("smtp://127.0.0.1:1", "http://127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Link(context.Background(), anna, link, "en"); err == nil || strings.Contains(err.Error(), "anna") {
		t.Errorf("got %v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"smtps://u:p@mail.example.com", "smtp://mail.example.com:587?from=a@b.example", "smtp://localhost:2525"} {
		if _, err := mail.New(good, "https://calls.example.com"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "http://mail.example.com", "smtp://", "smtps://secret:pw@mail.example.com?from=nobody", "smtp://mail.example.com:99999999"} {
		if _, err := mail.New(bad, "https://calls.example.com"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
