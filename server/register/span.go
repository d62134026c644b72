package register

import (
	"strconv"
	"time"
)

// units of a span, the longest first, one and many.
var units = []struct {
	length time.Duration
	words  map[string][2]string
}{
	{24 * time.Hour, map[string][2]string{"en": {"day", "days"}, "nl": {"dag", "dagen"}, "de": {"Tag", "Tage"}}},
	{time.Hour, map[string][2]string{"en": {"hour", "hours"}, "nl": {"uur", "uur"}, "de": {"Stunde", "Stunden"}}},
	{time.Minute, map[string][2]string{"en": {"minute", "minutes"}, "nl": {"minuut", "minuten"}, "de": {"Minute", "Minuten"}}},
	{time.Second, map[string][2]string{"en": {"second", "seconds"}, "nl": {"seconde", "seconden"}, "de": {"Sekunde", "Sekunden"}}},
	{time.Millisecond, map[string][2]string{"en": {"millisecond", "milliseconds"}, "nl": {"milliseconde", "milliseconden"}, "de": {"Millisekunde", "Millisekunden"}}},
}

// Span says a length of time in the longest unit that it is a whole number of:
// "90 days", "36 hours", "5 seconds". What is finer than a millisecond is rounded
// up. lang is en, nl or de.
func Span(lang string, d time.Duration) string {
	d = (d + time.Millisecond - 1).Truncate(time.Millisecond)
	unit := units[len(units)-1]
	for _, u := range units {
		if d >= u.length && d%u.length == 0 {
			unit = u
			break
		}
	}
	n := int64(d / unit.length)
	word := unit.words[lang][1]
	if n == 1 {
		word = unit.words[lang][0]
	}
	return strconv.FormatInt(n, 10) + " " + word
}
