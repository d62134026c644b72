package store

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// Faults of an operator's request, told apart by constraint.
var constraintFaults = map[string]*fault.Error{
	"devices_allowed": fault.New(fault.Refused, "device-not-allowed",
		"The tenant's endpoints or caller ids do not allow this device."),
	"tenants_globs": fault.New(fault.Refused, "endpoints-malformed",
		"An endpoint pattern is 1 to 40 letters, digits, - or _, with * for any run and ? for one."),
	"users_email_key": fault.New(fault.Conflict, "email-taken", "There is a user with this e-mail already."),
	"devices_user_id_label_key": fault.New(fault.Conflict, "label-taken",
		"The user has a phone with this label already."),
}

// asOperator runs fn as the operator; a violated constraint with a name that
// people can act on becomes its fault.
func (d *DB) asOperator(ctx context.Context, entry models.Audit, fn func(*gorm.DB) error) error {
	return named(d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		if err := fn(tx); err != nil {
			return err
		}
		return addAudit(tx, entry)
	}))
}

// named turns a violated constraint into the fault that people can act on.
func named(err error) error {
	for name, f := range constraintFaults {
		if violates(err, name) {
			return f
		}
	}
	return err
}

// CreateTenant stores a tenant, its first admin and, when it has one of its own,
// its PBX connection.
func (d *DB) CreateTenant(ctx context.Context, t models.Tenant, admin models.User, pbx *models.PBXConnection, entry models.Audit) error {
	return d.asOperator(ctx, entry, func(tx *gorm.DB) error {
		if pbx != nil {
			if err := tx.Create(pbx).Error; err != nil {
				return err
			}
		}
		if t.KeptMS == 0 {
			t.KeptMS = models.Keep(t.RetentionDays, math.MaxInt64).Milliseconds() // nothing to shorten yet
		}
		if err := tx.Create(&t).Error; err != nil {
			return err
		}
		return tx.Create(&admin).Error
	})
}

// TenantChange is what tenant set changes; nil leaves a field as it is.
type TenantChange struct {
	Name          *string
	Region        *string
	RetentionDays *int
	RingSeconds   *int
	EndpointGlobs *models.Texts
	CallerIDs     *models.Texts
	PBX           *models.PBXConnection

	Ceiling time.Duration // HISTORY_MAX_AGE; 0: not known here
}

// SetTenant changes a tenant; ErrNotFound when there is none. Records that would
// be kept too long now are shortened in the background, see Restamp.
func (d *DB) SetTenant(ctx context.Context, id uuid.UUID, change TenantChange, entry models.Audit) error {
	return named(d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		set := map[string]any{}
		put(set, "name", change.Name)
		put(set, "region", change.Region)
		put(set, "retention_days", change.RetentionDays)
		put(set, "ring_seconds", change.RingSeconds)
		put(set, "endpoint_globs", change.EndpointGlobs)
		put(set, "caller_ids", change.CallerIDs)
		if change.PBX != nil {
			if err := tx.Create(change.PBX).Error; err != nil {
				return err
			}
			set["pbx_id"] = change.PBX.ID
		}
		if len(set) == 0 {
			return fault.New(fault.Refused, "nothing-to-change", "Say what to change.")
		}
		return changeTenant(tx, id, set, change.Ceiling, entry)
	}))
}

// changeTenant writes what is set, with its entry. The row is locked as shortening
// locks it: see ctd_call_kept of migrations/0006_retention.sql.
func changeTenant(tx *gorm.DB, id uuid.UUID, set map[string]any, ceiling time.Duration, entry models.Audit) error {
	days, retention := set["retention_days"].(int)
	var kept int64
	if retention {
		if err := tx.Raw("SELECT kept_ms FROM tenants WHERE id = ? FOR UPDATE", id).Scan(&kept).Error; err != nil {
			return err
		}
	}
	if err := one(tx.Model(&models.Tenant{}).Where("id = ?", id).Updates(set)); err != nil {
		return err
	}
	if err := addAudit(tx, entry); err != nil || !retention {
		return err
	}
	return raiseKept(tx, id, kept, days, ceiling)
}

func put[T any](set map[string]any, column string, value *T) {
	if value != nil {
		set[column] = *value
	}
}

// EndTenant ends a contract: nobody of it can sign in or call from now on, and
// all its data goes after grace.
func (d *DB) EndTenant(ctx context.Context, id uuid.UUID, now time.Time, grace time.Duration, entry models.Audit) (ended Ended, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		res := tx.Model(&models.Tenant{}).Where("id = ? AND status = 'active'", id).
			Updates(map[string]any{"status": models.TenantEnded, "ended_at": now, "wipe_at": now.Add(grace)})
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected == 0 {
			return ErrNotFound
		}
		if ended, err = revoke(tx, Which{Tenant: id}, "operator", "contract ended", now, entry); err != nil {
			return err
		}
		return note(tx, LedgerNote{Kind: "tenant", Tenant: id, Before: now.Add(grace)})
	})
	return ended, err
}

// Tenant gives a tenant to the operator, or ErrNotFound.
func (d *DB) Tenant(ctx context.Context, id uuid.UUID) (t models.Tenant, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error { return tx.Where("id = ?", id).Take(&t).Error })
	return t, err
}

// CreateUser stores a user. Errors: email-taken; tenant-unknown.
func (d *DB) CreateUser(ctx context.Context, u models.User, entry models.Audit) error {
	err := d.asOperator(ctx, entry, func(tx *gorm.DB) error { return tx.Create(&u).Error })
	if violates(err, "users_tenant_id_fkey") {
		return fault.New(fault.NotFound, "tenant-unknown", "There is no such tenant.")
	}
	return err
}

// SetPassword stores a password's hash; ErrNotFound when there is no such user.
func (d *DB) SetPassword(ctx context.Context, user uuid.UUID, hash string, now time.Time, entry models.Audit) error {
	return d.asOperator(ctx, entry, func(tx *gorm.DB) error { return setPassword(tx, user, hash, "operator", now) })
}

// setPassword stores a password's hash and ends the user's console sessions.
func setPassword(tx *gorm.DB, user uuid.UUID, hash, by string, now time.Time) error {
	res := tx.Model(&models.User{}).Where("id = ?", user).
		Updates(map[string]any{"password_hash": hash, "password_set_at": now, "password_set_by": by})
	if res.Error == nil && res.RowsAffected == 0 {
		return ErrNotFound
	}
	if res.Error != nil {
		return res.Error
	}
	return tx.Where("user_id = ?", user).Delete(&models.Session{}).Error
}

// AddDevice stores a phone of a user. Errors: device-not-allowed, label-taken.
func (d *DB) AddDevice(ctx context.Context, device models.Device, entry models.Audit) error {
	return d.asOperator(ctx, entry, func(tx *gorm.DB) error { return tx.Create(&device).Error })
}

// AddAudit writes an entry that stands for itself, e.g. a look.
func (d *DB) AddAudit(ctx context.Context, entry models.Audit) error {
	return d.asOperator(ctx, entry, func(*gorm.DB) error { return nil })
}
