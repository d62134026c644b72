package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is one row of the table.
type result struct {
	what, figure, yardstick, compared, goal string // goal: "" where none is set
	met                                     bool
	missing                                 string // why it was not measured
}

// rateResult compares rates with those of a yardstick, by the median of the rounds' shares.
func rateResult(what string, rates []float64, yardstick string, yard, share []float64, goal float64) result {
	return result{
		what: what, figure: spread(rates, "%.0f") + " /s", yardstick: yardstick + " " + spread(yard, "%.0f") + " /s",
		compared: fmt.Sprintf("%.0f %%", 100*median(share)), goal: fmt.Sprintf("at least %.0f %%", 100*goal), met: median(share) >= goal,
	}
}

// spread is a median with the lowest and the highest.
func spread(values []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", median(values), slices.Min(values), slices.Max(values))
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile gives the value at or below which that share lies (nearest rank); the
// median of an even number is the mean of its two middle values.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); q == 0.5 && n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

var errMissed = errors.New("not everything could be measured, and CI is set")

// print writes the table. A goal that is missed is no failure of the measuring.
func (b *bench) print(ctx context.Context, w io.Writer) error {
	version := ""
	if err := b.data.conn.QueryRow(ctx, "SELECT split_part(version(), ' ', 2)").Scan(&version); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nClick-to-Dial, %d rounds, medians (lowest–highest); %d processors, PostgreSQL %s (fsync on), %s\n",
		b.rounds, runtime.NumCPU(), version, runtime.Version())
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "\n\tmeasured\tyardstick of the same run\tcompared\tgoal\tmet")
	missing := false
	for _, r := range b.results {
		if r.missing != "" {
			missing = true
			fmt.Fprintf(t, "%s\tNOT MEASURED\t\t\t%s\tunknown\n", r.what, r.goal)
			continue
		}
		met := "yes"
		switch {
		case r.goal == "":
			met = ""
		case !r.met:
			met = "NO"
		}
		fmt.Fprintln(t, strings.Join([]string{r.what, r.figure, r.yardstick, r.compared, r.goal, met}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range b.results {
		if r.missing != "" {
			fmt.Fprintf(w, "\n!!! NOT MEASURED: %s: %s\n", r.what, r.missing)
		}
	}
	for _, note := range b.notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	fmt.Fprintln(w)
	if missing && os.Getenv("CI") != "" {
		return errMissed
	}
	return nil
}
