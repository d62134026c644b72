package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// Limits of a batch: together less than LeaseFor.
const (
	batchTime = 2 * time.Second // one statement
	batchLock = time.Second     // its wait for one lock
)

// ErrBatchTime says that a batch took longer than its limit and was undone: a
// smaller one may do.
var ErrBatchTime = errors.New("the batch took too long")

// PurgeTimes is after how long the audit names no network and refused clicks go,
// and after how long the audit itself goes; zero: never.
type PurgeTimes struct{ Anonymise, Audit time.Duration }

// StartPurge begins a run of the purge; had is false when another replica is at it
// or no run is due. A run that was left behind gets its evidence here.
func (d *DB) StartPurge(ctx context.Context, w Want) (t Term, had bool, err error) {
	return d.take(ctx, PurgeLease, w, func(tx *gorm.DB, was models.Lease) error {
		_, err := addEvidence(tx, purgeEvidence(was, true))
		return err
	})
}

func purgeEvidence(was models.Lease, interrupted bool) models.Evidence {
	return models.Evidence{
		Kind: models.EvidencePurge, StartedAt: *was.StartedAt, Calls: was.Calls, Others: was.Others, Interrupted: interrupted,
	}
}

// EndPurge ends a run with its evidence. That of an interrupted run does not say
// which record is the oldest: nothing that can be slow may hold it up.
func (d *DB) EndPurge(ctx context.Context, t Term, interrupted bool) (e models.Evidence, err error) {
	err = d.batch(ctx, func(tx *gorm.DB) error {
		var oldest *time.Time
		if !interrupted {
			if oldest, err = oldestCall(tx); err != nil {
				return err
			}
			if err := become(tx, Asker{role: rolePurger}); err != nil {
				return err
			}
		}
		was, err := t.state(tx)
		if err != nil {
			return err
		}
		e = purgeEvidence(was, interrupted)
		e.Oldest = oldest
		if e, err = addEvidence(tx, e); err != nil {
			return err
		}
		return t.release(tx)
	})
	return e, err
}

// KeepPurge has the lease for longer, after a batch that was undone.
func (d *DB) KeepPurge(ctx context.Context, t Term) error {
	return d.batch(ctx, func(tx *gorm.DB) error { return t.keep(tx, 0, 0) })
}

// batchTerms are those of a batch.
var batchTerms = terms{role: rolePurger, statement: batchTime, lock: batchLock}

// batch runs fn in a transaction of ctd_purger whose statements have the limits of
// a batch.
func (d *DB) batch(ctx context.Context, fn func(*gorm.DB) error) error {
	return tooLong(d.on(ctx, batchTerms, fn))
}

// tooLong adds ErrBatchTime where a limit of a batch was reached.
func tooLong(err error) error {
	// 57014 query_canceled, 55P03 lock_not_available (PostgreSQL manual, appendix A).
	var se *sqlError
	if errors.As(err, &se) && (se.state == "57014" || se.state == "55P03") {
		return errors.Join(ErrBatchTime, err)
	}
	return err
}

// Batch is which calls to delete at once: those of IDs that are due, or, without
// any, the next that are due, in order of their end.
type Batch struct {
	IDs   []uuid.UUID
	From  time.Time // goes on at this end; zero: at the first
	Limit int
}

// DeleteDue deletes at most a batch of calls whose time has come and gives their
// id, tenant, user and times, in no order; nothing else of them is read. It runs as
// ctd_purger, which cannot see, so not delete, any other. Rows that somebody holds
// are left out. Errors: ErrBatchTime; ErrLeaseLost, and nothing was deleted. When the
// line is lost at its end, the batch may have gone all the same, and is counted then.
func (d *DB) DeleteDue(ctx context.Context, t Term, b Batch) (gone []models.Call, err error) {
	which := func(tx *gorm.DB) *gorm.DB {
		// The moment is written as well: the policy's is no condition of an index. And
		// ANY (ARRAY …), because for IN the planner may read the whole table (tried).
		// (SELECT …) hides the end from the planner: to judge it, it would look for the
		// first that is left, past all that this run has deleted (2 ms after 300,000).
		if len(b.IDs) > 0 {
			return tx.Where("id = ANY (ARRAY(SELECT id FROM calls WHERE id IN ? AND expires_at <= statement_timestamp() LIMIT ? FOR UPDATE SKIP LOCKED))", b.IDs, b.Limit)
		}
		return tx.Where(`id = ANY (ARRAY(SELECT id FROM calls WHERE expires_at <= statement_timestamp() AND expires_at >= (SELECT CAST(? AS timestamptz))
			ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED))`, b.From, b.Limit)
	}
	return d.deleteCalls(ctx, t, which, func(count *trip, n int64) { count.add(t.keeping(count.write, n, 0)) })
}

// deleteCalls deletes a batch in two trips: a batch is small, and what is said between
// its statements would cost as much as they do. The lease is looked at, and held, in
// the first, so that nothing of the second can fail; count adds up there what went.
// Unsynced: what the run counts goes with it, and its evidence waits for all.
func (d *DB) deleteCalls(ctx context.Context, t Term, which func(*gorm.DB) *gorm.DB, count func(*trip, int64)) (gone []models.Call, err error) {
	m := batchTerms
	m.unsynced = true
	err = d.travel(ctx, func(s session) error {
		first := d.newTrip()
		first.beginOn(m)
		var held bool
		first.add(t.hold(first.write)).Exec(func(tag pgconn.CommandTag) error { held = tag.RowsAffected() == 1; return nil })
		columns := []clause.Column{{Name: "id"}, {Name: "tenant_id"}, {Name: "user_id"}, {Name: "expires_at"}, {Name: "ended_at"}}
		deleted := which(first.write.Clauses(clause.Returning{Columns: columns})).Delete(&models.Call{})
		if deleted.Error != nil {
			return deleted.Error
		}
		first.add(deleted).Query(findAll(&gone))
		if err := s.send(first); err != nil {
			return err
		}
		if !held {
			return ErrLeaseLost
		}
		second := d.newTrip()
		count(second, int64(len(gone)))
		second.commit()
		return s.send(second)
	})
	if err != nil {
		return nil, tooLong(err)
	}
	return gone, nil
}

// ended is a table whose rows end, and by which a batch is picked.
type ended struct {
	row   any
	name  string
	key   string // the columns that pick a row
	where string // for an index; the policy says the same
	held  bool   // somebody may hold a row: it is left out
}

// What ends besides calls. Row-level security holds the times: a bare DELETE takes
// no other row.
var others = []ended{
	{row: &models.Idempotency{}, name: "idempotency", key: "user_id, key", held: true},
	{row: &models.DailyKey{}, name: "daily_keys", key: "day"},
	{row: &models.Token{}, name: "tokens", key: "id", held: true},
	{row: &models.PairingCode{}, name: "pairing_codes", key: "id", held: true},
	{row: &models.PasswordLink{}, name: "password_links", key: "id", held: true},
	{row: &models.AuthorizationCode{}, name: "authorization_codes", key: "id", held: true},
	{row: &models.Session{}, name: "sessions", key: "id", held: true},
	{row: &models.Revocation{}, name: "revocations", key: "hash", held: true},
	{row: &models.SavedSearch{}, name: "searches", key: "id"},
	{row: &models.Replica{}, name: "replicas", key: "id"},
	{row: &models.Grant{}, name: "grants", key: "id", held: true},
	{row: &models.User{}, name: "users", key: "id", where: "deleted_at <= statement_timestamp() - interval '90 days'", held: true},
	{row: &models.Refusal{}, name: "refusals", key: "id", where: "at <= ctd_before('anonymise_before')"},
	{row: &models.Audit{}, name: "audit", key: "id", where: "at <= ctd_before('audit_before')"},
}

// OtherKinds is how many kinds of record DeleteOthers knows: the last is the
// network of audit entries, which goes before they do.
var OtherKinds = len(others) + 1

// DeleteOthers deletes, or makes anonymous, at most limit records of a kind, 0 to
// OtherKinds-1, whose time has come: used keys after 24 hours, daily keys after 48,
// dead tokens, codes, links, sessions and searches, silent replicas, sign-ins 90
// days after their end, users 90 days after they left, and by kept the refusals and
// the audit. Errors: as DeleteDue.
func (d *DB) DeleteOthers(ctx context.Context, t Term, kind int, kept PurgeTimes, limit int) (n int64, err error) {
	err = d.batch(ctx, func(tx *gorm.DB) error {
		if err := nameMoments(tx, kept); err != nil {
			return err
		}
		res := pick(tx, kind, limit)
		if n = res.RowsAffected; res.Error != nil {
			return res.Error
		}
		return t.keep(tx, 0, n)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func pick(tx *gorm.DB, kind, limit int) *gorm.DB {
	if kind >= len(others) {
		return tx.Model(&models.Audit{}).
			Where("id = ANY (ARRAY(SELECT id FROM audit WHERE at <= ctd_before('anonymise_before') AND network IS NOT NULL ORDER BY at LIMIT ?))", limit).
			Update("network", nil)
	}
	o := others[kind]
	of := "SELECT " + o.key + " FROM " + o.name
	if o.where != "" {
		of += " WHERE " + o.where
	}
	of += " LIMIT ?"
	if o.held {
		of += " FOR UPDATE SKIP LOCKED"
	}
	if strings.Contains(o.key, ",") {
		return tx.Where("("+o.key+") IN ("+of+")", limit).Delete(o.row)
	}
	return tx.Where(o.key+" = ANY (ARRAY("+of+"))", limit).Delete(o.row)
}

// nameMoments names the moments that the policies on logs and audit ask for, by
// Postgres's clock.
func nameMoments(tx *gorm.DB, kept PurgeTimes) error {
	for name, age := range map[string]time.Duration{"anonymise": kept.Anonymise, "audit": kept.Audit} {
		if age <= 0 {
			continue
		}
		err := tx.Exec("SELECT set_config(?, (statement_timestamp() - make_interval(secs => ?))::text, true)", "app."+name+"_before", age.Seconds()).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// Due is what a run would find.
type Due struct {
	Calls          int64
	OverdueSeconds int64 // of the call that ended first
	Refusals       int64 // to delete
	Audit          int64 // likewise
	Anonymise      int64 // audit entries to make anonymous
	Grants         int64
	Users          int64
	Contracts      int64 // to wipe
}

// CountDue says what the purge would find now.
func (d *DB) CountDue(ctx context.Context, kept PurgeTimes) (due Due, err error) {
	err = d.as(ctx, rolePurger, uuid.Nil, func(tx *gorm.DB) error {
		if err := nameMoments(tx, kept); err != nil {
			return err
		}
		return tx.Raw(`SELECT
			(SELECT count(*) FROM calls WHERE expires_at <= statement_timestamp()) AS calls,
			coalesce((SELECT extract(epoch FROM statement_timestamp() - min(expires_at)) FROM calls WHERE expires_at <= statement_timestamp()), 0)::bigint AS overdue_seconds,
			(SELECT count(*) FROM refusals WHERE at <= ctd_before('anonymise_before')) AS refusals,
			(SELECT count(*) FROM audit WHERE at <= ctd_before('audit_before')) AS audit,
			(SELECT count(*) FROM audit WHERE at <= ctd_before('anonymise_before') AND network IS NOT NULL) AS anonymise,
			(SELECT count(*) FROM grants) AS grants,
			(SELECT count(*) FROM users WHERE deleted_at <= statement_timestamp() - interval '90 days') AS users,
			(SELECT count(*) FROM tenants) AS contracts`).Scan(&due).Error
	})
	return due, err
}
