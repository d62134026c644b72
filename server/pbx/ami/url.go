package ami

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"clicktodial/server/pbx"
	"clicktodial/server/phone"
)

// config is what PBX_URL says.
type config struct {
	addr         string
	tls          *tls.Config // nil for ami://
	user, secret string
	channel      string // how to reach a phone; {device} stands for it
	device       string // how Asterisk names a phone's state, likewise
	context      string
	form         phone.Form
	prefix       string
	vars         []variable
}

type variable struct{ name, value string }

// local says whether the own phone is rung through the dialplan: then a pair of
// Local channels stands between it and us.
func (c config) local() bool { return strings.HasPrefix(c.channel, "Local/") }

const placeholder = "{device}"

var (
	channelPattern  = regexp.MustCompile(`^[A-Za-z0-9]{1,20}/[A-Za-z0-9_./@-]*\{device\}[A-Za-z0-9_./@-]*$`)
	devicePattern   = regexp.MustCompile(`^[A-Za-z0-9]{1,20}/[A-Za-z0-9_.@-]*\{device\}[A-Za-z0-9_.@-]*$`)
	prefixPattern   = regexp.MustCompile(`^[0-9*#+]{0,8}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,78}$`)
)

// parseURL reads a PBX_URL and reports all that is wrong with it at once. No
// error repeats any part of it: a secret may stand anywhere in a bad one.
func parseURL(raw string) (config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return config{}, errors.New("ami URL: cannot be read; percent-encode what is special in user and secret")
	}
	query, err := url.ParseQuery(u.RawQuery)
	p := urlParser{query: query}
	p.fail(err != nil, "the parameters cannot be read")
	p.fail(u.Scheme != "ami" && u.Scheme != "amis", "begins with neither ami:// nor amis://")
	p.fail(u.Path != "" && u.Path != "/" || u.Fragment != "" || u.Opaque != "",
		"has something between the host and the parameters, or after them")
	p.address(u)
	p.account(u)
	p.dialling()
	p.variables()
	p.transport(u)
	for name, values := range query {
		known := slices.Contains([]string{"channel", "device", "context", "numbers", "prefix", "ca"}, name)
		p.fail(!known && !strings.HasPrefix(name, "var."),
			"has a parameter that is none of channel, device, context, numbers, prefix, ca, var.NAME")
		p.fail(len(values) > 1, "has a parameter twice")
	}
	return p.config, errors.Join(p.faults...)
}

type urlParser struct {
	config config
	query  url.Values
	faults []error
}

func (p *urlParser) fail(wrong bool, what string, args ...any) {
	if wrong {
		p.faults = append(p.faults, fmt.Errorf("ami URL: "+what, args...))
	}
}

// get gives a parameter, or what holds when it is not there.
func (p *urlParser) get(name, otherwise string) string {
	if v, ok := p.query[name]; ok {
		return v[0]
	}
	return otherwise
}

func (p *urlParser) address(u *url.URL) {
	port := u.Port()
	if port == "" {
		port = "5038"
		if u.Scheme == "amis" {
			port = "5039"
		}
	}
	n, err := strconv.Atoi(port)
	p.fail(err != nil || n < 1 || n > 65535, "has a bad port")
	p.fail(u.Hostname() == "", "names no host")
	p.config.addr = net.JoinHostPort(u.Hostname(), port)
}

func (p *urlParser) account(u *url.URL) {
	if u.User == nil {
		p.fail(true, "names no user and secret")
		return
	}
	p.config.user = u.User.Username()
	p.config.secret, _ = u.User.Password()
	for name, s := range map[string]string{"user": p.config.user, "secret": p.config.secret} {
		p.fail(s == "", "has no %s", name)
		p.fail(len(s) > 200 || !fieldValue(s), "has a %s that is too long or holds characters that Asterisk cannot take", name)
	}
}

func (p *urlParser) dialling() {
	c := &p.config
	c.channel = p.get("channel", "PJSIP/"+placeholder)
	p.fail(len(c.channel) > 200 || !channelPattern.MatchString(c.channel),
		"channel= must look like PJSIP/{device} or Local/{device}@some-context/n")
	usual := c.channel
	if c.local() {
		usual = "PJSIP/" + placeholder
	}
	c.device = p.get("device", usual)
	_, given := p.query["device"]
	p.fail(given && (len(c.device) > 200 || !devicePattern.MatchString(c.device)), "device= must look like PJSIP/{device}")
	c.context = p.get("context", "from-internal")
	p.fail(!pbx.ValidContext(c.context), "context= may hold letters, digits, - and _ only")
	form, err := phone.ParseForm(p.get("numbers", string(phone.E164)))
	p.fail(err != nil, "numbers= is one of e164, digits, 00, national")
	c.form = form
	c.prefix = p.get("prefix", "")
	p.fail(!prefixPattern.MatchString(c.prefix), "prefix= is at most 8 of 0-9, *, # and +")
}

func (p *urlParser) variables() {
	for key, values := range p.query {
		name, ok := strings.CutPrefix(key, "var.")
		if !ok {
			continue
		}
		value := values[0]
		p.fail(!variablePattern.MatchString(name), "var.NAME= has a NAME that is no variable's")
		p.fail(!variableValue(value), "var.NAME= has a value with a comma, a control character, or too long")
		p.config.vars = append(p.config.vars, variable{name, value})
	}
	p.fail(len(p.config.vars) > 50, "has more than 50 variables")
	slices.SortFunc(p.config.vars, func(a, b variable) int { return strings.Compare(a.name, b.name) })
}

// variableValue: Asterisk splits a Variable header at its commas.
func variableValue(s string) bool {
	return len(s) <= 500 && fieldValue("x"+s) && !strings.Contains(s, ",")
}

func (p *urlParser) transport(u *url.URL) {
	ca, given := p.query["ca"]
	if u.Scheme != "amis" {
		p.fail(given, "ca= is for amis:// only")
		return
	}
	p.config.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if !given {
		return
	}
	pem, err := os.ReadFile(ca[0])
	if err != nil {
		p.fail(true, "ca= names a file that cannot be read")
		return
	}
	pool := x509.NewCertPool()
	p.fail(!pool.AppendCertsFromPEM(pem), "ca= names a file without a certificate")
	p.config.tls.RootCAs = pool
}
