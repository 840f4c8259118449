package sim

import "strings"

// A promise is one that the oracle checks. Checks are counted, so that a batch
// can say how often a promise was at stake: one that nothing tries proves
// nothing.
type promise uint8

// The promises of docs/guarantees.md, and what is checked beside them.
const (
	g1 promise = iota
	g2
	g3
	g4
	g5
	g6
	g7
	g8
	g9
	g10
	g11
	g12
	g13
	g14
	g15
	gParts    // of a reply
	gTruth    // of what an outcome says
	gNotes    // of the core
	gOrder    // of what waits
	gMachines // what they hold of themselves
	promises
)

// promiseNames begin with the word that a failure's text begins with; then, what
// is counted as a check.
var promiseNames = [promises]struct{ word, checks string }{
	{"G1", "one outcome, in time: outcomes, and limits that came"},
	{"G2", "at least once: outcomes of those whose client can wait"},
	{"G3", "at most once: starts, and tries that find it started"},
	{"G4", "one run per id: tries that find it started, and further runs"},
	{"G5", "a reason to run again, and word of it: further runs"},
	{"G6", "late is better than twice: replies of one of several runs, or late"},
	{"G7", "the right reply, the right body: replies and starts"},
	{"G8", "no start after the deadline: starts"},
	{"G9", "a cancel arrives: runs that had lost their request"},
	{"G10", "poison: hand-overs of what has lost a worker"},
	{"G11", "a killed broker: further runs and outcomes across a restart"},
	{"G12", "bounds: lists of what a worker holds"},
	{"G13", "three lives: workers given up, and leases that ended"},
	{"G14", "drains: those that ended"},
	{"G15", "afterwards: new requests, and what is left"},
	{"parts", "parts of replies, and replies in parts"},
	{"outcome", "what outcomes say of runs"},
	{"notes", "the core's notes against what it sends and holds"},
	{"order", "hand-overs in their order, of each service and priority"},
	{"machines", "looks at the three machines' invariants"},
}

// sawAgain counts a start, and what is at stake in it.
func (o *oracle) sawAgain(r *run) {
	q := r.request
	o.checked(g7)
	if q.wanted > 0 {
		o.checked(g8)
	}
	if q.once {
		o.checked(g3)
	}
	for _, old := range q.runs {
		o.checked(g4)
		o.checked(g5)
		if old.epoch != r.epoch {
			o.checked(g11)
		}
	}
}

// A checkCount is how often each promise was checked.
type checkCount [promises]int

func (o *oracle) checked(p promise) { o.checks[p]++ }

// brokenPromise is the one that a failure's text begins with.
func brokenPromise(text string) promise {
	word, _, _ := strings.Cut(text, ":")
	for p := range promiseNames {
		if promiseNames[p].word == word {
			return promise(p)
		}
	}
	return gMachines
}
