package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	TenantID uuid.UUID
	UserID   uuid.UUID
	DeviceID uuid.UUID // Nil: the user's first
	GrantID  uuid.UUID // Nil: none (the command line)
	Number   phone.Number
	Name     phone.Name
	Private  bool
	Record   bool   // the PBX is asked to record
	Key      string // the client's idempotency key
	// Fingerprints of the request under the key of today and of yesterday: a
	// click may be repeated over midnight.
	Fingerprints [2][]byte
	At           time.Time // whole milliseconds
	MaxAge       time.Duration
	Limits       Limits
	Barred       [][]byte // the number's hashes in the do-not-dial list: DoNotDialHashes
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
	KeptMS          int64
	MayRecord       bool
	PBXID           *uuid.UUID `gorm:"column:pbx_id"`
	DeviceID        *uuid.UUID
	DeviceLabel     string
	Endpoint        string
	CallerID        phone.Number `gorm:"column:caller_id"`
	Withheld        bool
	Region          string
	RingSeconds     int
	DialplanContext string
	SignInLabel     string
	SignedOut       bool
}

// callCounts are the user's calls that count against the limits, and whether the
// number is on the tenant's do-not-dial list.
type callCounts struct {
	Live, Recent int
	Barred       bool
}

// CreateCall commits the row of a call, in one transaction with the client's
// key, or finds the call that the key made before (replayed). Errors: no-device,
// do-not-dial, too-many-calls, pace-exceeded, idempotency-key-reused, call-gone,
// recording-reason-missing.
func (d *DB) CreateCall(ctx context.Context, n NewCall) (call models.Call, dial Dial, replayed bool, err error) {
	const tries = 3 // the tenant may shorten its retention between our look and our insert
	for try := 1; ; try++ {
		call, dial, replayed, err = d.createCall(ctx, n)
		if try == tries || !violates(err, "calls_kept") {
			return call, dial, replayed, err
		}
	}
}

func (d *DB) createCall(ctx context.Context, n NewCall) (call models.Call, dial Dial, replayed bool, err error) {
	err = d.travel(ctx, func(s session) error {
		caller, counts, before, err := d.lockCaller(s, n)
		if err != nil {
			return err
		}
		if before != nil {
			call, err = d.replay(s, n, *before)
			replayed = err == nil
			return err
		}
		if err := checkCaller(n, caller, counts); err != nil {
			return err
		}
		call, dial = n.rows(caller)
		if err := d.insertCall(s, n, call); err != nil {
			return fmt.Errorf("inserting the call: %w", clean(err))
		}
		return nil
	})
	return call, dial, replayed, err
}

// lockCaller begins the transaction, serialises the clicks of one user, and reads
// what decides this one: their phone and limits, and what the key has made
// before, if anything. All is read after the lock was had.
// NO KEY: foreign keys to the user do not wait for it.
func (d *DB) lockCaller(s session, n NewCall) (row callerRow, counts callCounts, before *models.Idempotency, err error) {
	t := d.newTrip()
	t.begin(roleApp, n.TenantID)
	var key models.Idempotency
	var known, used, counted bool
	t.ask(`SELECT u.disabled_at, t.status, t.retention_days, t.kept_ms, t.recording_reason IS NOT NULL AS may_record, t.pbx_id, t.region, t.ring_seconds, t.dialplan_context,
		  d.id AS device_id, coalesce(d.label, '') AS device_label, coalesce(d.endpoint, '') AS endpoint, d.caller_id,
		  coalesce(d.withheld, false) AS withheld,
		  coalesce(g.device_name, '') AS sign_in_label, $6 AND (g.id IS NULL OR g.revoked_at IS NOT NULL) AS signed_out
		FROM users u JOIN tenants t ON t.id = u.tenant_id
		LEFT JOIN grants g ON g.id = $5 AND g.tenant_id = u.tenant_id AND g.user_id = u.id
		LEFT JOIN LATERAL (
		  SELECT * FROM devices d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id AND ($1 OR d.id = $2)
		  ORDER BY d.created_at, d.id LIMIT 1
		) d ON true
		WHERE u.tenant_id = $3 AND u.id = $4 FOR NO KEY UPDATE OF u`,
		n.DeviceID == uuid.Nil, n.DeviceID, n.TenantID, n.UserID, n.GrantID, n.GrantID != uuid.Nil).Query(find(&row, &known))
	t.add(n.findKey(t.write)).Query(find(&key, &used))
	t.ask(`SELECT count(*) FILTER (WHERE ended_at IS NULL) AS live, count(*) FILTER (WHERE created_at > $1) AS recent,
		  EXISTS (SELECT FROM do_not_dial WHERE tenant_id = $2 AND hash = ANY($4)) AS barred
		FROM calls WHERE tenant_id = $2 AND user_id = $3 AND (ended_at IS NULL OR created_at > $1)`,
		n.At.Add(-n.Limits.Window), n.TenantID, n.UserID, n.Barred).Query(find(&counts, &counted))
	if err := s.send(t); err != nil {
		return row, counts, nil, err
	}
	if !known || row.SignedOut {
		return row, counts, nil, fault.New(fault.Unauthorized, "unauthorized", "Please sign in again.")
	}
	if used {
		before = &key
	}
	return row, counts, before, nil
}

// insertCall writes the call and its key, and commits.
func (d *DB) insertCall(s session, n NewCall, call models.Call) error {
	t := d.newTrip()
	t.add(t.write.Create(&call))
	if words := wordsOf(call); len(words) > 0 {
		t.add(t.write.Create(&words))
	}
	t.add(t.write.Create(&models.Idempotency{
		TenantID: n.TenantID, UserID: n.UserID, Key: n.Key, Fingerprint: n.Fingerprints[0],
		CallID: &call.ID, ExpiresAt: n.At.Add(models.Day),
	}))
	t.commit()
	return s.send(t)
}

// wordsOf gives the rows by which a call is found under its name.
func wordsOf(call models.Call) (rows []models.CallWord) {
	for _, word := range nameWords(call.Name) {
		rows = append(rows, models.CallWord{
			TenantID: call.TenantID, CallID: call.ID, Word: word, CreatedAt: call.CreatedAt, ExpiresAt: call.ExpiresAt,
		})
	}
	return rows
}

// nameWords gives each word of a name once, in the spelling in which it is looked for.
func nameWords(name phone.Name) []string {
	words := strings.Fields(strings.ToLower(name.Reveal()))
	slices.Sort(words)
	return slices.Compact(words)
}

// Replay finds the call that this key has made already; ErrNotFound when it has
// made none.
func (d *DB) Replay(ctx context.Context, n NewCall) (call models.Call, err error) {
	err = d.travel(ctx, func(s session) error {
		var key models.Idempotency
		used := false
		t := d.newTrip()
		t.take(roleApp, n.TenantID)
		t.add(n.findKey(t.write)).Query(find(&key, &used))
		if err := s.send(t); err != nil {
			return err
		}
		if !used {
			return ErrNotFound
		}
		call, err = d.replay(s, n, key)
		return err
	})
	return call, err
}

func (n NewCall) findKey(tx *gorm.DB) *gorm.DB {
	return tx.Where("user_id = ? AND key = ? AND tenant_id = ?", n.UserID, n.Key, n.TenantID).Take(&models.Idempotency{})
}

// replay finds the call that a key has made already.
func (d *DB) replay(s session, n NewCall, key models.Idempotency) (models.Call, error) {
	gone := fault.New(fault.Gone, "call-gone", "This click was handled before, and its record has ended.")
	if key.Fingerprint == nil { // erased on request
		return models.Call{}, gone
	}
	if !bytes.Equal(key.Fingerprint, n.Fingerprints[0]) && !bytes.Equal(key.Fingerprint, n.Fingerprints[1]) {
		return models.Call{}, fault.New(fault.Refused, "idempotency-key-reused",
			"This Idempotency-Key was used before for another request.")
	}
	if key.CallID == nil {
		return models.Call{}, gone
	}
	call, err := d.takeCall(s, n.TenantID, n.UserID, *key.CallID)
	if errors.Is(err, ErrNotFound) {
		return call, gone
	}
	return call, err
}

func checkCaller(n NewCall, caller callerRow, counts callCounts) error {
	if caller.DisabledAt != nil || caller.Status != models.TenantActive {
		return fault.New(fault.Forbidden, "account-ended", "This account has been closed.")
	}
	if counts.Barred {
		return ErrDoNotDial
	}
	if caller.DeviceID == nil {
		if n.DeviceID != uuid.Nil {
			return fault.New(fault.Refused, "device-unknown", "That phone is not one of yours.")
		}
		return fault.New(fault.Refused, "no-device", "No phone is set up for you yet. Ask your administrator to add one.")
	}
	if n.Record && !caller.MayRecord {
		return fault.New(fault.Refused, "recording-reason-missing",
			"Calls cannot be recorded: your company has not declared why it records.")
	}
	if counts.Live >= n.Limits.AtOnce {
		return fault.New(fault.Refused, "too-many-calls", "You already have as many calls up as you may have at once.")
	}
	if n.Limits.Window > 0 && counts.Recent >= n.Limits.PerWindow {
		f := fault.New(fault.TooMany, "pace-exceeded", "That were many calls in a short time. Wait a moment and try again.")
		f.RetryAfter = n.Limits.Window
		return f
	}
	return nil
}

// rows is where a call gets its number and name.
func (n NewCall) rows(caller callerRow) (models.Call, Dial) {
	expires, deleteAtEnd := models.Expiry(n.At, caller.RetentionDays, caller.ceiling(n.MaxAge))
	masked := n.Number.Masked()
	call := models.Call{
		ID: uuid.Must(uuid.NewV7()), TenantID: n.TenantID, UserID: n.UserID,
		DeviceID: caller.DeviceID, DeviceLabel: caller.DeviceLabel, SignInLabel: caller.SignInLabel,
		Number: n.Number, Name: n.Name, NumberMasked: &masked,
		Private: n.Private, DeleteAtEnd: deleteAtEnd, RecordingEnabled: n.Record,
		Status: models.Initiating, Dispatch: models.Dispatching,
		ReplicaID: n.ReplicaID, PBXID: caller.PBXID, ChannelID: n.ChannelID,
		CreatedAt: n.At, ExpiresAt: expires,
	}
	if n.GrantID != uuid.Nil {
		call.GrantID = &n.GrantID
	} else {
		call.SignInLabel = "command line"
	}
	if four := n.Number.LastFour(); four != "" {
		call.LastFour = &four
	}
	return call, Dial{
		Endpoint: caller.Endpoint, CallerID: caller.CallerID, Withheld: caller.Withheld,
		Region: caller.Region, RingSeconds: caller.RingSeconds, DialplanContext: caller.DialplanContext,
	}
}

// ceiling is HISTORY_MAX_AGE, or what records have been shortened to by a replica
// whose own is lower: until this one is started anew, the lower holds.
func (c callerRow) ceiling(maxAge time.Duration) time.Duration {
	if c.RetentionDays == 0 {
		return maxAge
	}
	return min(maxAge, time.Duration(c.KeptMS)*time.Millisecond)
}

func takeCall(tx *gorm.DB, tenant, user, id uuid.UUID) (models.Call, error) {
	var call models.Call
	err := findCall(tx, tenant, user, id).Take(&call).Error
	return call, clean(err)
}

func findCall(tx *gorm.DB, tenant, user, id uuid.UUID) *gorm.DB {
	return tx.Where("tenant_id = ? AND user_id = ? AND id = ?", tenant, user, id)
}

// takeCall is takeCall in a trip.
func (d *DB) takeCall(s session, tenant, user, id uuid.UUID) (call models.Call, err error) {
	found := false
	t := d.newTrip()
	t.take(roleApp, tenant)
	t.add(findCall(t.write, tenant, user, id).Take(&models.Call{})).Query(find(&call, &found))
	if err = s.send(t); err == nil && !found {
		err = ErrNotFound
	}
	return call, err
}

// Call gives one call of the user, or ErrNotFound.
func (d *DB) Call(ctx context.Context, tenant, user, id uuid.UUID) (call models.Call, err error) {
	err = d.travel(ctx, func(s session) error {
		call, err = d.takeCall(s, tenant, user, id)
		return err
	})
	return call, err
}

// LiveCalls gives the user's calls that have not ended, oldest first. There are
// few: the limit is on the calls at once.
func (d *DB) LiveCalls(ctx context.Context, tenant, user uuid.UUID) (calls []models.Call, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND user_id = ? AND ended_at IS NULL", tenant, user).
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
