package call

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

var statsToday = time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)

// made is calls of people, each of whom has made so many on the day that was so many
// ago.
func made(ago, calls int, outcome string, who ...int) (tallies []store.Tally) {
	for _, n := range who {
		tallies = append(tallies, store.Tally{Day: statsToday.AddDate(0, 0, -ago), UserID: uuid.UUID{15: byte(n + 1)}, Outcome: outcome, Calls: calls})
	}
	return tallies
}

func statsOf(days int, tallies ...[]store.Tally) Stats {
	var all []store.Tally
	for _, some := range tallies {
		all = append(all, some...)
	}
	return figures(Stats{Days: days, From: firstDay(statsToday, days), Withheld: true, Today: statsToday}, all)
}

func TestFigures(t *testing.T) {
	t.Parallel()
	four, five, six := []int{0, 1, 2, 3}, []int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4, 5}
	for _, tt := range []struct {
		name string
		days int
		made [][]store.Tally
		want string // the sum, the days and the outcomes that are shown
	}{
		{"nobody", 7, nil, "withheld"},
		{"four people, many calls", 7, [][]store.Tally{made(0, 100, "hangUp", four...)}, "withheld"},
		{"five people", 7, [][]store.Tally{made(0, 2, "hangUp", five...)}, "10 map[2026-03-31:10] map[hangUp:10]"},
		{"five people of two days", 7, [][]store.Tally{made(1, 2, "hangUp", 0, 1, 2), made(2, 3, "hangUp", 3, 4)}, "12 map[] map[hangUp:12]"},
		{"longer ago than asked", 7, [][]store.Tally{made(7, 1, "hangUp", five...)}, "withheld"},
		{"a few could be subtracted: an outcome", 7, [][]store.Tally{made(1, 1, "hangUp", six...), made(1, 1, "failed", 0, 1)}, "8 map[2026-03-30:8] map[]"},
		{"a few could be subtracted: a day", 7, [][]store.Tally{made(1, 1, "hangUp", six...), made(2, 1, "hangUp", 0, 1), made(3, 1, "hangUp", five...)},
			"13 map[2026-03-30:6] map[hangUp:13]"},
		{"few in two ways that are five together", 7, [][]store.Tally{made(1, 1, "hangUp", six...), made(1, 1, "failed", 0, 1), made(1, 1, "calleeBusy", 2, 3, 4)},
			"11 map[2026-03-30:11] map[hangUp:6]"},
		{"today's few could be subtracted", 7, [][]store.Tally{made(0, 1, "hangUp", five...), made(3, 1, "hangUp", 0, 1)}, "withheld"},
		{"of a few today nothing is said", 1, [][]store.Tally{made(0, 1, "hangUp", four...), made(3, 1, "hangUp", five...)}, "withheld"},
		{"but they count in the week", 7, [][]store.Tally{made(0, 1, "hangUp", four...), made(3, 1, "hangUp", five...)}, "9 map[] map[hangUp:9]"},
		{"an outcome that is not told of all of the month", 30, [][]store.Tally{made(0, 1, "hangUp", five...), made(0, 1, "live", five...), made(9, 1, "hangUp", 0), made(9, 1, "live", five...)},
			"16 map[2026-03-22:6 2026-03-31:10] map[]"},
		{"what the week could not say, the month does", 30, [][]store.Tally{made(0, 1, "hangUp", five...), made(3, 1, "hangUp", 0, 1), made(9, 1, "hangUp", 2, 3, 4)},
			"10 map[2026-03-31:5] map[hangUp:10]"},
	} {
		s := statsOf(tt.days, tt.made...)
		got := fmt.Sprint(s.Calls, s.PerDay, s.Outcomes)
		if s.Withheld {
			got = "withheld"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Whatever was called, each figure, what is left of the sum beside the figures, and
// what two periods differ by, is of five people or of nobody.
func TestNoFigureOfAFew(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	published := 0
	for range 3000 {
		var all []store.Tally
		for range random.IntN(40) {
			all = append(all, made(random.IntN(1+random.IntN(90)), 1+random.IntN(3), []string{"hangUp", "failed", "live"}[random.IntN(3)], random.IntN(9))...)
		}
		last := 0 // days of the next shorter period that has figures
		for _, days := range StatsDays {
			s := statsOf(days, all)
			if s.Withheld {
				continue
			}
			published++
			few(t, "the difference of two periods", all, func(x store.Tally) bool { return within(x, days) && !within(x, last) })
			few(t, "what is left of the days", all, func(x store.Tally) bool {
				_, told := s.PerDay[x.Day.Format(time.DateOnly)]
				return within(x, days) && !told
			})
			for day, n := range s.PerDay {
				if got := few(t, day, all, func(x store.Tally) bool { return x.Day.Format(time.DateOnly) == day }); got != n {
					t.Errorf("%s: %d, not %d", day, n, got)
				}
			}
			if got := few(t, "all", all, func(x store.Tally) bool { return within(x, days) }); got != s.Calls {
				t.Errorf("%d in all, not %d", s.Calls, got)
			}
			for outcome, n := range s.Outcomes {
				if all := few(t, outcome, all, func(x store.Tally) bool { return within(x, days) && x.Outcome == outcome }); n != all {
					t.Errorf("%s: %d, not %d", outcome, n, all)
				}
			}
			last = days
		}
	}
	if published < 1000 {
		t.Errorf("only %d times was there a figure", published)
	}
}

func within(t store.Tally, days int) bool {
	return days > 0 && !t.Day.Before(statsToday.Add(-time.Duration(days-1)*models.Day))
}

// few fails when less than five people, but somebody, made the calls, and counts them.
func few(t *testing.T, what string, all []store.Tally, is func(store.Tally) bool) (n int) {
	t.Helper()
	who := map[uuid.UUID]bool{}
	for _, x := range all {
		if is(x) {
			who[x.UserID] = true
			n += x.Calls
		}
	}
	if len(who) > 0 && len(who) < 5 {
		t.Errorf("%s is of %d people", what, len(who))
	}
	return n
}
