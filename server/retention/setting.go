package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Chooser is what a company decides about its records: how long they live, who may
// delete them, and whether calls may be recorded.
type Chooser struct {
	DB      *store.DB
	Ceiling time.Duration // HISTORY_MAX_AGE
	Wake    func()        // has shortening looked for; nil: it is within a second, by whoever serves
}

// LongestPromise is how many days a company may choose: as its PBX's platform does.
const LongestPromise = 365

const longestText = 500 // runes of a reason to record

// Chosen is what a company has decided.
type Chosen struct {
	RetentionDays  int
	UsersMayDelete bool
	LeaverRecords  models.LeaverRecords
	Recording      *Recording // nil: no call may be recorded
}

// Recording is why calls may be recorded.
type Recording struct {
	Reason string // one of models.RecordingReasons
	Text   string // in the company's own words, 1 to 500 characters
}

// Choice is what is to be decided otherwise; nil leaves it as it is.
type Choice struct {
	RetentionDays  *int
	UsersMayDelete *bool
	LeaverRecords  *models.LeaverRecords
	Recording      *Recording // Reason "": no call may be recorded any more
	Confirm        bool       // records may end earlier by it
}

// Preview is what keeping records for some days would do.
type Preview struct {
	Days      int
	Effective time.Duration // under the ceiling
	Ceiling   time.Duration
	Shortening
}

// Shortening is what would end, and when.
type Shortening = store.Shortening

// BeyondCeiling says that our own list ends before the days do; the PBX's call
// records may follow them.
func (p Preview) BeyondCeiling() bool { return BeyondCeiling(p.Days, p.Ceiling) }

// BeyondCeiling says that a list of so many days ends at the ceiling.
func BeyondCeiling(days int, ceiling time.Duration) bool {
	return time.Duration(days)*models.Day > ceiling
}

// Progress is how far shortening has come.
type Progress struct {
	Keep       time.Duration // what it shortens to; 0: to the end of the call
	Total      int64         // records that there were at its start
	Done       int64         // of which were looked at
	Changed    int64         // of which end earlier now
	StartedAt  time.Time
	FinishedAt *time.Time
}

func mayChoose(by models.Actor) error {
	if by.IsAdmin() || by.IsOperator() && by.TenantID != uuid.Nil {
		return nil
	}
	return errForbidden
}

// Settings gives what the actor's company has decided. Errors: forbidden.
func (c *Chooser) Settings(ctx context.Context, by models.Actor) (Chosen, error) {
	if err := mayChoose(by); err != nil {
		return Chosen{}, err
	}
	t, err := c.DB.Settings(ctx, by.TenantID)
	return chosenOf(t), err
}

func chosenOf(t models.Tenant) Chosen {
	chosen := Chosen{RetentionDays: t.RetentionDays, UsersMayDelete: t.UsersMayDelete, LeaverRecords: t.LeaverRecords}
	if t.RecordingReason != nil && t.RecordingText != nil {
		chosen.Recording = &Recording{Reason: *t.RecordingReason, Text: *t.RecordingText}
	}
	return chosen
}

// Rules is what a company has decided that all its people may know.
type Rules struct {
	RetentionDays  int
	Effective      time.Duration // under the ceiling
	UsersMayDelete bool
}

// Rules gives that of the actor's company, to its users too. Errors: forbidden to
// whoever is of none.
func (c *Chooser) Rules(ctx context.Context, by models.Actor) (Rules, error) {
	if by.TenantID == uuid.Nil {
		return Rules{}, errForbidden
	}
	t, err := c.DB.Settings(ctx, by.TenantID)
	return Rules{RetentionDays: t.RetentionDays, Effective: models.Keep(t.RetentionDays, c.Ceiling), UsersMayDelete: t.UsersMayDelete}, err
}

// Choose changes what the actor's company has decided. Errors: forbidden,
// setting-invalid; confirmation-required when records would end earlier and Confirm
// does not say so.
func (c *Chooser) Choose(ctx context.Context, by models.Actor, choice Choice) error {
	if err := mayChoose(by); err != nil {
		return err
	}
	if err := choice.check(); err != nil {
		return err
	}
	t, err := c.DB.Settings(ctx, by.TenantID)
	if err != nil {
		return err
	}
	change, words := choice.against(chosenOf(t))
	if len(words) == 0 {
		return nil
	}
	if change.RetentionDays != nil && !choice.Confirm {
		if err := c.mustConfirm(ctx, t, *change.RetentionDays); err != nil {
			return err
		}
	}
	change.Ceiling = c.Ceiling
	entry := audit.Entry(audit.By(by), "settings-change", audit.Subject{Kind: "tenant", ID: by.TenantID, Tenant: by.TenantID}, strings.Join(words, "; "))
	if err := c.DB.ChangeSettings(ctx, by.TenantID, change, entry); err != nil {
		return err
	}
	if change.RetentionDays != nil && c.Wake != nil {
		c.Wake()
	}
	return nil
}

var errSetting = fault.New(fault.Refused, "setting-invalid", "Retention is 0 to 365 days, and a reason to record has 1 to 500 printable characters.")

func (choice Choice) check() error {
	days, leavers, rec := choice.RetentionDays, choice.LeaverRecords, choice.Recording
	switch {
	case days != nil && (*days < 0 || *days > LongestPromise):
		return errSetting
	case leavers != nil && *leavers != models.EraseLeaver && *leavers != models.KeepLeaver:
		return errSetting
	case rec != nil && rec.Reason != "" && (!slices.Contains(models.RecordingReasons, rec.Reason) || !printable(rec.Text)):
		return errSetting
	}
	return nil
}

func printable(text string) bool {
	if !utf8.ValidString(text) || strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > longestText {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// against gives what differs from what holds, and says so in words for the audit: no
// person's, and not the company's own.
func (choice Choice) against(now Chosen) (change store.SettingsChange, words []string) {
	if days := choice.RetentionDays; days != nil && *days != now.RetentionDays {
		change.RetentionDays = days
		words = append(words, fmt.Sprintf("retention %d to %d days", now.RetentionDays, *days))
	}
	if may := choice.UsersMayDelete; may != nil && *may != now.UsersMayDelete {
		change.UsersMayDelete = may
		words = append(words, map[bool]string{true: "users may delete", false: "users may not delete"}[*may])
	}
	if leavers := choice.LeaverRecords; leavers != nil && *leavers != now.LeaverRecords {
		change.LeaverRecords = leavers
		words = append(words, "records of leavers: "+string(*leavers))
	}
	rec := choice.Recording
	switch {
	case rec == nil || rec.Reason == "" && now.Recording == nil:
	case rec.Reason == "":
		change.RecordingReason = &rec.Reason
		words = append(words, "recording withdrawn")
	case now.Recording == nil || *now.Recording != *rec:
		change.RecordingReason, change.RecordingText = &rec.Reason, rec.Text
		words = append(words, "recording declared: "+rec.Reason)
	}
	return change, words
}

// mustConfirm refuses days that would end records earlier, and says how many.
func (c *Chooser) mustConfirm(ctx context.Context, t models.Tenant, days int) error {
	p, err := c.preview(ctx, t, days)
	if err != nil {
		return err
	}
	sooner := p.EndsEarlier
	if days == 0 {
		sooner += p.Live // they go with their end
	}
	if p.EndsNow+sooner == 0 && !p.More {
		return nil
	}
	f := fault.New(fault.Refused, "confirmation-required", fmt.Sprintf("%s records would be gone at once and %s more would end sooner. Confirm it to go on.",
		counted(p.EndsNow, p.More), counted(sooner, p.More)))
	f.Say, f.Args = "retention-shorter", []any{counted(p.EndsNow, p.More), counted(sooner, p.More)}
	return f
}

// counted is a count in any language; "12+" where there are more.
func counted(n int64, more bool) string {
	if more {
		return strconv.FormatInt(n, 10) + "+"
	}
	return strconv.FormatInt(n, 10)
}

// Preview says what keeping the company's records for days would do. Errors:
// forbidden, setting-invalid.
func (c *Chooser) Preview(ctx context.Context, by models.Actor, days int) (Preview, error) {
	if err := mayChoose(by); err != nil {
		return Preview{}, err
	}
	if err := (Choice{RetentionDays: &days}).check(); err != nil {
		return Preview{}, err
	}
	t, err := c.DB.Settings(ctx, by.TenantID)
	if err != nil {
		return Preview{}, err
	}
	return c.preview(ctx, t, days)
}

func (c *Chooser) preview(ctx context.Context, t models.Tenant, days int) (p Preview, err error) {
	p = Preview{Days: days, Effective: models.Keep(days, c.Ceiling), Ceiling: c.Ceiling}
	p.Shortening, err = c.DB.PreviewRestamp(ctx, t.ID, p.Effective)
	if p.Effective.Milliseconds() >= t.KeptMS {
		p.More = false // none is kept longer, whatever there is beyond what was counted
	}
	return p, err
}

// Proof is what an admin is shown of the purge.
type Proof = store.Proof

// Proof says what the purge has left of the company's records. Errors: forbidden.
func (c *Chooser) Proof(ctx context.Context, by models.Actor) (Proof, error) {
	if err := mayChoose(by); err != nil {
		return Proof{}, err
	}
	return c.DB.Proof(ctx, by.TenantID)
}

// State gives the days in force and how far shortening has come; nil when there was
// none. Errors: forbidden.
func (c *Chooser) State(ctx context.Context, by models.Actor) (p Preview, progress *Progress, err error) {
	chosen, err := c.Settings(ctx, by)
	if err != nil {
		return p, nil, err
	}
	p = Preview{Days: chosen.RetentionDays, Effective: models.Keep(chosen.RetentionDays, c.Ceiling), Ceiling: c.Ceiling}
	r, err := c.DB.RestampOf(ctx, by.TenantID)
	if errors.Is(err, store.ErrNotFound) {
		return p, nil, nil
	}
	return p, &Progress{
		Keep: time.Duration(r.KeptMS) * time.Millisecond, Total: r.Total, Done: r.Done, Changed: r.Changed,
		StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}, err
}
