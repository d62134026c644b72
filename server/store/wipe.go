package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// The wipe of an ended contract is counted in the tenant's own row, with each
// batch, and not in the run's: it may take several runs, and its certificate is to
// say what went in all of them.

// Wipes gives at most limit tenants whose data is to go now, in the order in which
// their contracts ended.
func (d *DB) Wipes(ctx context.Context, limit int) (tenants []uuid.UUID, err error) {
	err = d.as(ctx, rolePurger, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM tenants WHERE wipe_at <= statement_timestamp() ORDER BY wipe_at, id LIMIT ?", limit).Scan(&tenants).Error
	})
	return tenants, err
}

// WipeCalls deletes at most limit calls of a tenant to be wiped; its answer and its
// errors are those of DeleteDue.
func (d *DB) WipeCalls(ctx context.Context, t Term, tenant uuid.UUID, limit int) (gone []models.Call, err error) {
	return d.deleteCalls(ctx, t, func(tx *gorm.DB) *gorm.DB {
		return tx.Where("tenant_id = ? AND id = ANY (ARRAY(SELECT id FROM calls WHERE tenant_id = ? LIMIT ? FOR UPDATE SKIP LOCKED))", tenant, tenant, limit)
	}, func(count *trip, n int64) {
		count.add(wiped(count.write, tenant, n, 0))
		count.add(t.keeping(count.write, 0, 0))
	})
}

// WipePeople deletes at most limit users of a tenant to be wiped, with all that
// hangs on them, once their calls have gone.
func (d *DB) WipePeople(ctx context.Context, t Term, tenant uuid.UUID, limit int) (int64, error) {
	return d.wipe(ctx, t, tenant, &models.User{}, `tenant_id = ? AND id = ANY (ARRAY(SELECT id FROM users u WHERE tenant_id = ?
		AND NOT EXISTS (SELECT FROM calls c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id) LIMIT ? FOR UPDATE SKIP LOCKED))`, tenant, tenant, limit)
}

// WipeAudit deletes at most limit audit entries of a tenant to be wiped.
func (d *DB) WipeAudit(ctx context.Context, t Term, tenant uuid.UUID, limit int) (int64, error) {
	return d.wipe(ctx, t, tenant, &models.Audit{}, "tenant_id = ? AND id = ANY (ARRAY(SELECT id FROM audit WHERE tenant_id = ? LIMIT ?))", tenant, tenant, limit)
}

func (d *DB) wipe(ctx context.Context, t Term, tenant uuid.UUID, row any, where string, args ...any) (n int64, err error) {
	err = d.batch(ctx, func(tx *gorm.DB) error {
		res := tx.Where(where, args...).Delete(row)
		if n = res.RowsAffected; res.Error != nil {
			return res.Error
		}
		if err := wiped(tx, tenant, 0, n).Error; err != nil {
			return err
		}
		return t.keep(tx, 0, 0)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// wiped counts what of a tenant has gone.
func wiped(tx *gorm.DB, tenant uuid.UUID, calls, others int64) *gorm.DB {
	return tx.Exec("UPDATE tenants SET wiped_calls = wiped_calls + ?, wiped_others = wiped_others + ? WHERE id = ?", calls, others, tenant)
}

// EndWipe deletes the tenant itself, and the PBX connection that was its own, and
// leaves the certificate: the evidence of what has gone. done is false while
// records of the tenant are left, which somebody holds: the next run will do.
func (d *DB) EndWipe(ctx context.Context, t Term, tenant uuid.UUID) (e models.Evidence, done bool, err error) {
	err = d.batch(ctx, func(tx *gorm.DB) error {
		if err := t.keep(tx, 0, 0); err != nil { // first: whoever adds evidence has the lease's row before the chain
			return err
		}
		var was models.Tenant
		err := tx.Raw(`SELECT id, pbx_id, ended_at, wiped_calls, wiped_others FROM tenants WHERE id = ? AND wipe_at <= statement_timestamp()
			AND NOT EXISTS (SELECT FROM calls WHERE tenant_id = tenants.id) AND NOT EXISTS (SELECT FROM users WHERE tenant_id = tenants.id)
			AND NOT EXISTS (SELECT FROM audit WHERE tenant_id = tenants.id) FOR UPDATE`, tenant).Scan(&was).Error
		if err != nil || was.ID == uuid.Nil {
			return err
		}
		others := was.WipedOthers + 1
		if err := tx.Where("id = ?", tenant).Delete(&models.Tenant{}).Error; err != nil {
			return err
		}
		gone, err := deleteConnection(tx, was.PBXID)
		if err != nil {
			return err
		}
		done = true
		e, err = addEvidence(tx, models.Evidence{
			Kind: models.EvidenceContract, TenantID: &was.ID, StartedAt: *was.EndedAt, Calls: was.WipedCalls, Others: others + gone,
		})
		return err
	})
	return e, done && err == nil, err
}

// deleteConnection deletes a PBX connection, unless another tenant has it too: the
// foreign key knows of those that the purger cannot see.
func deleteConnection(tx *gorm.DB, id *uuid.UUID) (gone int64, err error) {
	if id == nil {
		return 0, nil
	}
	err = tx.Transaction(func(tx *gorm.DB) error {
		res := tx.Where("id = ?", *id).Delete(&models.PBXConnection{})
		gone = res.RowsAffected
		return res.Error
	})
	if violates(err, "tenants_pbx_id_fkey") {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("deleting a PBX connection: %w", clean(err))
	}
	return gone, nil
}
