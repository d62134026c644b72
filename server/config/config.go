// Package config is what the operator sets in the environment: one struct, read
// once, validated whole so that all faults are told at once, and printable with
// its secrets masked. Each secret may come from a file named by NAME_FILE.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is the whole configuration. Fields of parts that are still to come are
// read and checked already, so that an installation need not change.
type Config struct {
	DatabaseURL   string   `env:"DATABASE_URL" secret:"url"`
	RedisURL      string   `env:"REDIS_URL" secret:"url"`
	Listen        string   `env:"LISTEN" envDefault:"127.0.0.1:8080"`
	PublicURL     string   `env:"PUBLIC_URL"`
	MetricsListen string   `env:"METRICS_LISTEN" envDefault:"127.0.0.1:9090"`
	PBXURL        string   `env:"PBX_URL" secret:"url"`
	SecretKey     []string `env:"SECRET_KEY" secret:"all"`
	ExtensionIDs  []string `env:"EXTENSION_IDS"`
	DefaultRegion string   `env:"DEFAULT_REGION" envDefault:"NL"`

	HistoryMaxAge     time.Duration `env:"HISTORY_MAX_AGE" envDefault:"2160h"`
	PurgeInterval     time.Duration `env:"PURGE_INTERVAL" envDefault:"1m"`
	LogAnonymiseAfter time.Duration `env:"LOG_ANONYMISE_AFTER" envDefault:"336h"`
	LogDeleteAfter    time.Duration `env:"LOG_DELETE_AFTER" envDefault:"2160h"`
	AuditDeleteAfter  time.Duration `env:"AUDIT_DELETE_AFTER" envDefault:"8760h"`
	ContractGrace     time.Duration `env:"CONTRACT_GRACE" envDefault:"2160h"`
	DataLocations     string        `env:"DATA_LOCATIONS"`
	PrivacyContact    string        `env:"PRIVACY_CONTACT"`
	ErasureLedger     string        `env:"ERASURE_LEDGER"`

	SMTPURL        string   `env:"SMTP_URL" secret:"url"`
	TrustedProxies []string `env:"TRUSTED_PROXIES"`
	LogLevel       string   `env:"LOG_LEVEL" envDefault:"info"`
	// LogDir is a folder for daily log files that end on time. Unset, serve logs to
	// standard error only, and whoever keeps that sees to LOG_ANONYMISE_AFTER and
	// LOG_DELETE_AFTER.
	LogDir       string `env:"LOG_DIR"`
	DemoPassword string `env:"DEMO_PASSWORD" secret:"all"`

	// RedisPrefix begins every key; only tests, which share one Redis, set it.
	RedisPrefix string `env:"REDIS_PREFIX" envDefault:"ctd:"`
	// DatabaseConns bounds the pool.
	DatabaseConns int `env:"DATABASE_CONNS" envDefault:"16"`

	keys [][]byte
}

// HistoryCeiling is the promise: 90 days. HISTORY_MAX_AGE may lower it.
const HistoryCeiling = 2160 * time.Hour

// Load reads and checks the environment (KEY=VALUE strings, as os.Environ). The
// error lists every fault, a line each, and repeats no value.
func Load(environ []string) (*Config, error) {
	vars := env.ToMap(environ)
	faults := readFiles(vars)
	c := &Config{}
	if err := env.ParseWithOptions(c, env.Options{Environment: vars}); err != nil {
		var all env.AggregateError
		if !errors.As(err, &all) {
			all.Errors = []error{err}
		}
		for _, e := range all.Errors {
			faults = append(faults, parseFault(e))
		}
	}
	c.setDefaults()
	for _, line := range c.check() {
		if !slices.ContainsFunc(faults, func(told string) bool { return variable(told) == variable(line) }) {
			faults = append(faults, line)
		}
	}
	if len(faults) > 0 {
		return c, &Faults{Lines: faults}
	}
	return c, nil
}

// Faults is all that is wrong with a configuration.
type Faults struct{ Lines []string }

// Error lists the faults, a line each.
func (f *Faults) Error() string {
	return "the configuration is not usable:\n  - " + strings.Join(f.Lines, "\n  - ")
}

// parseFault names the variable but not its value.
func parseFault(err error) string {
	var pe env.ParseError
	if errors.As(err, &pe) {
		kind := "whole number"
		if pe.Type == reflect.TypeFor[time.Duration]() {
			kind = "duration, such as 90s or 24h"
		}
		return fmt.Sprintf("%s must be a %s", fieldVar(pe.Name), kind)
	}
	return "a variable cannot be read"
}

// variable is what a fault's line begins with.
func variable(line string) string {
	name, _, _ := strings.Cut(line, " ")
	return name
}

var secretFiles = []string{"DATABASE_URL", "REDIS_URL", "PBX_URL", "SECRET_KEY", "SMTP_URL", "DEMO_PASSWORD"}

func readFiles(vars map[string]string) (faults []string) {
	for _, name := range secretFiles {
		path := vars[name+"_FILE"]
		if path == "" {
			continue
		}
		if vars[name] != "" {
			faults = append(faults, name+" and "+name+"_FILE are both set")
			continue
		}
		body, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil || len(body) > 64<<10 {
			faults = append(faults, "the file of "+name+"_FILE cannot be read")
			continue
		}
		vars[name] = strings.TrimSpace(string(body))
	}
	return faults
}

func (c *Config) setDefaults() {
	if c.PublicURL == "" {
		c.PublicURL = "http://" + c.Listen
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	for _, list := range [][]string{c.SecretKey, c.ExtensionIDs, c.TrustedProxies} {
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
	}
}

var (
	regionForm    = regexp.MustCompile(`^[A-Z]{2}$`)
	extensionForm = regexp.MustCompile(`^[a-p]{32}$`)
)

func (c *Config) check() (faults []string) {
	bad := func(ok bool, line string) {
		if !ok {
			faults = append(faults, line)
		}
	}
	public, err := url.Parse(c.PublicURL)
	bad(err == nil && public.Hostname() != "" && public.Path == "" && public.RawQuery == "" && public.Fragment == "" && public.User == nil &&
		(public.Scheme == "https" || public.Scheme == "http" && c.Loopback()),
		"PUBLIC_URL must be an https address without a path (http only for a loopback address)")
	bad(isListen(c.Listen), "LISTEN must be host:port")
	bad(isListen(c.MetricsListen), "METRICS_LISTEN must be host:port")
	bad(regionForm.MatchString(c.DefaultRegion), "DEFAULT_REGION must be two capital letters (ISO 3166)")
	bad(c.HistoryMaxAge > 0 && c.HistoryMaxAge <= HistoryCeiling, "HISTORY_MAX_AGE must be above 0 and at most 2160h: 90 days may be lowered, never raised")
	bad(c.PurgeInterval > 0, "PURGE_INTERVAL must be above 0")
	bad(c.LogAnonymiseAfter > 0, "LOG_ANONYMISE_AFTER must be above 0")
	bad(c.LogDeleteAfter > 0, "LOG_DELETE_AFTER must be above 0")
	bad(c.AuditDeleteAfter > 0, "AUDIT_DELETE_AFTER must be above 0")
	bad(c.ContractGrace > 0, "CONTRACT_GRACE must be above 0")
	bad(!slices.ContainsFunc(c.ExtensionIDs, func(id string) bool { return !extensionForm.MatchString(id) }),
		"EXTENSION_IDS must be ids of 32 letters a to p")
	bad(!slices.ContainsFunc(c.TrustedProxies, isNoNetwork), "TRUSTED_PROXIES must be addresses or networks")
	bad(slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "LOG_LEVEL must be debug, info, warn or error")
	bad(hasScheme(c.DatabaseURL, "postgres", "postgresql"), "DATABASE_URL must look like postgres://user:password@host/database")
	bad(hasScheme(c.RedisURL, "redis", "rediss", "unix"), "REDIS_URL must look like redis://:password@host:6379/0")
	bad(hasScheme(c.PBXURL, "practice", "ami", "amis"), "PBX_URL must begin with practice://, ami:// or amis://")
	bad(hasScheme(c.SMTPURL, "smtp", "smtps"), "SMTP_URL must look like smtps://user:password@host")
	bad(c.DatabaseConns >= 2 && c.DatabaseConns <= 500, "DATABASE_CONNS must be 2 to 500")
	bad(!strings.HasPrefix(c.PBXURL, "practice:") || c.Loopback(), "PBX_URL: a practice PBX rings nothing; it is refused where PUBLIC_URL is not a loopback address")
	return append(faults, c.readKeys()...)
}

func (c *Config) readKeys() (faults []string) {
	for _, text := range c.SecretKey {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != 32 {
			return []string{"SECRET_KEY must be 32 bytes in base64 (openssl rand -base64 32), or a list of such"}
		}
		c.keys = append(c.keys, key)
	}
	return nil
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isNoNetwork(text string) bool {
	_, errAddr := netip.ParseAddr(text)
	_, errNet := netip.ParsePrefix(text)
	return errAddr != nil && errNet != nil
}

// hasScheme says whether the text, if there is any, is a URL of one of these kinds.
func hasScheme(text string, schemes ...string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && slices.Contains(schemes, u.Scheme) && strings.HasPrefix(text, u.Scheme+"://")
}

// Need gives a fault for each named variable that is not set.
func (c *Config) Need(names ...string) error {
	set := map[string]bool{
		"DATABASE_URL": c.DatabaseURL != "", "REDIS_URL": c.RedisURL != "",
		"PBX_URL": c.PBXURL != "", "SECRET_KEY": len(c.SecretKey) > 0, "ERASURE_LEDGER": c.ErasureLedger != "",
	}
	var faults []string
	for _, name := range names {
		if !set[name] {
			faults = append(faults, name+" is not set")
		}
	}
	if len(faults) > 0 {
		return &Faults{Lines: faults}
	}
	return nil
}

// Keys are the decoded SECRET_KEYs; the first seals, all open.
func (c *Config) Keys() [][]byte { return c.keys }

// Loopback says whether PUBLIC_URL is of this machine only.
func (c *Config) Loopback() bool {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}
