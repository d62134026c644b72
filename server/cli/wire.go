package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/config"
	"clicktodial/server/live"
	"clicktodial/server/logfile"
	"clicktodial/server/mail"
	"clicktodial/server/pbx"
	"clicktodial/server/pbx/ami"
	"clicktodial/server/pbx/practice"
	"clicktodial/server/policy"
	"clicktodial/server/retention"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

const sealPBX = "pbx url"

// newLog writes JSON lines to standard error.
func (r *run) newLog() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(r.cfg.LogLevel)) // config has checked it
	return slog.New(slog.NewJSONHandler(r.errOut, &slog.HandlerOptions{Level: level}))
}

// openLogFiles has log lines written to LOG_DIR too; nil when it is not set.
func (r *run) openLogFiles() (*logfile.Dir, error) {
	if r.cfg.LogDir == "" {
		return nil, nil //nolint:nilnil // no files is an answer here
	}
	files, err := logfile.Open(r.cfg.LogDir, r.cfg.LogAnonymiseAfter, r.cfg.LogDeleteAfter, time.Now)
	if err != nil {
		return nil, &config.Faults{Lines: []string{"LOG_DIR cannot be written: " + err.Error()}}
	}
	r.errOut = io.MultiWriter(r.errOut, files)
	return files, nil
}

func (r *run) openDB() (*store.DB, error) {
	if err := r.cfg.Need("DATABASE_URL"); err != nil {
		return nil, err
	}
	db, err := store.Open(r.cfg.DatabaseURL, r.cfg.DatabaseConns)
	if err != nil {
		return nil, &config.Faults{Lines: []string{err.Error()}}
	}
	return db, nil
}

// withDB runs fn on the database, for commands that need nothing else.
func (r *run) withDB(fn func(*store.DB) error) error {
	db, err := r.openDB()
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the command is over
	return fn(db)
}

func (r *run) keys() (*secret.Keys, error) {
	if err := r.cfg.Need("SECRET_KEY"); err != nil {
		return nil, err
	}
	return secret.NewKeys(r.cfg.Keys())
}

// withLedger runs fn on the database, and has what it erased or revoked written to
// the ledger outside. Without ERASURE_LEDGER a running replica does that.
func (r *run) withLedger(db *store.DB, fn func() error) error {
	err := fn()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), ledgerLimit)
	defer cancel()
	retention.NewLedger(db, r.cfg.ErasureLedger, r.newLog()).Flush(ctx)
	return err
}

// ledgerLimit bounds a command's wait for the ledger.
const ledgerLimit = 10 * time.Second

// withAuth runs fn with what signs people in and out, for commands that need no
// PBX. Redis is asked where REDIS_URL is set; without it, or when it is away, the
// running replicas read of a revocation in Postgres.
func (r *run) withAuth(fn func(*store.DB, *auth.Service) error) error {
	return r.withDB(func(db *store.DB) error {
		s := &auth.Service{DB: db, PublicURL: r.cfg.PublicURL, Grace: r.cfg.ContractGrace, Now: time.Now, Log: r.newLog()}
		if len(r.cfg.Keys()) > 0 {
			keys, err := r.keys()
			if err != nil {
				return err
			}
			s.Keys = keys
		}
		if r.cfg.RedisURL == "" {
			return r.withLedger(db, func() error { return fn(db, s) })
		}
		redis, err := live.Open(r.cfg.RedisURL, r.cfg.RedisPrefix)
		if err != nil {
			return &config.Faults{Lines: []string{err.Error()}}
		}
		defer redis.Close() //nolint:errcheck // the command is over
		s.Redis, s.Cache = redis, live.NewTokenCache(redis)
		return r.withLedger(db, func() error { return fn(db, s) })
	})
}

// openPBX makes the adapter of a PBX URL's kind; name says where the URL is from.
func openPBX(name, url string, log *slog.Logger) (pbx.Adapter, error) {
	kind, _, _ := strings.Cut(url, "://")
	var line pbx.Adapter
	var err error
	switch kind {
	case "practice":
		line, err = practice.Open(url, log)
	case "ami", "amis":
		line, err = ami.Open(url, log)
	default:
		err = errors.New("it begins with practice://, ami:// or amis://")
	}
	if err != nil { // of our own words: adapters do not repeat their URL
		return nil, &config.Faults{Lines: faultLines(name, err)}
	}
	return line, nil
}

func faultLines(name string, err error) (lines []string) {
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, name+": "+strings.TrimSpace(line))
	}
	return lines
}

// services is everything that takes calls.
type services struct {
	db      *store.DB
	redis   *live.Redis
	fanout  *live.Fanout
	keys    *secret.Keys
	lines   *call.Lines
	calls   *call.Service
	auth    *auth.Service
	rights  *retention.Privacy
	company *call.Company
	ledger  *retention.Ledger
	restamp *retention.RestampJob
	chooser *retention.Chooser
	log     *slog.Logger
}

func (r *run) newServices() (*services, error) {
	if err := r.cfg.Need("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PBX_URL"); err != nil {
		return nil, err
	}
	s := &services{log: r.newLog()}
	own, err := openPBX("PBX_URL", r.cfg.PBXURL, s.log)
	if err != nil {
		return nil, err
	}
	if s.keys, err = r.keys(); err != nil {
		return nil, err
	}
	if s.db, err = r.openDB(); err != nil {
		return nil, err
	}
	if s.redis, err = live.Open(r.cfg.RedisURL, r.cfg.RedisPrefix); err != nil {
		return nil, &config.Faults{Lines: []string{err.Error()}}
	}
	s.ledger = retention.NewLedger(s.db, r.cfg.ErasureLedger, s.log)
	s.fanout = live.NewFanout(s.redis)
	s.lines = call.NewLines(own, s.openTenantPBX, s.log)
	s.auth = &auth.Service{
		DB: s.db, Redis: s.redis, Cache: live.NewTokenCache(s.redis), Keys: s.keys, PublicURL: r.cfg.PublicURL, Grace: r.cfg.ContractGrace, Now: time.Now, Log: s.log,
		OnEnded: func(ctx context.Context, grants []uuid.UUID) { s.calls.EndRevoked(ctx, grants) },
	}
	if s.auth.Mail, err = r.newMailer(); err != nil {
		return nil, err
	}
	index := live.NewTTLIndex(s.redis)
	s.rights = privacy(s.db, index, s.keys, s.auth, s.log)
	s.company = &call.Company{DB: s.db, Index: index, Keys: s.keys, Now: time.Now}
	s.calls, err = call.New(call.Parts{
		DB: s.db, Index: index, Fanout: s.fanout, Lines: s.lines,
		Check: policy.Default.Check, Keys: s.keys, MaxAge: r.cfg.HistoryMaxAge, Now: time.Now, Log: s.log,
	})
	s.wireRetention(r.cfg.HistoryMaxAge)
	return s, err
}

// privacy answers data subjects.
func privacy(db *store.DB, index *live.TTLIndex, keys *secret.Keys, people *auth.Service, log *slog.Logger) *retention.Privacy {
	return &retention.Privacy{
		DB: db, Index: index, Keys: keys, Now: time.Now, Log: log, EndSignIns: people.EndSignIns, ChangePerson: people.ChangePerson,
	}
}

// wireRetention lets a change of retention wake the job that sees to it.
func (s *services) wireRetention(ceiling time.Duration) {
	wake := make(chan struct{}, 1)
	s.restamp = &retention.RestampJob{DB: s.db, Index: live.NewTTLIndex(s.redis), Ceiling: ceiling, Log: s.log, Wake: wake}
	s.chooser = &retention.Chooser{DB: s.db, Ceiling: ceiling, Wake: func() {
		select {
		case wake <- struct{}{}:
		default: // it is about to look
		}
	}}
}

// newMailer gives nil where SMTP_URL is not set: links are shown instead.
func (r *run) newMailer() (auth.Mailer, error) {
	if r.cfg.SMTPURL == "" {
		return nil, nil //nolint:nilnil // no mail is an answer here
	}
	sender, err := mail.New(r.cfg.SMTPURL, r.cfg.PublicURL)
	if err != nil {
		return nil, &config.Faults{Lines: []string{err.Error()}}
	}
	return sender.Link, nil
}

// openTenantPBX opens a tenant's own PBX, whose URL is sealed in the database.
func (s *services) openTenantPBX(ctx context.Context, id uuid.UUID) (pbx.Adapter, error) {
	sealed, err := s.db.PBXURL(ctx, id)
	if err != nil {
		return nil, err
	}
	url, err := s.keys.Open(sealPBX, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening a PBX connection: %w", err)
	}
	return openPBX("the tenant's PBX URL", string(url), s.log)
}

func (s *services) close() {
	_ = s.fanout.Close() // the process ends
	_ = s.redis.Close()
	_ = s.db.Close()
}
