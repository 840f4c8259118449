package history

import (
	"slices"
	"sort"
	"time"
)

// A story is a history written by hand. Times are milliseconds.
type story struct{ events []Event }

// newStory is a valid history: one request that ends OK, one worker killed,
// and measurements of an idle start and end.
func newStory() *story {
	s := &story{}
	s.add(1, Event{Kind: Setup, Setup: &Parameters{Scenario: "story", Seed: 7, Heartbeat: time.Second, Liveness: 3, Window: 8 * time.Second}})
	for at, name := range map[int]string{1000: PhaseIdleBefore, 2000: PhaseLoad, 60_000: PhaseQuiet, 61_000: PhaseIdleAfter, 62_000: PhaseEnd} {
		s.add(at, Event{Kind: Phase, How: name})
	}
	s.add(500, Event{Kind: Ready, Proc: "broker.1"})
	for _, proc := range []string{"broker.1", "worker-1.1", "client-1.1"} {
		s.gauge(1500, proc, 20, 10)
		s.gauge(61_500, proc, 20, 10)
	}
	s.ask(2100, "first", Generous, 60_000)
	s.run(2110, 2120, "worker-1.1", "first", 1)
	s.ok(2130, "first")
	s.fault(2500, Kill, "worker-9.1")
	return s
}

func (s *story) add(at int, e Event) {
	e.T = int64(at) * int64(time.Millisecond)
	s.events = append(s.events, e)
}

func (s *story) gauge(at int, proc string, fds, goroutines int) {
	s.add(at, Event{Kind: Gauge, Proc: proc, FDs: fds, Goroutines: goroutines, PeakRSS: 30 << 20})
}

// ask submits a request whose id is its key with "id-" before it.
func (s *story) ask(at int, key, class string, span int) {
	s.add(at, Event{Kind: Submit, Proc: "client-1.1", Key: key, Class: class, Span: int64(span) * int64(time.Millisecond), Want: "digest"})
}

func (s *story) askOnce(at int, key string) {
	s.ask(at, key, Generous, 60_000)
	s.events[len(s.events)-1].Once = true
}

func (s *story) ok(at int, key string) { s.reply(at, key, "digest id-"+key) }

func (s *story) reply(at int, key, body string) {
	s.add(at, Event{Kind: Outcome, Proc: "client-1.1", Key: key, ID: "id-" + key, Code: "OK", Got: body, Tries: 1, Attempt: 1})
}

func (s *story) outcome(at int, key, code, certainty string) {
	s.add(at, Event{Kind: Outcome, Proc: "client-1.1", Key: key, ID: "id-" + key, Code: code, Certainty: certainty, Tries: 1})
}

// run is a run that ended well; end 0: it has not ended.
func (s *story) run(start, end int, worker, key string, attempt int) {
	s.runTo(start, end, worker, key, attempt, EndedOK)
}

func (s *story) runTo(start, end int, worker, key string, attempt int, how string) {
	once := slices.ContainsFunc(s.events, func(e Event) bool { return e.Kind == Submit && e.Key == key && e.Once })
	e := Event{Kind: Start, Proc: worker, Key: key, ID: "id-" + key, Attempt: attempt, Once: once}
	s.add(start, e)
	if end > 0 {
		e.Kind, e.How = End, how
		s.add(end, e)
	}
}

func (s *story) fault(at int, kind, target string) {
	s.add(at, Event{Kind: Fault, Fault: kind, Target: target})
}

func (s *story) mend(at int, kind, target string) {
	s.add(at, Event{Kind: FaultEnd, Fault: kind, Target: target})
}

func (s *story) exit(at int, proc, how string, ordered bool) {
	s.add(at, Event{Kind: Exit, Proc: proc, How: how, Ordered: ordered})
}

// drop removes all events of a kind.
func (s *story) drop(kind Kind) {
	s.events = slices.DeleteFunc(s.events, func(e Event) bool { return e.Kind == kind })
}

func (s *story) check() *Result {
	sort.SliceStable(s.events, func(i, j int) bool { return s.events[i].T < s.events[j].T })
	return Check(s.events, nil)
}
