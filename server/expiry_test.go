package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver for a look into the database

	"clicktodial/server/testdb"
)

// A server is killed with SIGKILL when the row of a call is committed, and the
// index's write is on its way and does not arrive. The record ends on time all the
// same, by each layer: Postgres hides it, the index has it again from the first
// look on, the purge deletes it.
func TestKilledBetweenCommitAndIndex(t *testing.T) {
	t.Parallel()
	in := install(t)
	prefix := valueOf(in.env, "REDIS_PREFIX")
	redis := newTap(t, hostOf(t, testdb.RedisURL(t)))
	in.env = append(in.env, "HISTORY_MAX_AGE=6s", "PURGE_INTERVAL=1s")
	direct := in.env
	in.env = append(slices.Clone(direct), "REDIS_URL="+withHost(t, testdb.RedisURL(t), redis.addr()))
	doomed := in.serve(in.database, "practice://?ring=10s")
	in.env = direct
	other := in.serve(in.database, "practice://?ring=10s")
	in.signIn(other)

	dead := make(chan struct{})
	die := sync.OnceFunc(func() { doomed.kill(); <-doomed.gone; close(dead) })
	redis.watch(func(seen []byte) bool {
		if bytes.Contains(seen, []byte("zadd")) {
			die()
			return false
		}
		return true
	}, nil)
	in.ask(http.MethodPost, doomed.base+"/v1/calls", "click-1", `{"number":"020 123 4567"}`)
	select {
	case <-dead:
	case <-time.After(10 * time.Second):
		t.Fatal("the index was never written to")
	}
	calls := in.history(other)
	if len(calls) != 1 {
		t.Fatalf("%d calls in the history, want 1", len(calls))
	}
	id, end := calls[0].ID, calls[0].ExpiresAt
	found := strings.Join(testdb.RedisHolds(t, testdb.RedisURL(t), prefix, id), "\n")
	if !strings.Contains(found, "hist:") || !strings.Contains(found, "due:") {
		t.Errorf("after the first look, Redis: %s", found)
	}
	seen, unseen := 0, 0
	for unseen < 20 {
		sent := time.Now()
		there := len(in.history(other)) == 1
		answered := time.Now()
		switch {
		case !sent.Before(end):
			unseen++
			if there {
				t.Fatalf("it is there %v after its end", sent.Sub(end))
			}
		case answered.Before(end):
			seen++
			if !there {
				t.Fatalf("it is not there %v before its end", end.Sub(answered))
			}
		}
	}
	if seen == 0 {
		t.Error("no look was answered before the end")
	}
	key := fmt.Sprintf("%sdue:%s", prefix, end.UTC().Format(time.DateOnly))
	if n := testdb.Speak(t, testdb.RedisURL(t), "ZCOUNT", key, fmt.Sprintf("(%d", time.Now().UnixMilli()), "+inf"); n != "0" {
		t.Errorf("by score the index has %s living records", n)
	}
	in.await(time.Until(end.Add(time.Second+5*time.Second)), "the row and all that Redis holds of it to be gone", func() bool {
		return rowsOf(t, in.database, id) == 0 && len(testdb.RedisHolds(t, testdb.RedisURL(t), prefix, id, "1234567", "123 4567")) == 0
	})
}

// rowsOf counts a call's rows as ctd_follow sees them: whatever their time.
func rowsOf(t *testing.T, url, id string) (n int) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // one look long
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only looks
	if _, err := tx.Exec("SET LOCAL ROLE ctd_follow"); err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow("SELECT count(*) FROM calls WHERE id = $1", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func valueOf(env []string, name string) string {
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
