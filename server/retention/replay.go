package retention

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/store"
)

// clockSlack is by how much the clock that dates a record may be ahead of the one
// that dates its erasure: a record made just after is then erased once more.
const clockSlack = time.Second

// moments says until when records of the subject with a hash are erased.
type moments map[string]time.Time

func (m moments) add(hash string, at time.Time) {
	if at.After(m[hash]) {
		m[hash] = at
	}
}

// takes says whether a record that was made at that time is erased.
func (m moments) takes(hashes [][]byte, made time.Time) bool {
	return slices.ContainsFunc(hashes, func(hash []byte) bool {
		until, known := m[string(hash)]
		return known && !made.After(until)
	})
}

// replay is what the ledger says of one tenant, by kind of line and keyed hash.
type replay struct {
	numbers, histories, calls moments // whose records are erased
	users, leavers            moments // who are gone, with their records or from them
	objections, restrictions  map[string]store.Standing
	wipe                      *time.Time // its contract has ended, and when all of it goes
	ended                     time.Time
}

func newReplay() *replay {
	return &replay{
		numbers: moments{}, histories: moments{}, calls: moments{}, users: moments{}, leavers: moments{},
		objections: map[string]store.Standing{}, restrictions: map[string]store.Standing{},
	}
}

// add takes note of a line, and says whether it knows the kind. Lines may come
// twice, and late.
func (r *replay) add(line LedgerLine, hash []byte) (known bool) {
	until := line.At.Add(clockSlack)
	if line.Before != nil && line.Before.Before(until) {
		until = *line.Before
	}
	switch line.Kind {
	case "number":
		r.numbers.add(string(hash), until)
	case "history":
		r.histories.add(string(hash), until)
	case "call":
		r.calls.add(string(hash), until)
	case "user":
		r.users.add(string(hash), line.At)
	case "leaver":
		r.leavers.add(string(hash), line.At)
	case "objection", "objection-lifted":
		stand(r.objections, store.Standing{Hash: hash, Said: line.At, At: until, Lifted: line.Kind == "objection-lifted"})
	case "restriction", "restriction-lifted":
		stand(r.restrictions, store.Standing{Hash: hash, Said: line.At, At: until, Lifted: line.Kind == "restriction-lifted"})
	case "tenant":
		r.ended, r.wipe = line.At, &line.At
		if line.Before != nil {
			r.wipe = line.Before
		}
	default:
		return false
	}
	return true
}

// stand keeps the newest word on a subject.
func stand(all map[string]store.Standing, s store.Standing) {
	if before, known := all[string(s.Hash)]; !known || s.Said.After(before.Said) {
		all[string(s.Hash)] = s
	}
}

// plan is the whole ledger, by tenant.
type plan struct {
	tenants map[uuid.UUID]*replay
	entries int64 // that say whom
	newest  int64
	owner   uuid.UUID
	unknown int // lines that a newer version wrote
	torn    int
}

// readPlan reads the ledger of an installation; of any when it is Nil.
func readPlan(path string, installation uuid.UUID) (*plan, error) {
	p := &plan{tenants: map[uuid.UUID]*replay{}}
	var file seen
	torn, err := readLedger(path, func(line LedgerLine) {
		file.add(line)
		p.add(line)
	})
	if err != nil {
		return nil, err
	}
	if installation == uuid.Nil {
		installation = file.owner
	}
	if !file.of(installation) {
		return nil, errForeign
	}
	p.newest, p.owner, p.torn = file.newest, installation, torn
	return p, nil
}

func (p *plan) add(line LedgerLine) {
	switch line.Kind {
	case "revocation", "marker", "restored":
		return
	}
	hash, err := hex.DecodeString(line.Hash)
	if err != nil || line.Tenant == uuid.Nil {
		p.unknown++
		return
	}
	if p.tenants[line.Tenant] == nil {
		p.tenants[line.Tenant] = newReplay()
	}
	if !p.tenants[line.Tenant].add(line, hash) {
		p.unknown++
		return
	}
	p.entries++
}
