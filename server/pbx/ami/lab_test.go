package ami

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
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

// labHarness is the suite's harness for one style of PBX_URL.
func (l *lab) harness(t *testing.T, rawURL string, local bool) pbxtest.Harness {
	own := func(endpoint string) pbxtest.Call {
		return pbxtest.Call{Endpoint: endpoint, Number: number(t, "+31201234567"), Ring: 20 * time.Second}
	}
	to := func(n string) pbxtest.Call {
		return pbxtest.Call{Endpoint: "120", Number: number(t, n)}
	}
	noAnswer := own("103")
	noAnswer.Ring = 1500 * time.Millisecond
	calls := map[pbxtest.Story]pbxtest.Call{
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
		pbxtest.Transfer:       {Endpoint: "108", Number: number(t, "+31201236666")},
	}
	// A callee that answers and stays would stay for ever if early media's did.
	early := calls[pbxtest.EarlyMedia]
	early.Act = nil
	calls[pbxtest.EarlyMedia] = early
	_ = local
	return pbxtest.Harness{
		Open: func(t *testing.T) pbx.Adapter {
			p, err := Open(rawURL, quiet())
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return p
		},
		Calls: calls, Patience: 15 * time.Second, Idle: "104", Offline: "105", Unknown: "999", Serial: true,
	}
}

func TestRealConform(t *testing.T) {
	l := theAsterisk(t)
	t.Run("bare", func(t *testing.T) { pbxtest.Conform(t, l.harness(t, l.PBXURLBare, false)) })
	t.Run("local", func(t *testing.T) { pbxtest.Conform(t, l.harness(t, l.PBXURL, true)) })
}

var _ = bufio.NewReader
var _ = context.Background
var _ = errors.New
var _ = url.Parse
var _ = models.Connected
