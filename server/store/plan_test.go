package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// crowd is a company with many calls: what is common in it is very common, what is
// rare is rare, and some things are only in its oldest calls.
type crowd struct {
	*bundle
	size           int
	busy, idle     uuid.UUID // users: of a fifth of the calls, and of none
	common, single phone.Number
}

func newCrowd(t *testing.T, size int) crowd {
	t.Helper()
	b := newBundle(t)
	other, _, _ := b.newTenant(t, "Other")
	c := crowd{
		bundle: b, size: size, busy: b.newUser(t, b.tenant, "busy@example.test").ID, idle: b.newUser(t, b.tenant, "idle@example.test").ID,
		common: number(t, "020 123 4567"), single: number(t, "030 765 4321"),
	}
	fill := fmt.Sprintf(`
	ALTER TABLE calls DISABLE TRIGGER USER;
	INSERT INTO users (id, tenant_id, email, role)
	SELECT md5('user ' || i)::uuid, '%[2]s', 'u' || i || '@example.test', 'user' FROM generate_series(0, 1999) i;
	INSERT INTO calls (id, tenant_id, user_id, device_label, number, name, number_masked, last_four, status, rank, reason, diagnosis,
		replica_id, channel_id, created_at, ended_at, expires_at)
	SELECT md5('call ' || i)::uuid, CASE WHEN i %% 10 = 9 THEN '%[3]s' ELSE '%[2]s' END::uuid,
		CASE WHEN i %% 10 = 9 THEN '%[5]s' WHEN i %% 5 = 0 THEN '%[4]s' ELSE md5('user ' || i %% 2000)::text END::uuid, 'Desk',
		number, CASE WHEN i = %[1]d / 2 THEN 'Zwaluw ' WHEN i %% 2 = 0 THEN 'Jan ' ELSE 'Piet ' END || CASE WHEN i > %[1]d * 0.9 THEN 'Oud' ELSE 'Nieuw' || i %% 100 END,
		'+31 20 123 4***', right(number, 4), CASE WHEN i < 30 THEN 'connected' WHEN i = %[1]d / 3 THEN 'failed' ELSE 'disconnected' END,
		CASE WHEN i < 30 THEN 3 ELSE 4 END, CASE WHEN i < 30 OR i = %[1]d / 3 THEN NULL WHEN i > %[1]d * 0.9 THEN 'calleeBusy' WHEN i %% 3 = 0 THEN 'calleeNoAnswer' ELSE 'hangUp' END,
		CASE WHEN i >= 30 THEN 'hung-up' END, gen_random_uuid(), 'c' || i, at, CASE WHEN i >= 30 THEN at END, date_trunc('milliseconds', now() + interval '1 day')
	FROM (SELECT i, date_trunc('milliseconds', now() - i * interval '10 ms') AS at,
		CASE WHEN i = %[1]d / 2 THEN '%[7]s' WHEN i %% 3 = 0 THEN '%[6]s' WHEN i %% 3 = 1 THEN '+3130' || to_char(i %% 100, 'FM000') || '4567' ELSE '+3140' || to_char(i %% 9000000, 'FM0000000') END AS number
		FROM generate_series(0, %[1]d - 1) i) x;
	INSERT INTO call_words (tenant_id, call_id, word, created_at, expires_at)
	SELECT c.tenant_id, c.id, w, c.created_at, c.expires_at FROM calls c, unnest(regexp_split_to_array(lower(c.name), '\s+')) w WHERE w <> '';
	ALTER TABLE calls ENABLE TRIGGER USER;`,
		size, b.tenant.ID, other.ID, c.busy, b.otherUser(t, other), c.common.Reveal(), c.single.Reveal())
	b.asOwner(t, fill)
	if _, err := b.raw.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.raw.Exec("VACUUM"); err != nil { // as autovacuum would: index-only scans, and the pages of what was undone
		t.Fatal(err)
	}
	return c
}

func (b *bundle) otherUser(t *testing.T, tenant models.Tenant) uuid.UUID {
	t.Helper()
	return b.newUser(t, tenant, "other-user@example.test").ID
}

// node is a step of a plan, as EXPLAIN (ANALYZE, FORMAT JSON) tells of it.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Method   string  `json:"Sort Method"`
	Hits     float64 `json:"Shared Hit Blocks"`
	Reads    float64 `json:"Shared Read Blocks"`
	Plans    []node  `json:"Plans"`
}

type plan struct {
	Root node    `json:"Plan"`
	Took float64 `json:"Execution Time"` // ms
}

func (n node) each(fn func(node)) {
	fn(n)
	for _, below := range n.Plans {
		below.each(fn)
	}
}

// read is how many rows were taken from tables and indexes.
func (n node) read() (rows float64) {
	n.each(func(n node) {
		if n.Relation != "" {
			rows += (n.Rows + n.Removed) * max(n.Loops, 1)
		}
	})
	return rows
}

// sorted is the size of the largest sort.
func (n node) sorted() (rows float64) {
	n.each(func(n node) {
		if strings.Contains(n.Type, "Sort") && len(n.Plans) > 0 {
			rows = max(rows, n.Plans[0].Rows)
		}
	})
	return rows
}

func (n node) String() string {
	var out strings.Builder
	n.each(func(n node) {
		fmt.Fprintf(&out, "%s %s %s: %.0f rows, %.0f loops, %.0f removed\n", n.Type, n.Relation, n.Index, n.Rows, n.Loops, n.Removed)
	})
	return out.String()
}

// explain runs the statement as the API's role in the name of the tenant.
func (c crowd) explain(t *testing.T, statement string, args ...any) plan {
	t.Helper()
	return c.explainAs(t, "ctd_app", statement, args...)
}

func (c crowd) explainAs(t *testing.T, role, statement string, args ...any) plan {
	t.Helper()
	var raw []byte
	c.as(t, role, c.tenant.ID, func(tx *sql.Tx) {
		if err := tx.QueryRow("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+statement, args...).Scan(&raw); err != nil {
			t.Fatal(err)
		}
	})
	var plans []plan
	if err := json.Unmarshal(raw, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0]
}

// searches are the filters, each alone and together, and how many rows the
// statement for a page of 50 may read.
func (c crowd) searches() map[string]struct {
	search store.CompanySearch
	most   float64
} {
	type row = struct {
		search store.CompanySearch
		most   float64
	}
	const page, look = 50 * 50, 5 * 5000 // some tables are asked for each row that is looked at
	words := func(text string) store.Search { return store.Search{Words: text} }
	middle := c.at.Add(-time.Duration(c.size/2) * 10 * time.Millisecond)
	return map[string]row{
		"nothing":                   {store.CompanySearch{}, page},
		"from":                      {store.CompanySearch{Search: store.Search{From: middle}}, page},
		"to":                        {store.CompanySearch{Search: store.Search{To: middle}}, page},
		"from and to":               {store.CompanySearch{Search: store.Search{From: middle.Add(-time.Minute), To: middle}}, page},
		"a busy user":               {store.CompanySearch{UserID: c.busy}, page},
		"an idle user":              {store.CompanySearch{UserID: c.idle}, page},
		"a user of elsewhere":       {store.CompanySearch{UserID: uuid.New()}, page},
		"a common outcome":          {store.CompanySearch{Outcome: "hangUp"}, page},
		"an outcome of long ago":    {store.CompanySearch{Outcome: "calleeBusy"}, page},
		"an outcome of one call":    {store.CompanySearch{Outcome: "failed"}, page},
		"an outcome that is none's": {store.CompanySearch{Outcome: "callerFailure"}, page},
		"live":                      {store.CompanySearch{Outcome: store.OutcomeLive}, page},
		"a common number":           {store.CompanySearch{Search: store.Search{Number: c.common}}, page},
		"a number of one call":      {store.CompanySearch{Search: store.Search{Number: c.single}}, page},
		"common last four":          {store.CompanySearch{Search: store.Search{LastFour: "4567"}}, page},
		"last four of one call":     {store.CompanySearch{Search: store.Search{LastFour: "4321"}}, page},
		"last four of none":         {store.CompanySearch{Search: store.Search{LastFour: "xxxx"}}, page},
		"a common word":             {store.CompanySearch{Search: words("jan")}, page},
		"a word of long ago":        {store.CompanySearch{Search: words("oud")}, page},
		"a word of one call":        {store.CompanySearch{Search: words("zwaluw")}, page},
		"a word of none":            {store.CompanySearch{Search: words("niemand")}, page},

		"two common words":                  {store.CompanySearch{Search: words("jan nieuw4")}, page},
		"two words that never meet":         {store.CompanySearch{Search: words("jan piet")}, look},
		"a rare word, and a user":           {store.CompanySearch{Search: words("zwaluw"), UserID: c.busy}, page},
		"a word, and a user without":        {store.CompanySearch{Search: words("jan"), UserID: c.idle}, page},
		"a word of long ago, and a number":  {store.CompanySearch{Search: store.Search{Words: "oud", Number: c.common}}, look},
		"a user, and an outcome":            {store.CompanySearch{UserID: c.busy, Outcome: "hangUp"}, page},
		"a user, and an outcome of old":     {store.CompanySearch{UserID: c.busy, Outcome: "calleeBusy"}, look},
		"an outcome of old, and a new word": {store.CompanySearch{Outcome: "calleeBusy", Search: words("nieuw3")}, look},
		"live, and a word":                  {store.CompanySearch{Outcome: store.OutcomeLive, Search: words("jan")}, look},
		"all there is": {store.CompanySearch{Outcome: "hangUp", UserID: c.busy, Search: store.Search{
			Words: "jan", LastFour: "4567", Number: c.common, From: middle.Add(-time.Hour), To: c.at}}, look},
	}
}

func TestHistoryPlans(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 60_000)
	t.Run("of the company", c.companyPlans)
	t.Run("one's own", c.ownPlans)
	t.Run("far back", c.looksFar)
	t.Run("figures", c.figurePlans)
	t.Run("audit", c.auditPlans)
	t.Run("living", c.livingPlans)
}

// Under row-level security no filter of the company's history, alone or with
// others, reads a table from end to end, sorts what it meets, or reads much more
// than it shows.
func (c crowd) companyPlans(t *testing.T) {
	for name, row := range c.searches() {
		for at, page := range map[string]store.Page{
			"first page":   {Limit: 50},
			"a later page": {Limit: 50, At: c.at.Add(-time.Duration(c.size/4) * 10 * time.Millisecond), ID: uuid.Max},
		} {
			c.checkAll(t, name+", "+at, c.db.CompanyStatements(t.Context(), c.tenant.ID, page, row.search), row.most)
		}
	}
}

// checkAll checks the count of each way to a page, where there are several, and the page.
func (c crowd) checkAll(t *testing.T, name string, all []store.Statement, most float64) {
	t.Helper()
	for i, s := range all {
		if i < len(all)-1 {
			c.check(t, name+", counted", s, most+1000*float64(strings.Count(s.SQL, "count(")), 1000)
			continue
		}
		c.check(t, name, s, most, 100)
	}
}

func (c crowd) check(t *testing.T, name string, s store.Statement, most, sorts float64) {
	t.Helper()
	p := c.explain(t, s.SQL, s.Args...)
	p.Root.each(func(n node) {
		if n.Type == "Seq Scan" && n.Relation != "" {
			t.Errorf("%s reads all of %s:\n%s", name, n.Relation, p.Root)
		}
	})
	if read := p.Root.read(); read > most || p.Root.Hits+p.Root.Reads > 4*most {
		t.Errorf("%s reads %.0f rows and %.0f blocks:\n%s", name, read, p.Root.Hits+p.Root.Reads, p.Root)
	}
	if sorted := p.Root.sorted(); sorted > sorts {
		t.Errorf("%s sorts %.0f rows:\n%s", name, sorted, p.Root)
	}
	if testing.Verbose() {
		t.Logf("%s: %.1f ms, %.0f rows, %.0f blocks", name, p.Took, p.Root.read(), p.Root.Hits+p.Root.Reads)
	}
}

// The user's own history, and one call.
func (c crowd) ownPlans(t *testing.T) {
	const page = 50 * 50
	c.check(t, "own history", c.db.HistoryStatement(c.tenant.ID, c.busy, store.Page{Limit: 50}), page, 0)
	c.check(t, "own history, later", c.db.HistoryStatement(c.tenant.ID, c.busy, store.Page{Limit: 50, At: c.at.Add(-time.Minute), ID: uuid.Max}), page, 0)
	c.check(t, "own history of none", c.db.HistoryStatement(c.tenant.ID, c.idle, store.Page{Limit: 50}), page, 0)
	for name, search := range map[string]store.Search{
		"number": {Number: c.common}, "number of one call": {Number: c.single}, "last four": {LastFour: "4567"}, "last four of one call": {LastFour: "4321"},
		"word": {Words: "jan"}, "rare word": {Words: "zwaluw"}, "word of none": {Words: "niemand"}, "words": {Words: "jan nieuw4"},
	} {
		for who, user := range map[string]uuid.UUID{"busy": c.busy, "idle": c.idle} {
			own := store.CompanySearch{Search: search, UserID: user}
			c.checkAll(t, who+" user's own "+name, c.db.CompanyStatements(t.Context(), c.tenant.ID, store.Page{Limit: 51}, own), page)
		}
	}
	var id uuid.UUID
	c.as(t, "ctd_app", c.tenant.ID, func(tx *sql.Tx) {
		if err := tx.QueryRow("SELECT id FROM calls WHERE user_id = $1 LIMIT 1", c.busy).Scan(&id); err != nil {
			t.Fatal(err)
		}
	})
	c.check(t, "one call", c.db.CallStatement(c.tenant.ID, c.busy, id), 2, 0)
}

// What the Redis TTL index is built again from is in one index of Postgres's.
func (c crowd) livingPlans(t *testing.T) {
	for name, s := range store.LivingStatements(c.tenant.ID, c.busy, c.at) {
		p := c.explainAs(t, "ctd_retention", s.SQL, s.Args...)
		p.Root.each(func(n node) {
			if n.Relation != "" && n.Type != "Index Only Scan" || strings.Contains(n.Type, "Sort") {
				t.Errorf("%s:\n%s", name, p.Root)
			}
		})
	}
}

// A search that meets little gives all of it, page by page, however deep it lies.
func (c crowd) looksFar(t *testing.T) {
	search := store.CompanySearch{UserID: c.busy, Outcome: "calleeBusy"}
	var want int
	c.as(t, "ctd_app", c.tenant.ID, func(tx *sql.Tx) {
		if err := tx.QueryRow("SELECT count(*) FROM calls WHERE user_id = $1 AND outcome = 'calleeBusy'", c.busy).Scan(&want); err != nil {
			t.Fatal(err)
		}
	})
	seen, pages := map[uuid.UUID]bool{}, 0
	for page := (store.Page{Limit: 100}); pages <= want; pages++ {
		l, err := c.db.CompanyHistory(context.Background(), c.tenant.ID, page, search, models.Audit{})
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range l.Calls {
			if seen[call.ID] || call.UserID != c.busy || *call.Outcome != "calleeBusy" {
				t.Errorf("%s again, or not looked for", call.ID)
			}
			seen[call.ID] = true
		}
		if !l.More {
			break
		}
		page = l.Next
	}
	if len(seen) != want || want == 0 {
		t.Errorf("%d calls on %d pages, want %d", len(seen), pages, want)
	}
}

// The audit of a company with much of it: no filter, however rare what it asks for,
// reads more than it shows.
func (c crowd) auditPlans(t *testing.T) {
	c.asOwner(t, fmt.Sprintf(`ALTER TABLE devices DISABLE TRIGGER USER;
	INSERT INTO grants (id, tenant_id, user_id, client_id, device_name, support_code, scopes, made_by, expires_at)
	SELECT md5('user ' || i)::uuid, '%[1]s', md5('user ' || i)::uuid, 'extension', 'Chrome', translate(to_char(i, 'FM000000'), '0123456789', 'ABCDEFGHIJ'), 'all', 'user', now() FROM generate_series(0, 1999) i;
	INSERT INTO devices (id, tenant_id, user_id, label, endpoint)
	SELECT id, tenant_id, user_id, 'Desk', '1' FROM grants;
	INSERT INTO audit (id, tenant_id, at, actor_kind, actor_id, action, subject_kind, subject_id)
	SELECT md5('audit ' || i)::uuid, CASE WHEN i %% 10 = 9 THEN md5('elsewhere')::uuid ELSE '%[1]s' END, now() - i * interval '1 s', 'user',
		CASE WHEN i %% 5 = 0 THEN '%[2]s' ELSE md5('user ' || i %% 2000)::uuid END, CASE WHEN i = 29990 THEN 'reveal' WHEN i %% 2 = 0 THEN 'export' ELSE 'sign-in' END,
		(ARRAY['user', 'grant', 'device'])[1 + i %% 3], md5('user ' || i %% 2000)::uuid
	FROM generate_series(0, 29999) i;
	ALTER TABLE devices ENABLE TRIGGER USER;`, c.tenant.ID, c.busy))
	if _, err := c.raw.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	const page = 50 * 20 // the people, sign-in and phone of each entry, too
	middle := c.at.Add(-15_000 * time.Second)
	for name, search := range map[string]store.AuditSearch{
		"nothing": {}, "a busy actor": {ActorID: c.busy}, "an idle actor": {ActorID: c.idle}, "a common action": {Action: "export"}, "a rare action": {Action: "reveal"},
		"an action of none": {Action: "no-such"}, "from": {From: middle}, "to": {To: middle}, "from and to": {From: middle.Add(-time.Minute), To: middle},
		"an actor, an action and a time": {ActorID: c.busy, Action: "export", From: middle, To: c.at},
	} {
		for at, page50 := range map[string]store.Page{"first page": {Limit: 51}, "a later page": {Limit: 51, At: middle, ID: uuid.Max}} {
			c.check(t, "audit, "+name+", "+at, c.db.AuditStatement(c.tenant.ID, page50, search), page, 100)
		}
	}
}

// Figures read the calls of their period, and no more of them than so many.
func (c crowd) figurePlans(t *testing.T) {
	const limit, late = 5000, 30 * time.Second // a tenth of the calls, and a twentieth of the time
	c.check(t, "figures, of many calls", c.db.TallyStatement(c.tenant.ID, time.Time{}, limit), 1.2*limit, limit)
	c.check(t, "figures, of the last calls", c.db.TallyStatement(c.tenant.ID, c.at.Add(-late), 100_000), 1.2*3000, 3000)
	all, more, err := c.db.Tallies(t.Context(), c.tenant.ID, time.Time{}, limit)
	calls := 0
	for _, tally := range all {
		calls += tally.Calls
	}
	if err != nil || !more || calls != limit+1 {
		t.Errorf("%d calls, more %v: %v", calls, more, err)
	}
}
