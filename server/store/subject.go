package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
	"clicktodial/server/secret"
)

// Subject is a data subject in a tenant: one of its users, or whoever is called
// at a number. A number without extension means all its extensions too.
type Subject struct {
	Tenant uuid.UUID
	User   uuid.UUID
	Number phone.Number // zero: the user
}

// Kind says what the subject is known by.
func (s Subject) Kind() models.SubjectKind {
	if s.Number.IsZero() {
		return models.SubjectUser
	}
	return models.SubjectNumber
}

// who is what the subject's hashes are made of.
func (s Subject) who() string {
	if s.Number.IsZero() {
		return s.User.String()
	}
	return s.Number.Reveal()
}

// calls narrows to the subject's records. A number with its extensions is found by
// its last four digits, which are indexed, and then told from its namesakes.
func (s Subject) calls(tx *gorm.DB) *gorm.DB {
	tx = tx.Where("tenant_id = ?", s.Tenant)
	switch {
	case s.Number.IsZero():
		return tx.Where("user_id = ?", s.User)
	case s.Number.Extension() != "" || s.Number.E164() == "":
		return tx.Where("number = ?", s.Number)
	}
	if four := s.Number.LastFour(); four != "" {
		tx = tx.Where("last_four = ?", four)
	}
	return tx.Where("split_part(number, ';', 1) = ?", s.Number.E164())
}

// line is the number without its extension: what is dialled.
func line(n phone.Number) string {
	if n.E164() != "" {
		return n.E164()
	}
	return n.Reveal()
}

// ErrDoNotDial refuses a number that has objected.
var ErrDoNotDial = fault.New(fault.Refused, "do-not-dial",
	"Whoever has this number asked not to be called. Your company's administrator keeps that list.")

// DoNotDialHashes are what a number is known by in a tenant's do-not-dial list,
// under each key of SECRET_KEY, the newest first. Its extension does not matter.
func DoNotDialHashes(keys *secret.Keys, tenant uuid.UUID, n phone.Number) ([][]byte, error) {
	return keys.MACs("do-not-dial", tenant.String()+"|"+line(n))
}

// RestrictionHashes are what a restricted subject is known by.
func RestrictionHashes(keys *secret.Keys, s Subject) ([][]byte, error) {
	return RestrictedAs(keys, s.Tenant, s.Kind(), s.who())
}

// RestrictedAs is RestrictionHashes of who is known by a text: a user's id, or a
// number as Number.Reveal gives it.
func RestrictedAs(keys *secret.Keys, tenant uuid.UUID, kind models.SubjectKind, who string) ([][]byte, error) {
	return keys.MACs("restriction", tenant.String()+"|"+string(kind)+"|"+who)
}

// What of whom a note in the ledger outside tells.
const (
	NoteNumber            = "number"  // all records of a number: RecordNote's who is Number.Reveal
	NoteHistory           = "history" // all records of a user, who stays
	NoteCall              = "call"    // one record: who is its id
	NoteUser              = "user"    // a user and all their records
	NoteLeaver            = "leaver"  // a user, whose records stay without them
	NoteObjection         = "objection"
	NoteObjectionLifted   = "objection-lifted"
	NoteRestriction       = "restriction"
	NoteRestrictionLifted = "restriction-lifted"
)

// RecordNote is a note about records or a person of the tenant. Its hash is of
// kind, tenant and who; an objection and a restriction carry their own.
func RecordNote(keys *secret.Keys, kind string, tenant uuid.UUID, who string, before time.Time) (LedgerNote, error) {
	hashes, err := RecordHashes(keys, kind, tenant, who)
	if err != nil {
		return LedgerNote{}, err
	}
	return LedgerNote{Kind: kind, Hash: hashes[0], Before: before}, nil
}

// RecordHashes are what RecordNote's hash was, or is, under each key of SECRET_KEY,
// the newest first.
func RecordHashes(keys *secret.Keys, kind string, tenant uuid.UUID, who string) ([][]byte, error) {
	return keys.MACs("ledger", kind+"|"+tenant.String()+"|"+who)
}

// ErasureNote is the note of the erasure of a subject's records made before.
func ErasureNote(keys *secret.Keys, s Subject, before time.Time) (LedgerNote, error) {
	kind := NoteHistory
	if s.Kind() == models.SubjectNumber {
		kind = NoteNumber
	}
	return RecordNote(keys, kind, s.Tenant, s.who(), before)
}

// Found is what is held about a subject.
type Found struct {
	Records        int64
	Live           int64 // of which are up
	Oldest, Newest *time.Time
	Restricted     bool
	DoNotDial      bool
	SignIns        int64 // of a user, as are the next two
	Phones         int64
	Refusals       int64
}

// FindSubject says what is held about a subject; a look with an action is audited.
// ErrNotFound when it is a user of another tenant, or one who left.
func (d *DB) FindSubject(ctx context.Context, s Subject, restriction, doNotDial [][]byte, entry models.Audit) (f Found, err error) {
	err = d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		if err := knowUser(tx, s); err != nil {
			return err
		}
		err := s.calls(tx.Model(&models.Call{})).
			Select("count(*) AS records, count(*) FILTER (WHERE ended_at IS NULL) AS live, min(created_at) AS oldest, max(created_at) AS newest").Scan(&f).Error
		if err != nil {
			return err
		}
		if f.Restricted, err = holds(tx, &models.Restriction{}, s.Tenant, restriction); err != nil {
			return err
		}
		if f.DoNotDial, err = holds(tx, &models.DoNotDial{}, s.Tenant, doNotDial); err != nil {
			return err
		}
		if err := auditLook(tx, entry); err != nil || s.Kind() == models.SubjectNumber {
			return err
		}
		// Not into f as a whole: GORM would empty it first.
		return tx.Raw(`SELECT (SELECT count(*) FROM grants WHERE tenant_id = @tenant AND user_id = @user),
			(SELECT count(*) FROM devices WHERE tenant_id = @tenant AND user_id = @user),
			(SELECT count(*) FROM refusals WHERE tenant_id = @tenant AND user_id = @user)`,
			map[string]any{"tenant": s.Tenant, "user": s.User}).Row().Scan(&f.SignIns, &f.Phones, &f.Refusals)
	})
	return f, err
}

// knowUser gives ErrNotFound for a user who is not the tenant's, or who left.
func knowUser(tx *gorm.DB, s Subject) error {
	if s.Kind() != models.SubjectUser {
		return nil
	}
	return tx.Select("id").Where("tenant_id = ? AND id = ? AND deleted_at IS NULL", s.Tenant, s.User).Take(&models.User{}).Error
}

// holds says whether a list of keyed hashes has one of them.
func holds(tx *gorm.DB, list any, tenant uuid.UUID, hashes [][]byte) (held bool, err error) {
	if len(hashes) == 0 {
		return false, nil
	}
	var n int64
	err = tx.Model(list).Where("tenant_id = ? AND hash IN ?", tenant, hashes).Count(&n).Error
	return n > 0, err
}

// DoNotDial says whether a number with these hashes is on the tenant's list.
func (d *DB) DoNotDial(ctx context.Context, tenant uuid.UUID, hashes [][]byte) (listed bool, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		listed, err = holds(tx, &models.DoNotDial{}, tenant, hashes)
		return err
	})
	return listed, err
}

// KnowSubject gives ErrNotFound for a tenant that is not there, and for a user who
// is not its own or who left.
func (d *DB) KnowSubject(ctx context.Context, s Subject) error {
	return d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		if err := tx.Select("id").Where("id = ?", s.Tenant).Take(&models.Tenant{}).Error; err != nil {
			return err
		}
		return knowUser(tx, s)
	})
}
