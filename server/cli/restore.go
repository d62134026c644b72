package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"clicktodial/server/config"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

type restoreCheckCmd struct {
	Adopt bool `help:"Take the ledger over although it is of another installation: the dump is older than the ledger."`
}

// Run makes a restored database safe to open. No replica may be serving.
func (c *restoreCheckCmd) Run(r *run) error {
	if err := r.cfg.Need("DATABASE_URL", "SECRET_KEY", "ERASURE_LEDGER"); err != nil {
		return err
	}
	keys, err := r.keys()
	if err != nil {
		return err
	}
	return r.withDB(func(db *store.DB) error {
		log := r.newLog()
		check := &retention.RestoreCheck{
			DB: db, Keys: keys, Ledger: r.cfg.ErasureLedger, Adopt: c.Adopt, Now: time.Now, Log: log,
			Purge: func(ctx context.Context) (int64, error) {
				job := r.newPurge(db, nil)
				job.Patience = purgePatience
				done, err := job.Once(ctx)
				return done.Calls, err
			},
		}
		if r.cfg.RedisURL != "" {
			redis, err := live.Open(r.cfg.RedisURL, r.cfg.RedisPrefix)
			if err != nil {
				return &config.Faults{Lines: []string{err.Error()}}
			}
			defer redis.Close() //nolint:errcheck // the command is over
			check.Wipe = redis.Wipe
		}
		return r.withLedger(db, func() error { return c.report(r, check) })
	})
}

func (c *restoreCheckCmd) report(r *run, check *retention.RestoreCheck) error {
	done, err := check.Run(r.ctx)
	if err != nil {
		return err
	}
	if check.Wipe == nil {
		fmt.Fprintln(r.errOut, "clicktodial: REDIS_URL is not set: empty that Redis before serving, it may hold sign-ins and records that this database does not know")
	}
	return r.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%d sign-ins ended, %d sessions closed\n", done.SignInsEnded, done.SessionsClosed)
		fmt.Fprintf(w, "%d entries of the ledger: %d records erased again, %d objections and %d restrictions stand\n",
			done.LedgerEntries, done.Erased, done.Objections, done.Restrictions)
		fmt.Fprintf(w, "%d records whose time had come were deleted\n", done.Purged)
	})
}
