package config_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"clicktodial/server/config"
)

const canary = "c4n4ry"

var key = base64.StdEncoding.EncodeToString(make([]byte, 32))

// good is a configuration without a fault, with a secret in each place.
func good() map[string]string {
	return map[string]string{
		"DATABASE_URL": "postgres://ctd:" + canary + "@db.example/ctd?password=" + canary, "REDIS_URL": "redis://:" + canary + "@redis.example:6379/0",
		"PBX_URL": "ami://user:" + canary + "@pbx.example:5038?var.SECRET=" + canary, "SECRET_KEY": key + "," + key,
		"PUBLIC_URL": "https://dial.example/", "EXTENSION_IDS": strings.Repeat("a", 32) + ", " + strings.Repeat("p", 32),
		"SMTP_URL": "smtps://user:" + canary + "@mail.example", "DEMO_PASSWORD": canary, "TRUSTED_PROXIES": "10.0.0.1,fd00::/8",
	}
}

func environ(vars map[string]string) (list []string) {
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	return list
}

// faultsOf loads and gives the faults.
func faultsOf(t *testing.T, vars map[string]string) []string {
	t.Helper()
	_, err := config.Load(environ(vars))
	if err == nil {
		return nil
	}
	var f *config.Faults
	if !errors.As(err, &f) {
		t.Fatalf("not faults but %v", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("a value is repeated: %v", err)
	}
	return f.Lines
}

func TestGood(t *testing.T) {
	t.Parallel()
	c, err := config.Load(environ(good()))
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://dial.example" || len(c.Keys()) != 2 || c.HistoryMaxAge != 2160*time.Hour || c.PurgeInterval != time.Minute ||
		c.Listen != "127.0.0.1:8080" || c.MetricsListen != "127.0.0.1:9090" || c.DefaultRegion != "NL" || c.Loopback() || len(c.ExtensionIDs) != 2 ||
		c.LogAnonymiseAfter != 336*time.Hour || c.LogDeleteAfter != 2160*time.Hour || c.AuditDeleteAfter != 8760*time.Hour || c.ContractGrace != 2160*time.Hour {
		t.Errorf("%+v", c.Masked())
	}
	if c, err := config.Load(nil); err != nil || c.PublicURL != "http://127.0.0.1:8080" || !c.Loopback() {
		t.Errorf("nothing set: %v %v", c.PublicURL, err)
	}
}

var faulty = []struct{ name, variable, value string }{
	{"no URL", "DATABASE_URL", canary}, {"a DSN", "DATABASE_URL", "host=x password=" + canary}, {"other scheme", "DATABASE_URL", "mysql://u:" + canary + "@h/d"},
	{"no URL", "REDIS_URL", canary}, {"other scheme", "REDIS_URL", "http://" + canary},
	{"no port", "LISTEN", canary}, {"odd port", "LISTEN", "127.0.0.1:" + canary}, {"port too high", "LISTEN", "127.0.0.1:65536"},
	{"no port", "METRICS_LISTEN", canary},
	{"http", "PUBLIC_URL", "http://" + canary + ".example"}, {"path", "PUBLIC_URL", "https://x.example/" + canary}, {"query", "PUBLIC_URL", "https://x.example?" + canary},
	{"user", "PUBLIC_URL", "https://" + canary + "@x.example"}, {"fragment", "PUBLIC_URL", "https://x.example#" + canary}, {"no host", "PUBLIC_URL", "https://:443"},
	{"no scheme", "PUBLIC_URL", canary + ".example"}, {"cannot be parsed", "PUBLIC_URL", "https://" + canary + "%zz"},
	{"other kind", "PBX_URL", "sip://" + canary}, {"no URL", "PBX_URL", canary},
	{"too short", "SECRET_KEY", "YzRuNHJ5"}, {"no base64", "SECRET_KEY", canary + "!"}, {"one of two", "SECRET_KEY", key + "," + canary},
	{"not an id", "EXTENSION_IDS", canary}, {"q", "EXTENSION_IDS", strings.Repeat("q", 32)},
	{"three letters", "DEFAULT_REGION", "NLD"}, {"small", "DEFAULT_REGION", "nl"},
	{"raised", "HISTORY_MAX_AGE", "2160h1ns"}, {"years", "HISTORY_MAX_AGE", "87600h"}, {"zero", "HISTORY_MAX_AGE", "0s"}, {"negative", "HISTORY_MAX_AGE", "-1h"},
	{"no duration", "HISTORY_MAX_AGE", canary}, {"zero", "PURGE_INTERVAL", "0s"}, {"no duration", "PURGE_INTERVAL", canary},
	{"zero", "LOG_ANONYMISE_AFTER", "0s"}, {"zero", "LOG_DELETE_AFTER", "0s"}, {"zero", "AUDIT_DELETE_AFTER", "0s"}, {"zero", "CONTRACT_GRACE", "0s"},
	{"other scheme", "SMTP_URL", "http://" + canary}, {"no address", "TRUSTED_PROXIES", canary}, {"odd network", "TRUSTED_PROXIES", "10.0.0.0/33"},
	{"other word", "LOG_LEVEL", canary}, {"two words", "LOG_LEVEL", "info warn"}, {"one", "DATABASE_CONNS", "1"}, {"no number", "DATABASE_CONNS", canary},
}

func TestEachFault(t *testing.T) {
	t.Parallel()
	for _, tt := range faulty {
		t.Run(tt.variable+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			vars := good()
			vars[tt.variable] = tt.value
			if lines := faultsOf(t, vars); len(lines) != 1 || !strings.Contains(lines[0], tt.variable) {
				t.Errorf("faults: %q", lines)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	vars := map[string]string{}
	for _, tt := range faulty {
		if vars[tt.variable] == "" {
			vars[tt.variable] = tt.value
		}
	}
	lines := faultsOf(t, vars)
	for name := range vars {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) {
			t.Errorf("%s is not told of", name)
		}
	}
	if again := faultsOf(t, vars); !slices.Equal(again, lines) {
		t.Errorf("another order: %q %q", lines, again)
	}
}

func TestHistoryMaxAgeMayBeLowered(t *testing.T) {
	t.Parallel()
	for _, age := range []string{"2160h", "2159h", "5s"} {
		vars := good()
		vars["HISTORY_MAX_AGE"] = age
		if lines := faultsOf(t, vars); lines != nil {
			t.Errorf("%s: %q", age, lines)
		}
	}
}

func TestPracticeIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://localhost": true, "http://[::1]:8080": true, "https://127.0.0.1": true,
		"https://dial.example": false, "https://localhost.example": false, "https://10.0.0.1": false, "https://127.0.0.1.example": false,
	} {
		vars := good()
		vars["PBX_URL"], vars["PUBLIC_URL"] = "practice://?ring=1s", url
		if lines := faultsOf(t, vars); (lines == nil) != ok {
			t.Errorf("%s: %q", url, lines)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vars := good()
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "PBX_URL", "SECRET_KEY", "SMTP_URL", "DEMO_PASSWORD"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(vars[name]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		vars[name+"_FILE"] = path
		delete(vars, name)
	}
	whole, err := config.Load(environ(good()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(environ(vars))
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL != whole.DatabaseURL || c.RedisURL != whole.RedisURL || c.PBXURL != whole.PBXURL || c.SMTPURL != whole.SMTPURL ||
		c.DemoPassword != canary || len(c.Keys()) != 2 {
		t.Error("a file was read otherwise")
	}
	both := maps.Clone(vars)
	both["SECRET_KEY"] = key
	if lines := faultsOf(t, both); len(lines) != 1 || !strings.Contains(lines[0], "SECRET_KEY_FILE") {
		t.Errorf("both: %q", lines)
	}
	vars["REDIS_URL_FILE"] = filepath.Join(dir, canary)
	if lines := faultsOf(t, vars); len(lines) != 1 || !strings.Contains(lines[0], "REDIS_URL_FILE") {
		t.Errorf("no file: %q", lines)
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	c, err := config.Load(environ(good()))
	if err != nil {
		t.Fatal(err)
	}
	masked := c.Masked()
	for name, value := range masked {
		if strings.Contains(value, canary) || strings.Contains(value, key[:8]) {
			t.Errorf("%s prints %q", name, value)
		}
	}
	for name, want := range map[string]string{
		"DATABASE_URL": "postgres://***@db.example/ctd", "REDIS_URL": "redis://***@redis.example:6379/0", "PBX_URL": "ami://***@pbx.example:5038",
		"SECRET_KEY": "***", "DEMO_PASSWORD": "***", "SMTP_URL": "smtps://***@mail.example", "PUBLIC_URL": "https://dial.example",
		"HISTORY_MAX_AGE": "2160h0m0s", "PRIVACY_CONTACT": "",
	} {
		if masked[name] != want {
			t.Errorf("%s prints %q, want %q", name, masked[name], want)
		}
	}
	for _, odd := range []string{"host=x password=" + canary, "secret-" + canary + "@host/db", "postgres:" + canary, "postgres://u:1/" + canary + "@host/db", "%zz" + canary} {
		vars := good()
		vars["DATABASE_URL"] = odd
		c, _ := config.Load(environ(vars)) // its faults are told elsewhere
		if got := c.Masked()["DATABASE_URL"]; strings.Contains(got, canary) {
			t.Errorf("prints %q", got)
		}
	}
}

func TestNeed(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Need("DATABASE_URL", "REDIS_URL", "PBX_URL", "SECRET_KEY")
	var f *config.Faults
	if !errors.As(err, &f) || len(f.Lines) != 4 {
		t.Errorf("%v", err)
	}
	c, err = config.Load(environ(good()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Need("DATABASE_URL", "REDIS_URL", "PBX_URL", "SECRET_KEY"); err != nil {
		t.Error(err)
	}
}
