package store

import (
	"context"

	"gorm.io/gorm"

	"clicktodial/models"
)

// SessionState gives the role and the tenant of a connection between transactions.
func (d *DB) SessionState(ctx context.Context) (role, tenant string, err error) {
	err = d.sql.QueryRowContext(ctx,
		"SELECT current_setting('role'), coalesce(current_setting('app.tenant_id', true), '')").Scan(&role, &tenant)
	return role, tenant, err
}

// TakeLease takes a lease; left is told of a run that was left behind.
func (d *DB) TakeLease(ctx context.Context, l Lease, w Want, left func(models.Lease)) (Term, bool, error) {
	return d.take(ctx, l, w, func(_ *gorm.DB, was models.Lease) error {
		left(was)
		return nil
	})
}

// KeepLease keeps a lease, as the end of a batch does.
func (d *DB) KeepLease(ctx context.Context, t Term, calls, others int64) error {
	return d.ask(ctx, Asker{role: t.lease.role}, func(tx *gorm.DB) error { return t.keep(tx, calls, others) })
}

// ReleaseLease ends a run and gives what it had done.
func (d *DB) ReleaseLease(ctx context.Context, t Term) (was models.Lease, err error) {
	err = d.ask(ctx, Asker{role: t.lease.role}, func(tx *gorm.DB) error {
		if was, err = t.state(tx); err != nil {
			return err
		}
		return t.release(tx)
	})
	return was, err
}

// AddEvidence adds an entry to the chain.
func (d *DB) AddEvidence(ctx context.Context, e models.Evidence) (models.Evidence, error) {
	err := d.ask(ctx, Asker{role: rolePurger}, func(tx *gorm.DB) (err error) {
		e, err = addEvidence(tx, e)
		return err
	})
	return e, err
}
