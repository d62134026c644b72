package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"clicktodial/server/api"
	"clicktodial/server/call"
	"clicktodial/server/console"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

type serveCmd struct{}

const (
	startLimit = 30 * time.Second // how long Postgres may take to appear
	drainLimit = 10 * time.Second
	clockSkew  = 250 * time.Millisecond
	indexLook  = 10 * time.Second // at most, between two looks whether the index is whole
)

// Run serves until it is told to stop.
func (*serveCmd) Run(r *run) error {
	files, err := r.openLogFiles()
	if err != nil {
		return err
	}
	s, err := r.newServices()
	if err != nil {
		return err
	}
	defer s.close()
	settleMemory()
	if err := s.checkDatabase(r.ctx); err != nil {
		return err
	}
	if err := s.ledger.Open(r.ctx); err != nil {
		return err
	}
	if err := s.restamp.Prepare(r.ctx); err != nil {
		return err
	}
	s.checkRedis(r.ctx)
	m := newMetrics(s)
	closing := make(chan struct{})
	app, _ := r.newApp(s, m.observe, closing)
	public, err := net.Listen("tcp", r.cfg.Listen)
	if err != nil {
		return cannotListen(err)
	}
	inside, err := net.Listen("tcp", r.cfg.MetricsListen)
	if err != nil {
		_ = public.Close() // nobody has connected yet
		return cannotListen(err)
	}
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	start := func(fn func(context.Context) error) { work.Go(func() { _ = fn(ctx) }) } // they end with ctx, and log what goes wrong
	start(s.calls.Run)
	purge := r.newPurge(s.db, s.redis)
	purge.Deleted, purge.Ended = m.purged, m.purgeEnded
	start(purge.Run)
	start(s.restamp.Run)
	start(s.auth.Run)
	if files != nil {
		defer files.Close() //nolint:errcheck // the process ends
		start(func(ctx context.Context) error { return files.Run(ctx, s.log) })
	}
	restored := make(chan error, 1)
	work.Go(func() { restored <- s.ledger.Run(ctx) })
	start((&call.IndexJob{DB: s.db, Index: s.calls.Index, Every: min(r.cfg.PurgeInterval, indexLook), Now: time.Now, Log: s.log}).Run)
	metrics := &http.Server{Handler: m.handler(), ReadHeaderTimeout: 5 * time.Second}
	work.Go(func() { _ = metrics.Serve(inside) })
	served := make(chan error, 1)
	go func() { served <- app.Listener(public) }()
	s.log.Info("serving", "listen", public.Addr().String(), "replica_id", s.calls.Replica)
	select {
	case err = <-served:
	case err = <-restored: // nobody may be served any longer
	case <-r.ctx.Done():
	}
	s.log.Info("stopping")
	close(closing) // sockets say goodbye
	_ = app.ShutdownWithTimeout(drainLimit)
	_ = metrics.Close()
	stop()
	work.Wait()
	return err
}

// settleMemory has garbage collected less often: the heap is some 10 MB, so that at
// Go's own setting collecting took an eighth of the processor's time under load. Passwords are
// worked on in 64 MiB at a time, hence the limit. GOGC and GOMEMLIMIT win.
func settleMemory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(400)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(512 << 20)
	}
}

func cannotListen(err error) error {
	return fault.Wrap(err, fault.Conflict, "listen-failed",
		"The address of LISTEN or METRICS_LISTEN cannot be listened on; is something else using the port?")
}

// newApp puts the routes together.
func (r *run) newApp(s *services, observe func(string, int, time.Duration), closing <-chan struct{}) (*fiber.App, huma.API) {
	app := web.New(web.Options{
		PublicURL: r.cfg.PublicURL, ExtensionIDs: r.cfg.ExtensionIDs, TrustedProxies: r.cfg.TrustedProxies,
		Log: s.log, Now: time.Now, Observe: observe,
	})
	described := (&api.API{
		Calls: s.calls, Company: s.company, Auth: s.auth, Privacy: s.rights, Chooser: s.chooser, Ready: s.ready, MaxAge: r.cfg.HistoryMaxAge,
		Origin: web.OwnOrigin(r.cfg.PublicURL, r.cfg.ExtensionIDs), Now: time.Now, Log: s.log, Closing: closing,
	}).Register(app)
	if r.cfg.Loopback() {
		console.RegisterDemo(app)
	}
	(&console.Console{
		Auth: s.auth, Calls: s.calls, Company: s.company, Privacy: s.rights, Chooser: s.chooser, Notice: settingsOf(r.cfg), Now: time.Now, Log: s.log,
	}).Register(app)
	return app, described
}

// checkDatabase waits for Postgres, and refuses a login or schema that would not do.
func (s *services) checkDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.db.CheckLogin(ctx)
		if err == nil {
			break
		}
		if !waitable(err) {
			return err
		}
		s.log.Warn("waiting for Postgres")
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
	current, err := s.db.Schema(ctx)
	if err != nil && waitable(err) {
		return err
	}
	if err != nil || !current { // what was never migrated has not even a version
		return fault.Wrap(err, fault.Conflict, "schema-outdated", "The database is not at the newest schema: run `migrate` first.")
	}
	return nil
}

func waitable(err error) bool { return web.StatusOf(err) == http.StatusServiceUnavailable }

// checkRedis warns: without Redis calls go through, but not with one that forgets.
func (s *services) checkRedis(ctx context.Context) {
	policy, err := s.redis.Policy(ctx)
	switch {
	case err != nil:
		s.log.Warn("Redis cannot be asked; calls go through without it", "error", err)
	case policy != "noeviction":
		s.log.Error("Redis must have maxmemory-policy noeviction, or it drops what is still due", "policy", policy)
	}
}

// ready asks each dependency.
func (s *services) ready(ctx context.Context) []api.Dependency {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	dep := func(name string, required bool, err error, detail string) api.Dependency {
		if err == nil {
			detail = ""
		}
		return api.Dependency{Name: name, OK: err == nil, Required: required, Detail: detail}
	}
	skew, err := s.db.ClockSkew(ctx, time.Now)
	clock := err
	if err == nil && skew.Abs() > clockSkew {
		clock = errors.New("skewed")
	}
	deps := []api.Dependency{dep("postgres", true, err, "cannot be reached")}
	if err == nil {
		deps = append(deps, dep("clock", true, clock, "differs from Postgres's by more than 250 ms"), s.schemaReady(ctx))
	}
	if s.ledger.Kept() {
		deps = append(deps, dep("ledger", false, s.ledger.Failing(), "cannot be written; erasures hold, and their lines wait"))
	}
	return append(deps, s.redisReady(ctx),
		dep("pbx", false, s.lines.Up(), "the line is down; new calls are refused"))
}

// redisReady tells of a Redis that forgets, too; calls go through with it.
func (s *services) redisReady(ctx context.Context) api.Dependency {
	d := api.Dependency{Name: "redis", OK: s.redis.Ping(ctx) == nil}
	if !d.OK {
		d.Detail = "cannot be reached; calls go through without it"
	} else if policy, err := s.redis.Policy(ctx); err == nil && policy != "noeviction" {
		d.Detail = "its maxmemory-policy is not noeviction: it may drop what is still due"
	}
	return d
}

func (s *services) schemaReady(ctx context.Context) api.Dependency {
	current, err := s.db.Schema(ctx)
	d := api.Dependency{Name: "schema", OK: err == nil && current, Required: true}
	if !d.OK {
		d.Detail = "not at the newest step"
	}
	return d
}

type openAPICmd struct{}

// Run prints the document; it needs no database.
func (*openAPICmd) Run(r *run) error {
	app := web.New(web.Options{PublicURL: r.cfg.PublicURL, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	described := (&api.API{Origin: func(string) bool { return false }}).Register(app)
	body, err := described.OpenAPI().MarshalJSON()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.out, "%s\n", body)
	return err
}
