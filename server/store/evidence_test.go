package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

// verify walks the chain as purge verify does and gives how far it holds.
func (b *bundle) verify(t *testing.T) (entries []models.Evidence, err error) {
	t.Helper()
	entries, err = b.db.Evidence(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var before models.Evidence
	for _, e := range entries {
		if err := store.Link(before, e); err != nil {
			return entries, err
		}
		before = e
	}
	return entries, nil
}

// Any single column of any entry, changed by the database's owner, is found.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 4 {
		b.dueCalls(t, 1)
		term := b.startPurge(t)
		if _, err := b.db.DeleteDue(context.Background(), term, store.Batch{Limit: 10}); err != nil {
			t.Fatal(err)
		}
		b.endPurge(t, term)
	}
	if chain, err := b.verify(t); err != nil || len(chain) != 4 {
		t.Fatalf("%d entries, %v", len(chain), err)
	}
	changes := map[string]string{
		"n": "n + 10", "kind": "'erasure'", "tenant_id": "gen_random_uuid()", "started_at": "started_at + interval '1 microsecond'",
		"at": "at - interval '1 microsecond'", "calls": "calls + 1", "others": "others - 1", "interrupted": "NOT interrupted",
		"oldest": "coalesce(oldest, at) + interval '1 microsecond'", "previous": "sha256(previous)", "hash": "sha256(hash)",
	}
	columns := names(t, b.raw, "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'evidence'")
	if len(columns) != len(changes) {
		t.Errorf("columns: %v", columns)
	}
	for _, column := range columns {
		for _, n := range []int64{1, 2, 4} {
			b.asOwner(t, "CREATE TABLE copied AS SELECT * FROM evidence")
			b.asOwner(t, "UPDATE evidence SET "+column+" = "+changes[column]+" WHERE n = $1", n)
			_, err := b.verify(t)
			var broken *store.BrokenChain
			if !errors.As(err, &broken) || broken.N != n {
				t.Errorf("%s of entry %d: %v", column, n, err)
			}
			b.restoreEvidence(t)
		}
	}
	for what, change := range map[string]string{
		"the first is left out": "DELETE FROM evidence WHERE n = 1", "one is left out": "DELETE FROM evidence WHERE n = 3",
		"all but the last":           "DELETE FROM evidence WHERE n < 4",
		"left out, and closed ranks": "WITH gone AS (DELETE FROM evidence WHERE n = 2) UPDATE evidence SET n = n - 1 WHERE n > 2",
	} {
		b.asOwner(t, "CREATE TABLE copied AS SELECT * FROM evidence")
		if strings.HasPrefix(change, "WITH") { // one after the other: n is the key
			b.asOwner(t, "DELETE FROM evidence WHERE n = 2")
			b.asOwner(t, "UPDATE evidence SET n = 2 WHERE n = 3")
			b.asOwner(t, "UPDATE evidence SET n = 3 WHERE n = 4")
		} else {
			b.asOwner(t, change)
		}
		if _, err := b.verify(t); err == nil {
			t.Errorf("%s: not found", what)
		}
		b.restoreEvidence(t)
	}
	if _, err := b.verify(t); err != nil {
		t.Errorf("put back: %v", err)
	}
}

func (b *bundle) restoreEvidence(t *testing.T) {
	t.Helper()
	b.asOwner(t, "DELETE FROM evidence")
	b.asOwner(t, "INSERT INTO evidence SELECT * FROM copied")
	if _, err := b.raw.Exec("DROP TABLE copied"); err != nil {
		t.Fatal(err)
	}
}

// Who adds entries at once does not fork the chain.
func TestEvidenceDoesNotFork(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if _, err := b.db.AddEvidence(context.Background(), models.Evidence{Kind: models.EvidenceErasure, StartedAt: b.at, Calls: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if chain, err := b.verify(t); err != nil || len(chain) != 40 {
		t.Errorf("%d entries, %v", len(chain), err)
	}
}

// An outsider recomputes a hash from the printed line alone.
func TestEntryIsWhatIsHashed(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	tenant, oldest := uuid.New(), time.Date(2026, 3, 29, 1, 30, 0, 1000, time.FixedZone("CEST", 7200))
	for _, e := range []models.Evidence{
		{Kind: models.EvidencePurge, StartedAt: b.at, Interrupted: true},
		{Kind: models.EvidenceContract, TenantID: &tenant, StartedAt: b.at, Calls: 3, Others: 4, Oldest: &oldest},
	} {
		if _, err := b.db.AddEvidence(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	chain, err := b.verify(t)
	if err != nil || len(chain) != 2 {
		t.Fatalf("%v %v", chain, err)
	}
	for _, e := range chain {
		line, err := json.Marshal(store.EntryOf(e))
		if err != nil {
			t.Fatal(err)
		}
		body, hash, ok := strings.Cut(string(line), `,"hash":"`)
		sum := sha256.Sum256([]byte(body + "}"))
		if !ok || strings.TrimSuffix(hash, `"}`) != hex.EncodeToString(sum[:]) {
			t.Errorf("%s", line)
		}
	}
	want := `{"n":2,"kind":"contract","tenantId":"` + tenant.String() + `","startedAt":"` + b.at.Format("2006-01-02T15:04:05.000000Z") + `","at":"`
	line, err := json.Marshal(store.EntryOf(chain[1]))
	if err != nil || !strings.HasPrefix(string(line), want) || !strings.Contains(string(line), `"calls":3,"others":4,"interrupted":false,"oldest":"2026-03-28T23:30:00.000001Z","previous":"`) {
		t.Errorf("%s, %v", line, err)
	}
}

func TestProof(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	other, _, _ := b.newTenant(t, "Other")
	if p, err := b.db.Proof(ctx, b.tenant.ID); err != nil || p.Oldest != nil || p.LastRun != nil || p.N != 0 || p.Head != nil {
		t.Errorf("of nothing: %+v %v", p, err)
	}
	b.startCall(t, "020 123 4567")
	b.asOwner(t, "UPDATE calls SET created_at = created_at - interval '3 days'")
	b.startCall(t, "020 123 4568")
	b.dueCalls(t, 1)
	whole := b.endPurge(t, b.startPurge(t))
	term := b.startPurge(t)
	last, err := b.db.EndPurge(ctx, term, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.db.Proof(ctx, b.tenant.ID)
	if err != nil || p.Oldest == nil || !p.Oldest.Equal(b.at.Add(-72*time.Hour)) {
		t.Errorf("oldest %v, want %v, %v", p.Oldest, b.at.Add(-72*time.Hour), err)
	}
	if p.LastRun == nil || !p.LastRun.Equal(whole.At) || p.N != 2 || hex.EncodeToString(p.Head) != hex.EncodeToString(last.Hash) || !p.HeadAt.Equal(last.At) {
		t.Errorf("%+v", p)
	}
	if p, err := b.db.Proof(ctx, other.ID); err != nil || p.Oldest != nil || p.N != 2 {
		t.Errorf("another tenant's: %+v %v", p, err)
	}
	if whole.Oldest == nil || !whole.Oldest.Before(b.at.Add(-99*models.Day)) {
		t.Errorf("a record that is due, and there, is the oldest left: %v", whole.Oldest)
	}
}
