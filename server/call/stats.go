package call

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// fewest is how many people a figure is about at least.
const fewest = 5

// StatsDays are the periods that figures are made of, in days of UTC, today included.
var StatsDays = []int{1, 7, 30, 90}

// Stats are figures about the calls of a company, counted from its living records.
// What fewer than five people have made is in none of them.
type Stats struct {
	Days     int
	From     time.Time      // 0:00 UTC of the first day that was counted: later than Days say when there are too many calls
	Withheld bool           // there are no figures: too few people have called, or nothing is kept
	Calls    int            // in all
	PerDay   map[string]int // by day, as in 2026-11-23; a day that is missing is withheld, or nobody called
	Outcomes map[string]int // by outcome; likewise
	Today    time.Time      // the last day that was counted

	untold map[string]bool // outcomes that are withheld of a part of the period
}

// Stats counts the calls of the last days. Whatever is subtracted from whatever, of
// one answer or of those for other periods at that moment, is about five people too:
// a shorter period counts as published with the longer one. Errors: forbidden,
// stats-period-invalid.
func (c *Company) Stats(ctx context.Context, by models.Actor, days int) (Stats, error) {
	if !by.IsAdmin() {
		return Stats{}, errForbidden
	}
	if !slices.Contains(StatsDays, days) {
		return Stats{}, fault.New(fault.Refused, "stats-period-invalid", "There are figures of 1, 7, 30 and 90 days.")
	}
	today := c.Now().UTC().Truncate(models.Day)
	none := Stats{Days: days, From: firstDay(today, days), Withheld: true, Today: today}
	settings, err := c.DB.Settings(ctx, by.TenantID)
	if err != nil || settings.RetentionDays == 0 {
		return none, err
	}
	tallies, more, err := c.DB.Tallies(ctx, by.TenantID, none.From, store.CountLimit)
	if err != nil {
		return none, err
	}
	if more { // the oldest day was not counted to its beginning
		tallies, none.From = withoutOldest(tallies)
	}
	return figures(none, tallies), nil
}

// EachDay gives the days that were counted, the oldest first.
func (s Stats) EachDay() (days []string) {
	for day := s.From; !day.After(s.Today); day = day.AddDate(0, 0, 1) {
		days = append(days, day.Format(time.DateOnly))
	}
	return days
}

func firstDay(today time.Time, days int) time.Time { return today.AddDate(0, 0, 1-days) }

func withoutOldest(tallies []store.Tally) (rest []store.Tally, from time.Time) {
	oldest := slices.MinFunc(tallies, func(a, b store.Tally) int { return a.Day.Compare(b.Day) }).Day
	rest = slices.DeleteFunc(tallies, func(t store.Tally) bool { return t.Day.Equal(oldest) })
	return rest, oldest.AddDate(0, 0, 1)
}

// figures publishes block by block: a block is what a period has beyond the next
// shorter one that was published, and waits for the next period while too few
// people have called in it.
func figures(none Stats, tallies []store.Tally) Stats {
	s := none
	s.Withheld, s.PerDay, s.Outcomes = false, map[string]int{}, map[string]int{}
	s.untold = map[string]bool{}
	var block []store.Tally
	for i, days := range StatsDays {
		if days > none.Days {
			break
		}
		for _, t := range tallies {
			if !t.Day.Before(firstDay(s.Today, days)) && (i == 0 || t.Day.Before(firstDay(s.Today, StatsDays[i-1]))) {
				block = append(block, t)
			}
		}
		if people(block) >= fewest {
			s.publish(block)
			block = nil
		}
	}
	if s.Calls == 0 || len(block) > 0 {
		return none
	}
	return s
}

func (s *Stats) publish(block []store.Tally) {
	s.Calls += calls(block)
	for day, n := range shown(block, func(t store.Tally) string { return t.Day.UTC().Format(time.DateOnly) }) {
		s.PerDay[day] += n
	}
	outcomes := shown(block, func(t store.Tally) string { return t.Outcome })
	for _, t := range block {
		if _, told := outcomes[t.Outcome]; !told {
			s.untold[t.Outcome] = true // a part of it would be taken for all
		}
	}
	for outcome, n := range outcomes {
		s.Outcomes[outcome] += n
	}
	maps.DeleteFunc(s.Outcomes, func(outcome string, _ int) bool { return s.untold[outcome] })
}

// shown counts a block in parts, and leaves out those of too few people; then more
// of them, the smallest first, until what is left out cannot be told from the sum
// of the block, because enough people have made that too.
func shown(block []store.Tally, part func(store.Tally) string) map[string]int {
	parts := map[string][]store.Tally{}
	for _, t := range block {
		parts[part(t)] = append(parts[part(t)], t)
	}
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(people(parts[a])-people(parts[b]), calls(parts[a])-calls(parts[b]), cmp.Compare(a, b))
	})
	var hidden []store.Tally
	counts := map[string]int{}
	for _, name := range names {
		if enough := people(hidden) >= fewest || len(hidden) == 0; enough && people(parts[name]) >= fewest {
			counts[name] = calls(parts[name])
			continue
		}
		hidden = append(hidden, parts[name]...)
	}
	return counts
}

func people(tallies []store.Tally) int {
	who := map[uuid.UUID]bool{}
	for _, t := range tallies {
		who[t.UserID] = true
	}
	return len(who)
}

func calls(tallies []store.Tally) (n int) {
	for _, t := range tallies {
		n += t.Calls
	}
	return n
}
