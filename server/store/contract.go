package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// Contract is one that has ended, and who may take its data along.
type Contract struct {
	Name    string
	EndedAt time.Time
	WipeAt  time.Time
	Admins  []models.User // those who may still sign in elsewhere: not disabled
}

// EndedContract gives the contract of a tenant that has ended; ErrNotFound when
// there is none such.
func (d *DB) EndedContract(ctx context.Context, tenant uuid.UUID) (c Contract, err error) {
	err = d.ask(ctx, CommandLine, func(tx *gorm.DB) error {
		var t models.Tenant
		if err := tx.Select("name, ended_at, wipe_at").Where("id = ? AND status = ?", tenant, models.TenantEnded).Take(&t).Error; err != nil {
			return err
		}
		c.Name, c.EndedAt, c.WipeAt = t.Name, *t.EndedAt, *t.WipeAt
		return tx.Select("id, tenant_id, email, name, role").Order("created_at, id").Limit(100).
			Where("tenant_id = ? AND role = ? AND disabled_at IS NULL", tenant, models.RoleAdmin).Find(&c.Admins).Error
	})
	return c, err
}

// mustTakeLeave gives ErrNotFound for a user whose company's contract has not
// ended, or who is no admin of it.
func mustTakeLeave(tx *gorm.DB, user uuid.UUID) error {
	var may int64
	err := tx.Raw(`SELECT count(*) FROM users u JOIN tenants t ON t.id = u.tenant_id
		WHERE u.id = ? AND u.disabled_at IS NULL AND u.role = ? AND t.status = ? AND t.wipe_at > statement_timestamp()`,
		user, models.RoleAdmin, models.TenantEnded).Scan(&may).Error
	if err == nil && may == 0 {
		return ErrNotFound
	}
	return err
}

// FindExportLink gives a link to the export of an ended contract that can be used
// at that moment, or ErrNotFound.
func (d *DB) FindExportLink(ctx context.Context, hash []byte, now time.Time) (link models.PasswordLink, err error) {
	err = d.ask(ctx, SignInDesk, func(tx *gorm.DB) error {
		if err := tx.Where("hash = ? AND kind = ? AND used_at IS NULL AND expires_at > ?", hash, models.Export, now).Take(&link).Error; err != nil {
			return err
		}
		return mustTakeLeave(tx, link.UserID)
	})
	return link, err
}

// UseExportLink uses a link up, once, and begins the session that can only export.
func (d *DB) UseExportLink(ctx context.Context, link models.PasswordLink, session models.Session, now time.Time, entry models.Audit) error {
	return d.ask(ctx, SignInDesk, func(tx *gorm.DB) error {
		if err := one(tx.Model(&models.PasswordLink{}).Where("id = ? AND used_at IS NULL AND expires_at > ?", link.ID, now).Update("used_at", now)); err != nil {
			return err
		}
		if err := mustTakeLeave(tx, link.UserID); err != nil {
			return err
		}
		if err := tx.Create(&session).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}
