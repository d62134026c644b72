package console

import (
	"slices"
	"strconv"

	"clicktodial/server/call"
)

const (
	statsPath = "/console/stats"
	usualDays = 30
)

func (v *visit) statsPage() error {
	days := usualDays
	if text := v.c.Query("days"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || !slices.Contains(call.StatsDays, n) {
			return errNotFound
		}
		days = n
	}
	s, err := v.Company.Stats(v.c.UserContext(), v.session.Actor(), days)
	if err != nil {
		return err
	}
	return v.render("stats", s)
}

// ---- what the template asks

// statsPeriod is a link to the figures of so many days.
type statsPeriod struct {
	Text, URL string
	Here      bool
}

// StatsPeriods are the choices.
func (p *page) StatsPeriods(s call.Stats) (all []statsPeriod) {
	for _, days := range call.StatsDays {
		text := p.Days(days)
		if days == 1 {
			text = p.T("stats-today")
		}
		all = append(all, statsPeriod{text, p.Link(withQuery(statsPath, "days", strconv.Itoa(days))), days == s.Days})
	}
	return all
}

// statsFigure is a figure with what it is of.
type statsFigure struct {
	Label string
	Calls int
}

// StatsOutcomes are the figures by outcome, the most frequent first.
func (p *page) StatsOutcomes(s call.Stats) (all []statsFigure) {
	for _, outcome := range call.Outcomes {
		if n, shown := s.Outcomes[outcome]; shown {
			all = append(all, statsFigure{p.T(outcomeWords[outcome]), n})
		}
	}
	slices.SortStableFunc(all, func(a, b statsFigure) int { return b.Calls - a.Calls })
	return all
}

// StatsPerDay are the figures by day, the newest first.
func (p *page) StatsPerDay(s call.Stats) (all []statsFigure) {
	for _, day := range slices.Backward(s.EachDay()) {
		if n, shown := s.PerDay[day]; shown {
			all = append(all, statsFigure{dayOf(p.Lang, day), n})
		}
	}
	return all
}

// Late says that the period begins later than was asked: there are too many calls.
func (p *page) Late(s call.Stats) string {
	if s.From.After(s.Today.AddDate(0, 0, 1-s.Days)) {
		return p.T("stats-late", p.Day(s.From))
	}
	return ""
}
