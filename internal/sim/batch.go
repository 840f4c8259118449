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

// SituationsNeed is how many seeds it takes at least until every situation has
// occurred: a batch of so many that lacks one has failed.
const SituationsNeed = 2000

// A Batch sums up many seeds.
type Batch struct {
	Base      uint64
	Seeds     int
	Simulated time.Duration
	Steps     int
	Requests  int
	Runs      int
	Faults    [faultKinds]int
	Seen      seenSet // seeds in which each situation occurred
	Outcomes  [16]int
	Failed    []Result // broken promises, by seed
}

// RunBatch plays n seeds from base on, two at a time where there are two
// cores, and as many more. progress is called now and then with the seeds done
// so far; it may be nil.
func RunBatch(base uint64, n int, progress func(done int)) Batch {
	b := Batch{Base: base, Seeds: n}
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
	done := 0
	for r := range results {
		b.add(r)
		if done++; progress != nil && done%500 == 0 {
			progress(done)
		}
	}
	slices.SortFunc(b.Failed, func(x, y Result) int { return cmp.Compare(x.Seed, y.Seed) })
	return b
}

func (b *Batch) add(r Result) {
	b.Simulated += r.Simulated
	b.Steps += r.Steps
	b.Requests += r.Requests
	b.Runs += r.Runs
	for i := range r.Faults {
		b.Faults[i] += r.Faults[i]
	}
	for i := range r.Seen {
		b.Seen[i] += min(r.Seen[i], 1)
	}
	for i := range r.Outcomes {
		b.Outcomes[i] += r.Outcomes[i]
	}
	if r.Err != nil {
		b.Failed = append(b.Failed, r)
	}
}

// Sometimes is how many situations occurred, of how many.
func (b *Batch) Sometimes() (seen, all int) {
	for _, n := range b.Seen {
		if n > 0 {
			seen++
		}
	}
	return seen, int(situations)
}

// OK reports whether no promise was broken and, in a batch of SituationsNeed
// seeds or more, every situation occurred.
func (b *Batch) OK() bool {
	seen, all := b.Sometimes()
	return len(b.Failed) == 0 && (seen == all || b.Seeds < SituationsNeed)
}

// Line is the batch in one line.
func (b *Batch) Line() string {
	seen, all := b.Sometimes()
	return fmt.Sprintf("sim: seeds=%d violations=%d sometimes=%d/%d", b.Seeds, len(b.Failed), seen, all)
}

// Report writes the counts of everything that happened.
func (b *Batch) Report(w io.Writer) {
	fmt.Fprintf(w, "%d seeds from %d: %.0f simulated hours, %d requests, %d runs, %d steps\n",
		b.Seeds, b.Base, b.Simulated.Hours(), b.Requests, b.Runs, b.Steps)
	fmt.Fprintln(w, "faults:")
	for i, n := range b.Faults {
		fmt.Fprintf(w, "  %8d %s\n", n, faultNames[i])
	}
	fmt.Fprintln(w, "seeds in which it occurred:")
	for i, n := range b.Seen {
		fmt.Fprintf(w, "  %8d %2d %s\n", n, i+1, situationNames[i])
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
