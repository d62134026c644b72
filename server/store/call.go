package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

// NewCall asks for a call's row. Everything in it was parsed and allowed.
type NewCall struct {
	TenantID    uuid.UUID
	UserID      uuid.UUID
	DeviceID    uuid.UUID // Nil: the user's first
	GrantID     uuid.UUID // Nil: none (the command line)
	SignInLabel string
	Number      phone.Number
	Name        phone.Name
	Private     bool
	Key         string // the client's idempotency key
	// Fingerprints of the request under the key of today and of yesterday: a
	// click may be repeated over midnight.
	Fingerprints [2][]byte
	At           time.Time // whole milliseconds
	MaxAge       time.Duration
	Limits       Limits
	ReplicaID    uuid.UUID
	ChannelID    string
}

// Limits are decided with the user's row locked, so that they hold for clicks
// that come at once.
type Limits struct {
	AtOnce    int           // calls of one user that may be up at the same time
	PerWindow int           // calls of one user within Window
	Window    time.Duration // 0: no such limit
}

// Dial is what the PBX needs to know of a new call besides the call's own row.
type Dial struct {
	Endpoint        string
	CallerID        phone.Number
	Withheld        bool
	Region          string
	RingSeconds     int
	DialplanContext string
}

// callerRow is what is read while the user's row is locked.
type callerRow struct {
	DisabledAt      *time.Time
	Status          models.TenantStatus
	RetentionDays   int
	PBXID           *uuid.UUID `gorm:"column:pbx_id"`
	DeviceID        *uuid.UUID
	DeviceLabel     string
	Endpoint        string
	CallerID        phone.Number `gorm:"column:caller_id"`
	Withheld        bool
	Region          string
	RingSeconds     int
	DialplanContext string
}

// CreateCall commits the row of a call, in one transaction with the client's
// key, or finds the call that the key made before (replayed). Errors: no-device,
// too-many-calls, pace-exceeded, idempotency-key-reused, call-gone.
func (d *DB) CreateCall(ctx context.Context, n NewCall) (call models.Call, dial Dial, replayed bool, err error) {
	err = d.as(ctx, roleApp, n.TenantID, func(tx *gorm.DB) error {
		caller, err := lockCaller(tx, n)
		if err != nil {
			return err
		}
		call, replayed, err = replay(tx, n)
		if err != nil || replayed {
			return err
		}
		if err := checkCaller(tx, n, caller); err != nil {
			return err
		}
		call, dial = n.rows(caller)
		if err := tx.Create(&call).Error; err != nil {
			return fmt.Errorf("inserting the call: %w", clean(err))
		}
		return tx.Create(&models.Idempotency{
			TenantID: n.TenantID, UserID: n.UserID, Key: n.Key, Fingerprint: n.Fingerprints[0],
			CallID: &call.ID, ExpiresAt: n.At.Add(models.Day),
		}).Error
	})
	return call, dial, replayed, err
}

// lockCaller serialises the clicks of one user, and reads what decides them.
// NO KEY: foreign keys to the user do not wait for it.
func lockCaller(tx *gorm.DB, n NewCall) (callerRow, error) {
	var row callerRow
	err := tx.Raw(`SELECT u.disabled_at, t.status, t.retention_days, t.pbx_id, t.region, t.ring_seconds, t.dialplan_context,
		  d.id AS device_id, coalesce(d.label, '') AS device_label, coalesce(d.endpoint, '') AS endpoint, d.caller_id,
		  coalesce(d.withheld, false) AS withheld
		FROM users u JOIN tenants t ON t.id = u.tenant_id
		LEFT JOIN LATERAL (
		  SELECT * FROM devices d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id AND (? OR d.id = ?)
		  ORDER BY d.created_at, d.id LIMIT 1
		) d ON true
		WHERE u.tenant_id = ? AND u.id = ? FOR NO KEY UPDATE OF u`,
		n.DeviceID == uuid.Nil, n.DeviceID, n.TenantID, n.UserID).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, fault.New(fault.Unauthorized, "unauthorized", "Please sign in again.")
	}
	return row, clean(err)
}

// Replay finds the call that this key has made already; ErrNotFound when it has
// made none.
func (d *DB) Replay(ctx context.Context, n NewCall) (call models.Call, err error) {
	err = d.as(ctx, roleApp, n.TenantID, func(tx *gorm.DB) error {
		found := false
		call, found, err = replay(tx, n)
		if err == nil && !found {
			return ErrNotFound
		}
		return err
	})
	return call, err
}

// replay finds the call that this key has made already.
func replay(tx *gorm.DB, n NewCall) (models.Call, bool, error) {
	var row models.Idempotency
	err := tx.Where("user_id = ? AND key = ? AND tenant_id = ?", n.UserID, n.Key, n.TenantID).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Call{}, false, nil
	}
	if err != nil {
		return models.Call{}, false, clean(err)
	}
	gone := fault.New(fault.Gone, "call-gone", "This click was handled before, and its record has ended.")
	if row.Fingerprint == nil { // erased on request
		return models.Call{}, false, gone
	}
	if !bytes.Equal(row.Fingerprint, n.Fingerprints[0]) && !bytes.Equal(row.Fingerprint, n.Fingerprints[1]) {
		return models.Call{}, false, fault.New(fault.Refused, "idempotency-key-reused",
			"This Idempotency-Key was used before for another request.")
	}
	if row.CallID == nil {
		return models.Call{}, false, gone
	}
	call, err := takeCall(tx, n.TenantID, n.UserID, *row.CallID)
	if errors.Is(err, ErrNotFound) {
		return call, false, gone
	}
	return call, err == nil, err
}

func checkCaller(tx *gorm.DB, n NewCall, caller callerRow) error {
	if caller.DisabledAt != nil || caller.Status != models.TenantActive {
		return fault.New(fault.Forbidden, "account-ended", "This account has been closed.")
	}
	if caller.DeviceID == nil {
		if n.DeviceID != uuid.Nil {
			return fault.New(fault.Refused, "device-unknown", "That phone is not one of yours.")
		}
		return fault.New(fault.Refused, "no-device", "No phone is set up for you yet. Ask your administrator to add one.")
	}
	var count struct{ Live, Recent int }
	err := tx.Raw(`SELECT count(*) FILTER (WHERE rank < 4) AS live, count(*) FILTER (WHERE created_at > ?) AS recent
		FROM calls WHERE tenant_id = ? AND user_id = ? AND (rank < 4 OR created_at > ?)`,
		n.At.Add(-n.Limits.Window), n.TenantID, n.UserID, n.At.Add(-n.Limits.Window)).Scan(&count).Error
	if err != nil {
		return clean(err)
	}
	if count.Live >= n.Limits.AtOnce {
		return fault.New(fault.Refused, "too-many-calls", "You already have as many calls up as you may have at once.")
	}
	if n.Limits.Window > 0 && count.Recent >= n.Limits.PerWindow {
		f := fault.New(fault.TooMany, "pace-exceeded", "That were many calls in a short time. Wait a moment and try again.")
		f.RetryAfter = n.Limits.Window
		return f
	}
	return nil
}

// rows is where a call gets its number and name.
func (n NewCall) rows(caller callerRow) (models.Call, Dial) {
	expires, deleteAtEnd := models.Expiry(n.At, caller.RetentionDays, n.MaxAge)
	masked := n.Number.Masked()
	call := models.Call{
		ID: uuid.Must(uuid.NewV7()), TenantID: n.TenantID, UserID: n.UserID,
		DeviceID: caller.DeviceID, DeviceLabel: caller.DeviceLabel, SignInLabel: n.SignInLabel,
		Number: n.Number, Name: n.Name, NumberMasked: &masked,
		Private: n.Private, DeleteAtEnd: deleteAtEnd,
		Status: models.Initiating, Dispatch: models.Dispatching,
		ReplicaID: n.ReplicaID, PBXID: caller.PBXID, ChannelID: n.ChannelID,
		CreatedAt: n.At, ExpiresAt: expires,
	}
	if n.GrantID != uuid.Nil {
		call.GrantID = &n.GrantID
	}
	if four := n.Number.LastFour(); four != "" {
		call.LastFour = &four
	}
	return call, Dial{
		Endpoint: caller.Endpoint, CallerID: caller.CallerID, Withheld: caller.Withheld,
		Region: caller.Region, RingSeconds: caller.RingSeconds, DialplanContext: caller.DialplanContext,
	}
}

func takeCall(tx *gorm.DB, tenant, user, id uuid.UUID) (models.Call, error) {
	var call models.Call
	err := tx.Where("tenant_id = ? AND user_id = ? AND id = ?", tenant, user, id).Take(&call).Error
	return call, clean(err)
}

// Call gives one call of the user, or ErrNotFound.
func (d *DB) Call(ctx context.Context, tenant, user, id uuid.UUID) (call models.Call, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		call, err = takeCall(tx, tenant, user, id)
		return err
	})
	return call, err
}

// LiveCalls gives the user's calls that have not ended, oldest first. There are
// few: the limit is on the calls at once.
func (d *DB) LiveCalls(ctx context.Context, tenant, user uuid.UUID) (calls []models.Call, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND user_id = ? AND rank < 4", tenant, user).
			Order("created_at, id").Limit(100).Find(&calls).Error
	})
	return calls, err
}

// AskHangUp notes that the user wants the call to end, so that whichever replica
// follows it knows why it did. Errors: ErrNotFound, call-ended.
func (d *DB) AskHangUp(ctx context.Context, tenant, user, id uuid.UUID) (call models.Call, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		call, err = takeCall(tx, tenant, user, id)
		if err != nil {
			return err
		}
		if call.Status.Ended() {
			return fault.New(fault.Conflict, "call-ended", "This call has ended already.")
		}
		return tx.Model(&models.Call{}).Where("tenant_id = ? AND id = ? AND rank < 4 AND hang_up_why IS NULL", tenant, id).
			Update("hang_up_why", models.HangUpClient).Error
	})
	return call, err
}

// Refuse notes a refused click for support, without what was clicked.
func (d *DB) Refuse(ctx context.Context, r models.Refusal) error {
	return d.as(ctx, roleApp, r.TenantID, func(tx *gorm.DB) error { return tx.Create(&r).Error })
}

// DailyKey gives the key of the UTC day of at, making it if it is the first use.
// It is destroyed within 48 hours.
func (d *DB) DailyKey(ctx context.Context, tenant uuid.UUID, at time.Time) ([]byte, error) {
	day := at.UTC().Truncate(models.Day)
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("making a daily key: %w", err)
	}
	row := models.DailyKey{Day: day, Key: fresh}
	err := d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
			return err
		}
		return tx.Where("day = ?", day.Format(time.DateOnly)).Take(&row).Error
	})
	return row.Key, err
}
