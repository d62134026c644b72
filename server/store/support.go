package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// FindPeople gives whom support looks for: by whole e-mail (case-folded), or by
// the support code of a sign-in or of a refused click. The look is audited, as one
// at each whom it finds, so that their companies see it, or as one at nobody.
func (d *DB) FindPeople(ctx context.Context, email, code string, entry models.Audit) (people []Person, err error) {
	err = d.ask(ctx, Support, func(tx *gorm.DB) error {
		err := tx.Raw(Support.personRow()+` AND (u.email = ? OR u.id IN (
			SELECT user_id FROM grants WHERE support_code = ? UNION SELECT user_id FROM refusals WHERE support_code = ?)) LIMIT 10`,
			email, code, code).Scan(&people).Error
		if err != nil {
			return err
		}
		for _, p := range people {
			at := entry
			at.SubjectKind, at.SubjectID, at.TenantID = "user", &p.ID, p.TenantID
			if err := addAudit(tx, at); err != nil {
				return err
			}
		}
		if len(people) == 0 {
			return addAudit(tx, entry)
		}
		return nil
	})
	return people, err
}

// KnowTenant gives ErrNotFound when support knows no such tenant.
func (d *DB) KnowTenant(ctx context.Context, tenant uuid.UUID) error {
	return d.ask(ctx, Support, func(tx *gorm.DB) error {
		var known int64
		err := tx.Raw("SELECT count(*) FROM tenants WHERE id = ?", tenant).Scan(&known).Error
		if err == nil && known == 0 {
			return ErrNotFound
		}
		return err
	})
}

const supportRows = 50

// MaskedCalls gives the newest living calls of a user to support; a look with
// an action is audited.
func (d *DB) MaskedCalls(ctx context.Context, tenant, user uuid.UUID, entry models.Audit) (calls []models.MaskedCall, err error) {
	err = d.ask(ctx, Support, func(tx *gorm.DB) error {
		if err := tx.Where("tenant_id = ? AND user_id = ?", tenant, user).Order("created_at DESC, id DESC").Limit(supportRows).Find(&calls).Error; err != nil {
			return err
		}
		return auditLook(tx, entry)
	})
	return calls, err
}

// Refusals gives the newest refused clicks of a user to support; a look with
// an action is audited.
func (d *DB) Refusals(ctx context.Context, tenant, user uuid.UUID, entry models.Audit) (refusals []models.Refusal, err error) {
	err = d.ask(ctx, Support, func(tx *gorm.DB) error {
		if err := tx.Where("tenant_id = ? AND user_id = ?", tenant, user).Order("at DESC, id DESC").Limit(supportRows).Find(&refusals).Error; err != nil {
			return err
		}
		return auditLook(tx, entry)
	})
	return refusals, err
}
