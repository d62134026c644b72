package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// Person is a user as an admin or support sees them. Support may not see names:
// its Name is "".
type Person struct {
	ID          uuid.UUID
	TenantID    *uuid.UUID
	TenantName  string
	Email       string
	Name        string
	Role        models.Role
	CreatedAt   time.Time
	DisabledAt  *time.Time
	HasPassword bool
	HasFactor   bool
}

// personRow knows nobody who has left.
func (a Asker) personRow() string {
	name := "u.name"
	if a.role == roleSupport {
		name = "''"
	}
	return `SELECT u.id, u.tenant_id, coalesce(t.name, '') AS tenant_name, u.email, ` + name + ` AS name, u.role, u.created_at, u.disabled_at,
		u.password_set_at IS NOT NULL AS has_password, u.totp_confirmed_at IS NOT NULL AS has_factor
		FROM users u LEFT JOIN tenants t ON t.id = u.tenant_id WHERE u.deleted_at IS NULL`
}

// Person gives a user; ErrNotFound when who asks may not know them. An entry
// with an action is written with the look.
func (d *DB) Person(ctx context.Context, as Asker, user uuid.UUID, entry models.Audit) (p Person, err error) {
	err = d.ask(ctx, as, func(tx *gorm.DB) error {
		q := tx.Raw(as.personRow()+" AND u.id = ?", user)
		if as.tenant != uuid.Nil {
			q = tx.Raw(as.personRow()+" AND u.id = ? AND u.tenant_id = ?", user, as.tenant)
		}
		if err := q.Take(&p).Error; err != nil {
			return err
		}
		return auditLook(tx, entry)
	})
	return p, err
}

// auditLook writes the entry of a look, if it is one that is written.
func auditLook(tx *gorm.DB, entry models.Audit) error {
	if entry.Action == "" {
		return nil
	}
	return addAudit(tx, entry)
}

// People gives the users of the tenant after an e-mail, in its order, and one
// more than asked for when there are more.
func (d *DB) People(ctx context.Context, tenant uuid.UUID, after string, limit int) (people []Person, err error) {
	as := ForTenant(tenant)
	err = d.ask(ctx, as, func(tx *gorm.DB) error {
		return tx.Raw(as.personRow()+" AND u.tenant_id = ? AND u.email > ? ORDER BY u.email LIMIT ?", tenant, after, limit+1).Scan(&people).Error
	})
	return people, err
}

// CreatePerson stores a user of the tenant and the link that invites them.
// Errors: email-taken.
func (d *DB) CreatePerson(ctx context.Context, tenant uuid.UUID, u models.User, link models.PasswordLink, entry, linkEntry models.Audit) error {
	err := d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		err := tx.Select("ID", "TenantID", "Email", "Name", "Role", "CreatedAt").Create(&u).Error
		if err != nil {
			return err
		}
		if err := addAudit(tx, entry); err != nil {
			return err
		}
		return createLink(tx, link, linkEntry)
	})
	return named(err)
}

// Disable closes a user's account and ends all their sign-ins, or opens it again.
func (d *DB) Disable(ctx context.Context, tenant, user uuid.UUID, disabled bool, now time.Time, entry models.Audit) (ended Ended, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		var at any
		if disabled {
			at = now
		}
		if err := one(tx.Model(&models.User{}).Where("id = ? AND tenant_id = ? AND deleted_at IS NULL", user, tenant).Update("disabled_at", at)); err != nil {
			return err
		}
		if !disabled {
			return addAudit(tx, entry)
		}
		ended, err = revoke(tx, Which{User: user, Tenant: tenant}, "admin", "account closed", now, entry)
		return err
	})
	return ended, err
}

// AddPhone stores a phone of a user of the tenant. Errors: device-not-allowed,
// label-taken; ErrNotFound when the user is not of the tenant.
func (d *DB) AddPhone(ctx context.Context, device models.Device, entry models.Audit) error {
	err := d.ask(ctx, ForTenant(device.TenantID), func(tx *gorm.DB) error {
		if err := tx.Create(&device).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
	if violates(err, "devices_tenant_id_user_id_fkey") {
		return ErrNotFound
	}
	return named(err)
}

// RemovePhone takes a phone from a user of the tenant. Their calls keep its label.
func (d *DB) RemovePhone(ctx context.Context, tenant, user, device uuid.UUID, entry models.Audit) error {
	return d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		// Their clicks wait: none may come to name the phone meanwhile.
		if err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Select("id").
			Where("tenant_id = ? AND id = ?", tenant, user).Take(&models.User{}).Error; err != nil {
			return err
		}
		if err := tx.Model(&models.Call{}).Where("tenant_id = ? AND user_id = ? AND device_id = ?", tenant, user, device).
			Update("device_id", nil).Error; err != nil {
			return err
		}
		if err := one(tx.Where("tenant_id = ? AND user_id = ? AND id = ?", tenant, user, device).Delete(&models.Device{})); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// FactorRequired says whether the tenant asks everybody for a second factor.
func (d *DB) FactorRequired(ctx context.Context, tenant uuid.UUID) (required bool, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Model(&models.Tenant{}).Where("id = ?", tenant).Select("require_second_factor").Scan(&required).Error
	})
	return required, err
}

// RequireFactor sets whether it does.
func (d *DB) RequireFactor(ctx context.Context, tenant uuid.UUID, required bool, entry models.Audit) error {
	return d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		if err := one(tx.Model(&models.Tenant{}).Where("id = ?", tenant).Update("require_second_factor", required)); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}
