package cli

import (
	"fmt"
	"io"

	"clicktodial/server/retention"
	"clicktodial/server/store"
)

type purgeCmd struct {
	Once   bool `help:"Delete all that is due now, and exit (the default)."`
	DryRun bool `help:"Only say how many calls are due."`
}

// Run purges.
func (c *purgeCmd) Run(r *run) error {
	return r.withDB(func(db *store.DB) error {
		job := &retention.PurgeJob{DB: db, Interval: r.cfg.PurgeInterval, Log: r.newLog()}
		if c.DryRun {
			due, err := job.Due(r.ctx)
			if err != nil {
				return err
			}
			return r.print(map[string]any{"due": due}, func(w io.Writer) { fmt.Fprintf(w, "%d calls are due\n", due) })
		}
		done, err := job.Once(r.ctx)
		if err != nil {
			return err
		}
		return r.print(done, func(w io.Writer) { fmt.Fprintf(w, "deleted %d calls and %d used-up keys\n", done.Calls, done.Keys) })
	})
}
