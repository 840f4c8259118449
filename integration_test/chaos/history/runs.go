package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// judgeRuns looks at all runs of one id.
func (j *judge) judgeRuns(runs []*run) {
	for i, n := range runs {
		j.Runs++
		j.judgeStart(n)
		switch {
		case i == 0:
		case n.start.Once:
			j.violation(&j.RepeatedRuns, "repeated-runs", "%s id %s is at most once: %s", n.start.Key, n.start.ID, j.describe(n.start.ID))
		case slices.ContainsFunc(runs[:i], func(before *run) bool { return j.explained(before, n) || j.caught(before, n) }):
			j.ExplainedReruns++
		default:
			j.violation(&j.RepeatedRuns, "repeated-runs", "%s id %s run %d: %s", n.start.Key, n.start.ID, i+1, j.describe(n.start.ID))
		}
	}
}

// judgeStart looks whether a run began in time.
func (j *judge) judgeStart(n *run) {
	r := j.requests[n.start.Key]
	if r == nil {
		j.problem("%s ran, but nobody has asked for it", n.start.Key)
		return
	}
	late := n.start.T - (r.submit.T + r.submit.Span)
	if late > j.lateAllowance(r, n) && !j.caughtLate(r, n) {
		j.violation(&j.LateStart, "late-start", "%s id %s (%s) began %v after its deadline: %s", n.start.Key, n.start.ID,
			r.submit.Class, time.Duration(late), j.describe(n.start.ID))
	}
}

// describe tells the runs of an id, each with its time since the history's
// first phase.
func (j *judge) describe(id string) string {
	if len(j.runs[id]) == 0 {
		return "no runs"
	}
	var b strings.Builder
	for _, n := range j.runs[id] {
		fmt.Fprintf(&b, "[%s attempt %d rerun %t from %s", n.start.Proc, n.start.Attempt, n.start.Rerun, j.at(n.start.T))
		if n.end > 0 {
			fmt.Fprintf(&b, " to %s: %s", j.at(n.end), n.how)
		}
		b.WriteString("] ")
	}
	return strings.TrimSpace(b.String())
}

func (j *judge) describeKey(key string) string {
	for _, id := range j.ids {
		if j.runs[id][0].start.Key == key {
			return id + " " + j.describe(id)
		}
	}
	return "no runs"
}

// at is a moment, in seconds since the load began, and as it is in the files.
func (j *judge) at(t int64) string {
	return fmt.Sprintf("%.3fs (%d)", time.Duration(t-j.phases[PhaseLoad]).Seconds(), t)
}

// measure takes the times.
func (j *judge) measure() {
	var took []int64
	for _, key := range j.keys {
		r := j.requests[key]
		if r.outcome == nil {
			continue
		}
		if r.outcome.Code == "OK" && r.submit.Class != Warm && r.submit.Class != Probe {
			took = append(took, r.outcome.T-r.submit.T)
		}
		if quiet := j.phases[PhaseQuiet]; r.submit.T < quiet {
			j.SettleMS = max(j.SettleMS, millis(r.outcome.T-quiet))
		}
	}
	j.P99MS = millis(quantile(took, 0.99))
	j.attacked()
	recoveries := j.recoveries()
	j.Recoveries = len(recoveries)
	j.MedianRecoveryMS, j.MaxRecoveryMS = millis(quantile(recoveries, 0.5)), millis(quantile(recoveries, 1))
	j.DurationMS = millis(j.phases[PhaseEnd] - j.phases[PhaseLoad])
}

// inTimeMin is the part of replies that must come in time from an attacked broker.
const inTimeMin = 0.95

// attacked judges what a broker must hold to that is attacked.
func (j *judge) attacked() {
	if most := j.setup.MemoryMax; most > 0 && int64(j.PeakRSSMiB)<<20 > most {
		j.problem("the broker took %d MiB, %d at most are allowed", j.PeakRSSMiB, most>>20)
	}
	for _, attack := range slices.Sorted(maps.Keys(j.setup.Met)) {
		if counter := j.setup.Met[attack]; j.Counters[counter] == 0 {
			j.problem("the broker has not noticed %s: its counter %s is 0", attack, counter)
		}
	}
	if j.setup.Within == 0 {
		return
	}
	asked, inTime := 0, 0
	for _, key := range j.keys {
		if r := j.requests[key]; r.submit.Class == Generous {
			asked++
			if r.outcome != nil && r.outcome.Code == "OK" && r.outcome.T-r.submit.T <= int64(j.setup.Within) {
				inTime++
			}
		}
	}
	if float64(inTime) < inTimeMin*float64(asked) {
		j.problem("%d of %d replies came within %v, %.0f %% must", inTime, asked, j.setup.Within, 100*inTimeMin)
	}
}

// recoveries are the times from a worker's SIGKILL to the next start of each
// request that it was running.
func (j *judge) recoveries() (times []int64) {
	for i := range j.faults {
		f := &j.faults[i]
		if f.kind != Kill || Role(f.target) != "worker" {
			continue
		}
		for _, id := range j.ids {
			runs := j.runs[id]
			held := slices.ContainsFunc(runs, func(n *run) bool {
				return n.start.Proc == f.target && n.start.T <= f.from && (n.end == 0 || n.end > f.from)
			})
			next := slices.IndexFunc(runs, func(n *run) bool { return n.start.T > f.from && n.start.Proc != f.target })
			if held && next >= 0 {
				times = append(times, runs[next].start.T-f.from)
			}
		}
	}
	return times
}

// quantile is the value that the share q of the values do not exceed; 0 if
// there are none.
func quantile(values []int64, q float64) int64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(q*float64(len(values)-1))]
}
