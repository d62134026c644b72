package models

import "time"

// Day is 24 hours, whatever the clocks on the wall do.
const Day = 24 * time.Hour

// LongestCall is how long a call may last before we hang it up.
const LongestCall = 4 * time.Hour

// Expiry says when the record of a call made at created ends, and whether it
// goes with the call's end already (a retention of 0 days). days is the tenant's
// choice, 0 to 365; maxAge is HISTORY_MAX_AGE, the ceiling over it. The result
// is in whole milliseconds: Redis, JSON and Postgres must agree to the last one.
func Expiry(created time.Time, days int, maxAge time.Duration) (at time.Time, deleteAtEnd bool) {
	keep := Keep(days, maxAge)
	if days == 0 {
		keep, deleteAtEnd = LongestCall, true
	}
	return created.Add(min(keep, maxAge)).Truncate(time.Millisecond).UTC(), deleteAtEnd
}

// Keep is how long the records of a tenant are kept: its days, 0 to 365, under the
// ceiling. 0 days keep none beyond its call's end.
func Keep(days int, ceiling time.Duration) time.Duration {
	return min(time.Duration(days)*Day, ceiling)
}
