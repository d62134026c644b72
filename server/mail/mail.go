// Package mail sends links by SMTP: invitations, and links to set a new password.
// It says nothing in logs of whom it writes to.
package mail

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"clicktodial/server/auth"
)

// Sender sends by one SMTP server.
type Sender struct {
	client *gomail.Client
	from   string
}

const sendLimit = 8 * time.Second

// New reads SMTP_URL: smtp://user:password@host:587 (TLS from the second word on,
// which only a loopback server is excused from) or smtps://user:password@host:465;
// ?from= is the sender, by default click-to-dial@ the host of publicURL. The
// error repeats nothing of the URL.
func New(smtpURL, publicURL string) (*Sender, error) {
	bad := errors.New("SMTP_URL must look like smtps://user:password@host?from=sender@company.example")
	u, err := url.Parse(smtpURL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return nil, bad
	}
	options := []gomail.Option{gomail.WithTimeout(sendLimit)}
	switch {
	case u.Scheme == "smtps":
		options = append(options, gomail.WithSSLPort(false))
	case isLoopback(u.Hostname()):
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if text := u.Port(); text != "" {
		port, err := strconv.Atoi(text)
		if err != nil {
			return nil, bad
		}
		options = append(options, gomail.WithPort(port))
	}
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(user), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, bad
	}
	from := u.Query().Get("from")
	if from == "" {
		from = defaultFrom(publicURL)
	}
	if gomail.NewMsg().From(from) != nil {
		return nil, bad
	}
	return &Sender{client, from}, nil
}

func defaultFrom(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || isLoopback(u.Hostname()) {
		return "click-to-dial@localhost"
	}
	return "click-to-dial@" + u.Hostname()
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

//go:embed texts.json
var textsJSON []byte

// texts is link kind → language → subject and body; {name}, {company}, {url} and
// {until} are filled in.
var texts = func() (all map[string]map[string][2]string) {
	if err := json.Unmarshal(textsJSON, &all); err != nil {
		panic("texts.json: " + err.Error())
	}
	return all
}()

// Link sends a link to its person, in their admin's language.
func (s *Sender) Link(ctx context.Context, to auth.LinkHolder, link, lang string) error {
	text, ok := texts[string(to.Kind)][lang]
	if !ok {
		text = texts[string(to.Kind)]["en"]
	}
	fill := strings.NewReplacer("{name}", cmp.Or(to.Name, to.Email), "{company}", to.TenantName, "{url}", link, "{until}", to.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC"))
	m := gomail.NewMsg()
	if m.From(s.from) != nil || m.To(to.Email) != nil {
		return errors.New("an address cannot be mailed to")
	}
	m.Subject(text[0])
	m.SetBodyString(gomail.TypeTextPlain, fill.Replace(text[1]))
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	if err := s.client.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("sending mail: %T", err) // its text may hold the address
	}
	return nil
}
