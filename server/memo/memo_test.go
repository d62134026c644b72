package memo_test

import (
	"testing"
	"time"

	"clicktodial/server/memo"
)

func TestMemo(t *testing.T) {
	t.Parallel()
	var m memo.Memo[int, string]
	now := time.Now()
	want := func(key int, at time.Time, value string, there bool) {
		t.Helper()
		if got, ok := m.Find(key, at); ok != there || (ok && got != value) {
			t.Errorf("%d: %q %v, want %q %v", key, got, ok, value, there)
		}
	}
	want(1, now, "", false)
	m.Put(1, "one", now, now.Add(time.Second))
	want(1, now.Add(time.Second-1), "one", true)
	want(1, now.Add(time.Second), "", false)
	later := now.Add(time.Second)
	for key := 2; key <= memo.Most; key++ {
		m.Put(key, "more", now, later.Add(1))
	}
	want(1, later.Add(-1), "one", true)
	m.Put(0, "next", later, later.Add(time.Second)) // one's time is over: it makes room
	want(0, later, "next", true)
	want(2, later, "more", true)
	m.Put(-1, "last", later, later.Add(time.Second)) // nobody's time is over: all go
	want(2, later, "", false)
	want(-1, later, "last", true)
}
