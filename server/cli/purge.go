package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"clicktodial/server/config"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

type purgeCmd struct {
	Once   bool `help:"Delete all that is due now, and exit (the default)." xor:"how"`
	DryRun bool `help:"Only say what is due." xor:"how"`
}

const (
	purgePatience = time.Minute
	progressEvery = 2 * time.Second
)

// newPurge makes the purge job; redis may be nil.
func (r *run) newPurge(db *store.DB, redis *live.Redis) *retention.PurgeJob {
	job := &retention.PurgeJob{
		DB: db, Interval: r.cfg.PurgeInterval, Log: r.newLog(),
		Kept: store.PurgeTimes{Anonymise: r.cfg.LogAnonymiseAfter, Audit: r.cfg.AuditDeleteAfter},
	}
	if redis != nil {
		job.Index = live.NewTTLIndex(redis)
	}
	return job
}

// Run purges. Redis is told where REDIS_URL is set, and when it is there.
func (c *purgeCmd) Run(r *run) error {
	return r.withDB(func(db *store.DB) error {
		if c.DryRun {
			return r.printDue(r.newPurge(db, nil))
		}
		var redis *live.Redis
		if r.cfg.RedisURL != "" {
			var err error
			if redis, err = live.Open(r.cfg.RedisURL, r.cfg.RedisPrefix); err != nil {
				return &config.Faults{Lines: []string{err.Error()}}
			}
			defer redis.Close() //nolint:errcheck // the command is over
		}
		job := r.newPurge(db, redis)
		job.Patience = purgePatience
		job.Waiting = func() {
			fmt.Fprintf(r.errOut, "another purge is under way; waiting for it, %s at most\n", purgePatience)
		}
		job.Deleted = r.progress()
		done, err := job.Once(r.ctx)
		if err != nil && !done.Interrupted {
			return err
		}
		if err := r.print(done, func(w io.Writer) {
			fmt.Fprintf(w, "deleted %d calls and %d other records in %.1f s\n", done.Calls, done.Others, done.Seconds)
		}); err != nil {
			return err
		}
		if r.ctx.Err() != nil {
			fmt.Fprintln(r.errOut, "stopped before all that is due had gone")
			return &printedError{}
		}
		return err
	})
}

// progress tells people how far a long run has come, each progressEvery.
func (r *run) progress() func(calls, others int64) {
	if r.json && !isTerminal(r.errOut) {
		return nil
	}
	began, last := time.Now(), time.Now()
	var all atomic.Int64
	return func(calls, others int64) {
		n := all.Add(calls + others)
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(r.errOut, "deleted %d records so far, %.0f a second\n", n, float64(n)/time.Since(began).Seconds())
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r *run) printDue(job *retention.PurgeJob) error {
	due, err := job.Due(r.ctx)
	if err != nil {
		return err
	}
	overdue := time.Duration(due.OverdueSeconds) * time.Second
	object := map[string]any{
		"due": due.Calls, "overdueSeconds": due.OverdueSeconds, "refusals": due.Refusals, "audit": due.Audit, "anonymise": due.Anonymise,
		"signIns": due.Grants, "users": due.Users, "contracts": due.Contracts,
	}
	return r.print(object, func(w io.Writer) {
		fmt.Fprintf(w, "%d calls are due", due.Calls)
		if due.Calls > 0 {
			fmt.Fprintf(w, ", the oldest for %s", overdue)
		}
		fmt.Fprintf(w, "\n%d refusals, %d audit entries, %d sign-ins and %d users who left are due\n", due.Refusals, due.Audit, due.Grants, due.Users)
		fmt.Fprintf(w, "%d audit entries are to be made anonymous\n", due.Anonymise)
		fmt.Fprintf(w, "%d ended contracts are to be wiped\n", due.Contracts)
	})
}

type purgeVerifyCmd struct {
	Entries bool   `help:"Print the entries, a line of JSON each, to recompute them elsewhere: head -1 | jq -cj 'del(.hash)' | sha256sum"`
	Head    string `help:"A head that was written down earlier, 64 hexadecimal digits: it must be in the chain."`
}

var headForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Run verifies the chain of evidence. One that is broken is exit 1.
func (c *purgeVerifyCmd) Run(r *run) error {
	if c.Head != "" && !headForm.MatchString(c.Head) {
		return &usageError{"--head is 64 hexadecimal digits"}
	}
	look := retention.Look{Known: c.Head}
	if c.Entries {
		lines := json.NewEncoder(r.out)
		look.Each = func(e store.Entry) error { return lines.Encode(e) }
	}
	return r.withDB(func(db *store.DB) error {
		chain, err := retention.Verify(r.ctx, db, look)
		if err != nil {
			return err
		}
		if !c.Entries {
			if err := r.print(chain, func(w io.Writer) { printChain(w, chain) }); err != nil {
				return err
			}
		}
		if !chain.OK {
			fmt.Fprintln(r.errOut, "clicktodial: the chain of evidence does not hold:", chain.Broken)
			return &printedError{}
		}
		return nil
	})
}

func printChain(w io.Writer, c retention.Chain) {
	if c.Entries == 0 {
		fmt.Fprintln(w, "no entry of evidence")
		return
	}
	fmt.Fprintf(w, "%d entries hold, from %s to %s\n", c.Entries, c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	fmt.Fprintf(w, "%d runs of the purge; in all %d calls and %d other records have gone\n", c.Runs, c.Calls, c.Others)
	if c.Interrupted > 0 {
		fmt.Fprintf(w, "%d runs were interrupted, and made up for\n", c.Interrupted)
	}
	for _, of := range []struct {
		n    int64
		what string
	}{{c.Erasures, "times a person's records were erased on request"}, {c.Contracts, "ended contracts were wiped"}, {c.Restores, "times a restored database was checked"}} {
		if of.n > 0 {
			fmt.Fprintf(w, "%d %s\n", of.n, of.what)
		}
	}
	fmt.Fprintln(w, "the head of each day (UTC):")
	for _, h := range c.Heads {
		fmt.Fprintf(w, "  %s  %s  entry %d\n", h.Day, h.Hash, h.N)
	}
}
