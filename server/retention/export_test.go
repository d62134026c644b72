package retention

import (
	"context"
	"time"
)

// Steps are the places in a run at which a process may die.
var Steps = []string{string(stepTaken), string(stepBatch), string(stepRedis), string(stepDone), string(stepEnded)}

// After has fn told of each step of the job's runs.
func (j *PurgeJob) After(fn func(string)) { j.afterStep = func(s step) { fn(string(s)) } }

// Each is the job's schedule.
func Each(ctx context.Context, interval time.Duration, do func()) error {
	return each(ctx, interval, do)
}

// CallBatch is how many calls a batch takes.
func CallBatch() int { return callBatches[0] }

// MonthAfter is when a request is due.
var MonthAfter = monthAfter

// ExportPage is how many rows an export holds in memory.
const ExportPage = exportPage
