package retention

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

// walker brings one tenant to what the ledger says of it. It finds people and
// records by working out the keyed hash of each.
type walker struct {
	db     *store.DB
	keys   *secret.Keys
	tenant uuid.UUID
	said   *replay
	done   *Restored

	known map[uuid.UUID]userHashes
}

const walkBatch = 1000

// userHashes are what a user is known by, under each key.
type userHashes struct{ history, user, leaver, restriction [][]byte }

// hashes of a line's kind.
func (w *walker) hashes(kind, who string) ([][]byte, error) {
	return store.RecordHashes(w.keys, kind, w.tenant, who)
}

// restricted are those of a restriction.
func (w *walker) restricted(kind models.SubjectKind, who string) ([][]byte, error) {
	return store.RestrictedAs(w.keys, w.tenant, kind, who)
}

func (w *walker) ofUser(id uuid.UUID) (h userHashes, err error) {
	if h, ok := w.known[id]; ok {
		return h, nil
	}
	for kind, into := range map[string]*[][]byte{store.NoteHistory: &h.history, store.NoteUser: &h.user, store.NoteLeaver: &h.leaver} {
		if *into, err = w.hashes(kind, id.String()); err != nil {
			return h, err
		}
	}
	h.restriction, err = w.restricted(models.SubjectUser, id.String())
	w.known[id] = h
	return h, err
}

// ofNumber are those of the number called: an erasure of a number is of all its
// extensions too.
func (w *walker) ofNumber(call store.SubjectCall) (number, restriction [][]byte, err error) {
	if call.Number.IsZero() || len(w.said.numbers)+len(w.said.restrictions) == 0 {
		return nil, nil, nil
	}
	forms := []string{call.Number.Reveal()}
	if call.Number.Extension() != "" {
		forms = append(forms, call.Number.E164())
	}
	for _, form := range forms {
		a, err := w.hashes(store.NoteNumber, form)
		if err != nil {
			return nil, nil, err
		}
		b, err := w.restricted(models.SubjectNumber, form)
		if err != nil {
			return nil, nil, err
		}
		number, restriction = append(number, a...), append(restriction, b...)
	}
	return number, restriction, nil
}

// run does all of it; twice is as good as once.
func (w *walker) run(ctx context.Context) error {
	if w.said.wipe != nil {
		if err := w.db.EndAgain(ctx, w.tenant, w.said.ended, *w.said.wipe); err != nil {
			return fmt.Errorf("ending a contract: %w", err)
		}
	}
	if err := w.objections(ctx); err != nil {
		return err
	}
	if err := w.restrictions(ctx); err != nil {
		return err
	}
	if err := w.records(ctx); err != nil {
		return err
	}
	return w.people(ctx, func(id uuid.UUID, h userHashes) error {
		if _, gone := w.said.users.find(h.user); gone {
			return w.db.EraseUser(ctx, w.tenant, id)
		}
		if at, left := w.said.leavers.find(h.leaver); left {
			return w.db.LeaveAgain(ctx, w.tenant, id, at)
		}
		return nil
	})
}

// people calls each with the tenant's users, if the ledger speaks of any.
func (w *walker) people(ctx context.Context, each func(uuid.UUID, userHashes) error) error {
	if len(w.said.users)+len(w.said.leavers)+len(w.said.restrictions) == 0 {
		return nil
	}
	for after := uuid.Nil; ; {
		ids, err := w.db.UserIDs(ctx, w.tenant, after, walkBatch)
		if err != nil {
			return fmt.Errorf("reading users: %w", err)
		}
		for _, id := range ids {
			h, err := w.ofUser(id)
			if err != nil {
				return err
			}
			if err := each(id, h); err != nil {
				return fmt.Errorf("a user who is gone: %w", err)
			}
		}
		if len(ids) < walkBatch {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

func (w *walker) objections(ctx context.Context) error {
	for _, some := range standings(w.said.objections) {
		if err := w.db.StandObjections(ctx, w.tenant, some); err != nil {
			return fmt.Errorf("objections: %w", err)
		}
		w.done.Objections += standingOf(some)
	}
	return nil
}

// restrictions are told apart first: the ledger does not say of which kind one
// is. Those that only the database knows of count with the rest.
func (w *walker) restrictions(ctx context.Context) error {
	if len(w.said.restrictions) == 0 {
		return nil
	}
	err := w.people(ctx, func(_ uuid.UUID, h userHashes) error {
		for _, hash := range h.restriction {
			if s, known := w.said.restrictions[string(hash)]; known {
				s.Subject = models.SubjectUser
				w.said.restrictions[string(hash)] = s
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, some := range standings(w.said.restrictions) {
		for i := range some {
			some[i].Subject = cmp.Or(some[i].Subject, models.SubjectNumber)
		}
		if err := w.db.StandRestrictions(ctx, w.tenant, some); err != nil {
			return fmt.Errorf("restrictions: %w", err)
		}
		w.done.Restrictions += standingOf(some)
	}
	there, err := w.db.StandingRestrictions(ctx, w.tenant)
	if err != nil {
		return fmt.Errorf("restrictions: %w", err)
	}
	for _, s := range there {
		stand(w.said.restrictions, s)
	}
	return nil
}

// records goes through all records, in the order of their making.
func (w *walker) records(ctx context.Context) error {
	r := w.said
	if len(r.numbers)+len(r.histories)+len(r.calls)+len(r.users)+len(r.restrictions) == 0 {
		return nil
	}
	for after := (store.SubjectCall{}); ; {
		calls, err := w.db.SubjectCalls(ctx, w.tenant, after, walkBatch)
		if err != nil {
			return fmt.Errorf("reading records: %w", err)
		}
		if err := w.batch(ctx, calls); err != nil {
			return err
		}
		if len(calls) < walkBatch {
			return nil
		}
		after = calls[len(calls)-1]
	}
}

func (w *walker) batch(ctx context.Context, calls []store.SubjectCall) error {
	var erase, hide, show []uuid.UUID
	for _, call := range calls {
		erased, hidden, err := w.look(call)
		switch {
		case err != nil:
			return err
		case erased:
			erase = append(erase, call.ID)
		case hidden && !call.Restricted:
			hide = append(hide, call.ID)
		case !hidden && call.Restricted:
			show = append(show, call.ID)
		}
	}
	n, err := w.db.EraseCalls(ctx, w.tenant, erase)
	if err != nil {
		return fmt.Errorf("erasing records: %w", err)
	}
	w.done.Erased += n
	if err := w.db.RestrictCalls(ctx, w.tenant, hide, true); err != nil {
		return fmt.Errorf("restricting records: %w", err)
	}
	return w.db.RestrictCalls(ctx, w.tenant, show, false)
}

// look says whether a record is erased, and whether it is hidden; where nothing
// is said of it, it stays as it is.
func (w *walker) look(call store.SubjectCall) (erased, hidden bool, err error) {
	user, err := w.ofUser(call.UserID)
	if err != nil {
		return false, false, err
	}
	number, restriction, err := w.ofNumber(call)
	if err != nil {
		return false, false, err
	}
	r, made := w.said, call.CreatedAt
	var own [][]byte
	if len(r.calls) > 0 {
		if own, err = w.hashes("call", call.ID.String()); err != nil {
			return false, false, err
		}
	}
	if r.calls.takes(own, made) || r.numbers.takes(number, made) || r.histories.takes(user.history, made) || r.users.takes(user.user, made) {
		return true, false, nil
	}
	hidden, known := false, false
	for _, hash := range slices.Concat(restriction, user.restriction) {
		s, said := r.restrictions[string(hash)]
		known = known || said
		hidden = hidden || said && !s.Lifted && call.EndedAt != nil && !call.EndedAt.After(s.At)
	}
	return false, known && hidden || !known && call.Restricted, nil
}

// standings gives objections or restrictions in batches, in an order of their own.
func standings(all map[string]store.Standing) (batches [][]store.Standing) {
	list := make([]store.Standing, 0, len(all))
	for _, s := range all {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b store.Standing) int {
		return cmp.Or(a.Said.Compare(b.Said), bytes.Compare(a.Hash, b.Hash))
	})
	for some := range slices.Chunk(list, walkBatch) {
		batches = append(batches, some)
	}
	return batches
}

func standingOf(some []store.Standing) (n int64) {
	for _, s := range some {
		if !s.Lifted {
			n++
		}
	}
	return n
}

// find gives the moment under the first of the hashes that is known.
func (m moments) find(hashes [][]byte) (at time.Time, found bool) {
	for _, hash := range hashes {
		if at, found = m[string(hash)]; found {
			return at, true
		}
	}
	return at, false
}
