package sim

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// SituationsNeed is how many seeds it takes until every situation has occurred:
// a batch of so many that lacks one has failed. Some occur once in a thousand, so
// of seeds drawn anew it takes more.
const SituationsNeed = 2000

// A Batch sums up many seeds.
type Batch struct {
	Base uint64
	Tally
	Failed []Result // broken promises, by seed
}

// A Tally is the counts of many seeds.
type Tally struct {
	Seeds     int
	Simulated time.Duration
	Steps     int
	Requests  int
	Runs      int
	Faults    [faultKinds]int
	Seen      seenSet // seeds in which each situation occurred
	Outcomes  [16]int
	Checks    checkCount
	CheckedIn checkCount // seeds in which each promise was checked
	Broken    checkCount // seeds that broke it
}

// RunBatch plays n seeds from base on, two at a time where there are two
// cores, and as many more. each is called with every seed's result, one at a
// time and in any order; it may be nil.
func RunBatch(base uint64, n int, each func(*Result)) Batch {
	b := Batch{Base: base}
	seeds, results := make(chan uint64), make(chan Result)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := range seeds {
				results <- Run(seed, false)
			}
		})
	}
	go func() {
		for i := range n {
			seeds <- base + uint64(i)
		}
		close(seeds)
		workers.Wait()
		close(results)
	}()
	for r := range results {
		b.count(&r)
		if r.Err != nil {
			b.Failed = append(b.Failed, r)
		}
		if each != nil {
			each(&r)
		}
	}
	slices.SortFunc(b.Failed, func(x, y Result) int { return cmp.Compare(x.Seed, y.Seed) })
	return b
}

func (t *Tally) count(r *Result) {
	t.Seeds++
	t.Simulated += r.Simulated
	t.Steps += r.Steps
	t.Requests += r.Requests
	t.Runs += r.Runs
	add(t.Faults[:], r.Faults[:])
	add(t.Outcomes[:], r.Outcomes[:])
	add(t.Checks[:], r.Checks[:])
	for i, n := range r.Seen {
		t.Seen[i] += min(n, 1)
	}
	for i, n := range r.Checks {
		t.CheckedIn[i] += min(n, 1)
	}
	if r.Err != nil {
		t.Broken[r.Broken]++
	}
}

// Add adds the counts of further seeds.
func (t *Tally) Add(more *Tally) {
	t.Seeds += more.Seeds
	t.Simulated += more.Simulated
	t.Steps += more.Steps
	t.Requests += more.Requests
	t.Runs += more.Runs
	add(t.Faults[:], more.Faults[:])
	add(t.Seen[:], more.Seen[:])
	add(t.Outcomes[:], more.Outcomes[:])
	add(t.Checks[:], more.Checks[:])
	add(t.CheckedIn[:], more.CheckedIn[:])
	add(t.Broken[:], more.Broken[:])
}

func add(sum, more []int) {
	for i, n := range more {
		sum[i] += n
	}
}

// Violations is how many seeds broke a promise.
func (t *Tally) Violations() (n int) {
	for _, broken := range t.Broken {
		n += broken
	}
	return n
}

// Sometimes is how many situations occurred, of how many.
func (t *Tally) Sometimes() (seen, all int) {
	for _, n := range t.Seen {
		if n > 0 {
			seen++
		}
	}
	return seen, int(situations)
}

// OK reports whether no promise was broken and, in need seeds or more, every
// situation occurred and every promise was checked.
func (t *Tally) OK(need int) bool {
	seen, all := t.Sometimes()
	return t.Violations() == 0 && (t.Seeds < need || seen == all && !slices.Contains(t.Checks[:], 0))
}

// Line is the sum in one line.
func (t *Tally) Line() string {
	seen, all := t.Sometimes()
	return fmt.Sprintf("sim: seeds=%d violations=%d sometimes=%d/%d", t.Seeds, t.Violations(), seen, all)
}

// Report writes the counts of everything that happened.
func (t *Tally) Report(w io.Writer) {
	fmt.Fprintf(w, "%d seeds: %.0f simulated hours, %d requests, %d runs, %d steps\n",
		t.Seeds, t.Simulated.Hours(), t.Requests, t.Runs, t.Steps)
	fmt.Fprintln(w, "faults:")
	for i, n := range t.Faults {
		fmt.Fprintf(w, "  %8d %s\n", n, faultNames[i])
	}
	fmt.Fprintln(w, "seeds in which it occurred:")
	for i, n := range t.Seen {
		fmt.Fprintf(w, "  %8d %2d %s\n", n, i+1, situationNames[i])
	}
	fmt.Fprintln(w, "checks, seeds with one, seeds that broke it:")
	for p, name := range promiseNames {
		fmt.Fprintf(w, "  %10d %8d %3d %-8s %s\n", t.Checks[p], t.CheckedIn[p], t.Broken[p], name.word, name.checks)
	}
}

// Tell writes how a seed failed: the promise, the last events as a script, and
// the command that plays it again.
func (r *Result) Tell(w io.Writer, lines int) {
	again := Run(r.Seed, true)
	fmt.Fprintf(w, "seed %d: %v\n", r.Seed, r.Err)
	if again.Hash != r.Hash {
		fmt.Fprintf(w, "  (the second run of this seed went another way: %x, %x)\n", r.Hash, again.Hash)
	}
	fmt.Fprintf(w, "# the last events; what the broker heard is at the margin, as in internal/core/testdata\n%s\n",
		strings.Join(again.Trace[max(0, len(again.Trace)-lines):], "\n"))
	fmt.Fprintf(w, "again: make sim SEED=%d SEEDS=1\n", r.Seed)
}
