package ami

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
	"clicktodial/server/phone"
)

// lab is the real Asterisk that scripts/asterisk starts, with real phones.
type lab struct {
	dir            string
	AMI            account `json:"ami"`
	Watcher        account `json:"watcher"`
	CarrierWatcher account `json:"carrierWatcher"`
	PBXURL         string  `json:"pbxUrl"`
	PBXURLBare     string  `json:"pbxUrlBare"`
	CarrierCalls   string  `json:"carrierCalls"`
}

type account struct {
	Host, User, Secret string
	Port               int
}

var theLab struct {
	once   sync.Once
	lab    *lab
	reason string
	own    string // the folder of a laboratory that these tests started
}

// TestMain ends the laboratory that the tests started, if they did.
func TestMain(m *testing.M) {
	code := m.Run()
	if theLab.own != "" {
		if out, err := exec.Command("../../../scripts/asterisk", "down", "--dir", theLab.own).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "ending the laboratory: %v\n%s", err, out)
		}
		_ = os.RemoveAll(theLab.own) // a temporary folder
	}
	os.Exit(code)
}

// theAsterisk gives the laboratory: the one that CTD_ASTERISK_LAB names, else one
// of our own. A machine that cannot run it skips, and fails when CI is set.
func theAsterisk(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real Asterisk")
	}
	theLab.once.Do(func() { theLab.lab, theLab.reason = startLab() })
	if theLab.lab == nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("NO REAL ASTERISK, and CI is set: %s", theLab.reason)
		}
		t.Skipf("NO REAL ASTERISK, NOT TESTED AGAINST ONE: %s", theLab.reason)
	}
	return theLab.lab
}

func startLab() (*lab, string) {
	file := os.Getenv("CTD_ASTERISK_LAB")
	if file == "" {
		dir, err := os.MkdirTemp("", "ctd-ami-lab")
		if err != nil {
			return nil, err.Error()
		}
		if out, err := exec.Command("../../../scripts/asterisk", "up", "--dir", dir).CombinedOutput(); err != nil {
			_ = os.RemoveAll(dir) // a temporary folder
			return nil, fmt.Sprintf("scripts/asterisk up: %v: %s", err, out)
		}
		theLab.own, file = dir, filepath.Join(dir, "lab.json")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err.Error()
	}
	l := &lab{dir: filepath.Dir(file)}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, err.Error()
	}
	return l, ""
}

func number(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s, "NL")
	if err != nil {
		t.Fatalf("parsing a test number: %v", err)
	}
	return n
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// harness is the suite's harness for one style of PBX_URL. Its lines go through
// a proxy of ours, so that they can be cut.
func (l *lab) harness(t *testing.T, rawURL string) pbxtest.Harness {
	proxy := newProxy(t, net.JoinHostPort(l.AMI.Host, strconv.Itoa(l.AMI.Port)))
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal("the laboratory's URL cannot be read")
	}
	u.Host = proxy.listener.Addr().String()
	own := func(endpoint string) pbxtest.Call {
		return pbxtest.Call{Endpoint: endpoint, Number: number(t, "+31201234567"), Ring: 20 * time.Second}
	}
	to := func(n string) pbxtest.Call {
		return pbxtest.Call{Endpoint: "120", Number: number(t, n)}
	}
	noAnswer := own("103")
	noAnswer.Ring = 1500 * time.Millisecond
	return pbxtest.Harness{
		Open: func(t *testing.T) pbx.Adapter {
			p, err := Open(u.String(), quiet())
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return p
		},
		Calls: map[pbxtest.Story]pbxtest.Call{
			pbxtest.Answered:       to("+31201234567"),
			pbxtest.Stays:          to("+31201236666"),
			pbxtest.EarlyMedia:     to("+31201235555"),
			pbxtest.CalleeRings:    to("+31201230000"),
			pbxtest.CalleeBusy:     to("+31201231111"),
			pbxtest.TrunkFull:      to("+31201232222"),
			pbxtest.CalleeRejects:  to("+31201233333"),
			pbxtest.CalleeUnknown:  to("+31201239876"),
			pbxtest.CallerRings:    own("103"),
			pbxtest.CallerNoAnswer: noAnswer,
			pbxtest.CallerBusy:     own("102"),
			pbxtest.CallerForwards: own("107"),
			pbxtest.CallerOffline:  own("105"),
			pbxtest.CallerUnknown:  own("999"),
			pbxtest.Transfer: {Endpoint: "108", Number: number(t, "+31201236666"), Act: func(t *testing.T, id string) {
				t.Cleanup(func() { l.endAll(t) }) // callee and colleague talk on
			}},
		},
		Region: "NL", Patience: 20 * time.Second, Idle: "104", Offline: "105", Unknown: "999", Serial: true,
		Cut: func(*testing.T) func() { return proxy.cut() },
	}
}

// proxy passes a line through until it is cut.
type proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if p.down || err != nil {
			_ = in.Close()
			if err == nil {
				_ = out.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			p.wg.Go(func() {
				_, _ = io.Copy(way[0], way[1]) // ends when either is closed
				_, _ = way[0].Close(), way[1].Close()
			})
		}
	}
}

func (p *proxy) cut() (mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.down = false
	}
}

func (l *lab) script(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("../../../scripts/asterisk", append(args, "--dir", l.dir)...).CombinedOutput(); err != nil {
		t.Fatalf("scripts/asterisk %v: %v\n%s", args, err, out)
	}
}

// endAll hangs up every call at the PBX.
func (l *lab) endAll(t *testing.T) {
	t.Helper()
	c, err := parseURL(l.PBXURLBare)
	if err != nil {
		t.Fatal(err)
	}
	s, err := connect(context.Background(), c, usualTempo(), func(*session, message) {})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { s.end(errLineLost); <-s.read }()
	if _, err := s.do(context.Background(), action{{"Action", "Hangup"}, {"Channel", "/.*/"}}); err != nil {
		t.Errorf("ending all calls: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if list, err := listChannels(context.Background(), s); err == nil && len(list) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("calls are left at the PBX")
}
