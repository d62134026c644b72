package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// Lease is a job that one replica at a time does, in a role of its own. Postgres's
// clock decides who has it, so that a replica whose own clock is wrong, or that
// was asleep, takes nothing from another.
type Lease struct {
	name string
	role dbRole
}

// The leases of migrations/0006_retention.sql.
var (
	PurgeLease   = Lease{"purge", rolePurger}
	RestampLease = Lease{"restamp", roleRetention}
)

// LeaseFor is how long a lease is had without being kept: a dead holder holds
// nobody up for longer. What is done between two keeps must take less.
const LeaseFor = 3 * time.Second

// ErrLeaseLost says that another has taken the lease meanwhile; what was done in
// the transaction that finds out is undone.
var ErrLeaseLost = fault.New(fault.Conflict, "lease-lost", "Another server has taken this work over: this run was too slow.")

// Term is a lease that is held. Its number only grows, so that a holder that was
// too slow changes nothing any more.
type Term struct {
	N         int64
	StartedAt time.Time

	lease Lease
}

// Want is who asks for a lease, and how often its run is due.
type Want struct {
	Holder uuid.UUID
	Every  time.Duration // from the start of a run to the start of the next
	AtOnce bool          // a run now, due or not
}

// free says that nobody has the lease: its time has run out, or Postgres's clock
// was set back. due says that a run is due, or that one was left behind.
const (
	free = "clock_timestamp() NOT BETWEEN until - make_interval(secs => @for) AND until"
	due  = "(@now OR started_at IS NOT NULL OR clock_timestamp() NOT BETWEEN next_at - make_interval(secs => @every) AND next_at)"
)

// take gives the lease when it is free and its run is due; had is false when it
// is not, and that is no error. left, if not nil, is told in the same transaction
// of a run that was left behind: when it began, and what it had done.
func (d *DB) take(ctx context.Context, l Lease, w Want, left func(*gorm.DB, models.Lease) error) (t Term, had bool, err error) {
	args := map[string]any{
		"name": l.name, "holder": w.Holder, "for": LeaseFor.Seconds(), "every": w.Every.Seconds(), "now": w.AtOnce,
	}
	err = d.as(ctx, l.role, uuid.Nil, func(tx *gorm.DB) error {
		var was []models.Lease // SKIP LOCKED: whoever has locked the row is busy with it
		err := tx.Raw("SELECT name, term, started_at, calls, others FROM leases WHERE name = @name AND "+
			free+" AND "+due+" FOR UPDATE SKIP LOCKED", args).Scan(&was).Error
		if err != nil || len(was) == 0 {
			return err
		}
		if was[0].StartedAt != nil && left != nil {
			if err := left(tx, was[0]); err != nil {
				return err
			}
		}
		had = true
		t = Term{N: was[0].Term + 1, lease: l}
		return tx.Raw(`UPDATE leases SET holder = @holder, term = term + 1, started_at = clock_timestamp(), calls = 0, others = 0,
			until = clock_timestamp() + make_interval(secs => @for), next_at = clock_timestamp() + make_interval(secs => @every)
			WHERE name = @name RETURNING started_at`, args).Scan(&t.StartedAt).Error
	})
	return t, had && err == nil, err
}

// keep has the lease for another LeaseFor and adds to what the run has done: the
// last statement of each of its transactions, which ErrLeaseLost undoes.
func (t Term) keep(tx *gorm.DB, calls, others int64) error {
	return t.lost(t.keeping(tx, calls, others))
}

func (t Term) keeping(tx *gorm.DB, calls, others int64) *gorm.DB {
	return tx.Exec(`UPDATE leases SET until = clock_timestamp() + make_interval(secs => ?), calls = calls + ?, others = others + ?
		WHERE name = ? AND term = ? AND started_at IS NOT NULL`, LeaseFor.Seconds(), calls, others, t.lease.name, t.N)
}

// hold locks the lease until the transaction ends, so that nobody takes it meanwhile;
// no row: it was taken.
func (t Term) hold(tx *gorm.DB) *gorm.DB {
	return tx.Exec("SELECT FROM leases WHERE name = ? AND term = ? AND started_at IS NOT NULL FOR UPDATE", t.lease.name, t.N)
}

// state gives what the run has done so far, and locks it.
func (t Term) state(tx *gorm.DB) (row models.Lease, err error) {
	res := tx.Raw("SELECT name, term, started_at, calls, others FROM leases WHERE name = ? AND term = ? AND started_at IS NOT NULL FOR UPDATE", t.lease.name, t.N).Scan(&row)
	return row, t.lost(res)
}

// release ends the run: the lease is free, and the next run is due at its time.
func (t Term) release(tx *gorm.DB) error {
	return t.lost(tx.Exec(`UPDATE leases SET holder = NULL, until = '-infinity', started_at = NULL, calls = 0, others = 0
		WHERE name = ? AND term = ?`, t.lease.name, t.N))
}

func (t Term) lost(res *gorm.DB) error {
	if res.Error == nil && res.RowsAffected == 0 {
		return ErrLeaseLost
	}
	return res.Error
}
