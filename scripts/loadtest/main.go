// Command loadtest measures the service and prints the performance table. It is
// started by scripts/bench, which gives it a Postgres, a Redis and, where there
// can be one, an Asterisk of its own.
//
// Each figure stands beside a yardstick that was measured in turn with it, in
// the same run on the same machine: the ratio means something where the figure
// alone does not. The server is the built program in a process of its own; the
// load comes over real connections (client.go), the PBX is silent.go, the
// practice exchange, or Asterisk behind a tap (tap.go). Where the yardstick is a
// server, it is this program once more (bare.go), so that it shares the machine
// with the load just as the measured one does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
)

// setup is what scripts/bench says.
type setup struct {
	Server   string `env:"BENCH_SERVER,required"` // the built program
	PGBench  string `env:"BENCH_PGBENCH,required"`
	Database string `env:"DATABASE_URL,required"`
	Admin    string `env:"BENCH_ADMIN_URL,required"` // the superuser's: seeds, truncates, counts
	Redis    string `env:"REDIS_URL,required"`
	Lab      string `env:"BENCH_LAB"`   // lab.json of scripts/asterisk; "" when there is none
	NoLab    string `env:"BENCH_NOLAB"` // why there is none
	Dir      string `env:"BENCH_DIR,required"`
	Quick    bool   `env:"BENCH_QUICK"`
	Only     string `env:"BENCH_ONLY"` // one of the measures; "" for all: for who works on it
	Rows     int    `env:"BENCH_ROWS"` // of the large history; 0: the plan's
}

// plan is how long and how often.
type plan struct {
	rounds  int
	load    time.Duration // one run of pgbench, of accepted calls, of practice calls
	warm    time.Duration
	paced   time.Duration // one run against Asterisk
	read    time.Duration // one run of GET /v1/me or of its yardsticks
	revoked int           // sign-ins ended, and as many races
	tenants int
	people  int // each may have two calls up at once, so twice as many calls a run
	sockets int // users of one run against Asterisk, each with a WebSocket

	few, many int           // calls of a small and of a large history
	callers   int           // users of the large one: each may have two calls up at once, so twice as many clicks a phase
	alone     time.Duration // paced calls with nothing beside them, at a time
}

func (s setup) plan() plan {
	p := plan{
		rounds: 7, load: 3 * time.Second, warm: time.Second, paced: 6 * time.Second, read: 2 * time.Second,
		revoked: 1000, tenants: 100, people: 15_000, sockets: 50,
		few: 10_000, many: 5_000_000, callers: 12_000, alone: time.Minute,
	}
	if s.Quick {
		p = plan{
			rounds: 1, load: time.Second, warm: 300 * time.Millisecond, paced: 3 * time.Second, read: time.Second,
			revoked: 50, tenants: 50, people: 5_000, sockets: 50,
			few: 10_000, many: 20_000, callers: 1_000, alone: 2 * time.Second,
		}
	}
	if s.Rows > 0 {
		p.many = s.Rows
	}
	return p
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	work := run
	if len(os.Args) > 1 && os.Args[1] == yardstickCommand {
		work = serveYardstick
	}
	if err := work(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1) //nolint:gocritic // stop() only undoes the signals
	}
}

func run(ctx context.Context) error {
	var s setup
	if err := env.Parse(&s); err != nil {
		return err
	}
	b := &bench{setup: s, plan: s.plan()}
	defer b.close()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var failed []error // what was measured is not lost for it
	for _, measure := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"throughput", b.throughput}, {"latency", b.latency}, {"reading", b.reading}, {"revoking", b.revoking}, {"racing", b.racing},
		{"history", b.history},
	} {
		if b.Only != "" && b.Only != measure.name {
			continue
		}
		if err := measure.do(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", measure.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(failed, b.print(context.WithoutCancel(ctx), os.Stdout))...)
}

// bench is one run of everything.
type bench struct {
	setup
	plan
	data    *database
	results []result
	notes   []string // what the table alone would not say
}

func (b *bench) close() {
	if b.data != nil {
		b.data.close()
	}
}

func (b *bench) prepare(ctx context.Context) (err error) {
	progress("migrating and filling the database")
	if err := b.migrate(ctx); err != nil {
		return err
	}
	b.data, err = openDatabase(ctx, b.Admin)
	if err != nil {
		return err
	}
	return b.data.seed(ctx, b.tenants, b.people)
}

// progress is for who waits; the table alone goes to standard output.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
