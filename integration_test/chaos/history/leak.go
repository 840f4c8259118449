package history

import "slices"

// What a process may have more of at the end than before the load.
const (
	fdTolerance        = 8
	goroutineTolerance = 10
)

// A level is what a process holds while it is idle.
type level struct{ fds, goroutines int }

// judgeLeaks compares what each process holds when all is settled with what
// the process in its slot held before the load. Of what was measured before
// the highest counts and of what is measured at the end the lowest, for what
// comes and goes is no leak.
func (j *judge) judgeLeaks() {
	before, after := map[string]level{}, map[string]level{}
	for i := range j.gauges {
		g := &j.gauges[i]
		slot := Slot(g.Proc)
		switch {
		case g.T > j.phases[PhaseIdleBefore] && g.T < j.phases[PhaseLoad]:
			l := before[slot]
			before[slot] = level{max(l.fds, g.FDs), max(l.goroutines, g.Goroutines)}
		case g.T > j.phases[PhaseIdleAfter] && g.T < j.phases[PhaseEnd]:
			l, seen := after[slot]
			if !seen {
				l = level{g.FDs, g.Goroutines}
			}
			after[slot] = level{min(l.fds, g.FDs), min(l.goroutines, g.Goroutines)}
		}
	}
	slots := make([]string, 0, len(before))
	for slot := range before {
		slots = append(slots, slot)
	}
	slices.Sort(slots)
	if len(slots) == 0 {
		j.problem("nothing was measured before the load")
	}
	for _, slot := range slots {
		b, a := before[slot], after[slot]
		if b.fds == 0 || a.fds == 0 {
			j.problem("%s was not measured: %d open files before the load, %d at the end", slot, b.fds, a.fds)
		}
		if a.fds > b.fds+fdTolerance {
			j.leak(&j.FDLeak, "fd-leak", slot, "open files", b.fds, a.fds)
		}
		if a.goroutines > b.goroutines+goroutineTolerance {
			j.leak(&j.GoroutineLeak, "goroutine-leak", slot, "goroutines", b.goroutines, a.goroutines)
		}
	}
}

func (j *judge) leak(sum *int, word, slot, what string, before, after int) {
	var once int
	j.violation(&once, word, "%s had %d %s before the load, and has %d at the end", slot, before, what, after)
	*sum += after - before
}
