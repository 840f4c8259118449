package history

import (
	"fmt"
	"slices"
	"time"
)

const (
	// transit is how much later than its deadline a handler may start, and
	// how long a withdrawn request may take to return.
	transit = 250 * time.Millisecond
	// loadedMachine is how much later than promised an outcome may be noted,
	// where other processes compete for the processors.
	loadedMachine = 2 * time.Second
	// violationsMax bounds the descriptions that a result keeps.
	violationsMax = 200
)

// A request is one request with all that is known of it.
type request struct {
	submit  Event
	cancel  int64 // when it was withdrawn; 0 if it was not
	outcome *Event
}

// A run is one call of a handler.
type run struct {
	start Event
	end   int64  // 0: it has not ended
	how   string // it ended
}

// A judge holds the whole history, sorted by what it is about.
type judge struct {
	setup    Parameters
	requests map[string]*request // by key
	keys     []string            // of requests, in the order of their submission
	runs     map[string][]*run   // by id, in the order of their start
	ids      []string            // of runs, in the order of the first start
	faults   []fault
	ready    []Event // brokers
	exits    map[string]Event
	gauges   []Event
	phases   map[string]int64
	end      int64 // of the history

	Result
}

// Check judges a history, which is in the order of time.
func Check(events []Event, crashes []string) *Result {
	j := &judge{
		requests: map[string]*request{}, runs: map[string][]*run{}, exits: map[string]Event{}, phases: map[string]int64{},
		Result: Result{Faults: map[string]int{}, Crashes: crashes},
	}
	for i := range events {
		j.take(&events[i])
	}
	j.Parameters = j.setup
	j.completeness()
	for _, key := range j.keys {
		j.judgeOutcome(j.requests[key])
	}
	for _, id := range j.ids {
		j.judgeRuns(j.runs[id])
	}
	j.judgeLeaks()
	j.measure()
	j.conclude()
	return &j.Result
}

// take sorts an event in.
func (j *judge) take(e *Event) {
	j.end = e.T
	switch e.Kind {
	case Setup:
		j.setup = *e.Setup
	case Phase:
		j.phases[e.How] = e.T
	case Ready:
		j.ready = append(j.ready, *e)
	case Exit:
		j.takeExit(e)
	case Fault, FaultEnd:
		j.takeFault(e)
	case Gauge:
		j.gauges = append(j.gauges, *e)
		if Role(e.Proc) == "broker" {
			j.PeakRSSMiB = max(j.PeakRSSMiB, int(e.PeakRSS>>20))
		}
	case Count:
		j.Counters = e.Counters
	case Submit:
		j.requests[e.Key] = &request{submit: *e}
		j.keys = append(j.keys, e.Key)
	case Cancel:
		if r := j.requests[e.Key]; r != nil {
			r.cancel = e.T
		}
	case Outcome:
		if r := j.requests[e.Key]; r != nil {
			r.outcome = e
		}
	case Start:
		if j.runs[e.ID] == nil {
			j.ids = append(j.ids, e.ID)
		}
		j.runs[e.ID] = append(j.runs[e.ID], &run{start: *e})
	case End:
		for _, r := range j.runs[e.ID] {
			if r.start.Proc == e.Proc && r.start.Attempt == e.Attempt && r.end == 0 {
				r.end, r.how = e.T, e.How
				break
			}
		}
	}
}

func (j *judge) takeExit(e *Event) {
	j.exits[e.Proc] = *e
	if !e.Ordered {
		j.Crashes = append(j.Crashes, e.Proc+" ended by itself: "+e.How)
	}
	if unacknowledged(*e) {
		j.Unacknowledged++
	}
}

// completeness looks for what a whole history must have.
func (j *judge) completeness() {
	if j.setup.Heartbeat == 0 || j.setup.Liveness == 0 {
		j.problem("the history does not say how the run was made")
	}
	for _, p := range []string{PhaseIdleBefore, PhaseLoad, PhaseQuiet, PhaseIdleAfter, PhaseEnd} {
		if j.phases[p] == 0 {
			j.problem("the run did not come to the phase %s", p)
		}
	}
}

func (j *judge) problem(format string, args ...any) {
	j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
}

// violation counts one, and describes it.
func (j *judge) violation(count *int, word, format string, args ...any) {
	*count++
	if len(j.Violations) < violationsMax {
		j.Violations = append(j.Violations, word+": "+fmt.Sprintf(format, args...))
	}
}

var (
	failed   = []string{"FAILED", "TIMEOUT", "WORKER_LOST", "GONE"}
	rejected = []string{"OVERLOADED", "NO_SERVICE", "DRAINING", "DENIED", "INVALID"}
	unknown  = []string{"UNKNOWN", "UNREACHABLE"}
)

// count adds an outcome to its sum.
func (j *judge) count(o *Event) {
	switch code := o.Code; {
	case code == "OK":
		j.OK++
	case code == "EXPIRED":
		j.Expired++
	case slices.Contains(failed, code):
		j.Failed++
	case slices.Contains(rejected, code):
		j.Rejected++
	case slices.Contains(unknown, code):
		j.Unknown++
		return
	case code == "CANCELLED":
		j.Cancelled++
		return
	default:
		j.problem("outcome %q is not known", code)
	}
	if o.Tries > 0 { // otherwise the client itself had no room for it
		j.Acknowledged++
	}
}

// judgeOutcome looks at a request from its client's side.
func (j *judge) judgeOutcome(r *request) {
	j.Attempted++
	j.judgeTime(r)
	if r.outcome == nil {
		return
	}
	o, s := r.outcome, r.submit
	j.count(o)
	ran := len(j.runs[o.ID]) > 0
	switch {
	case o.Code == "OK":
		if !ran {
			j.violation(&j.Lost, "lost", "%s id %s: OK, but no run is recorded", s.Key, o.ID)
		}
		if want := s.Want + " " + o.ID; o.Got != want {
			j.violation(&j.WrongReply, "wrong-reply", "%s id %s: the reply is %q, want %q", s.Key, o.ID, o.Got, want)
		}
		return
	case o.Certainty == "not-started" && ran:
		j.violation(&j.WrongReply, "wrong-reply", "%s id %s: %s says not-started, but it ran: %s", s.Key, o.ID, o.Code, j.describe(o.ID))
	case o.Certainty == "ran" && !ran:
		j.violation(&j.WrongReply, "wrong-reply", "%s id %s: %s says that it ran, but no run is recorded", s.Key, o.ID, o.Code)
	}
	if !s.Once && !j.mayEnd(s.Class, o.Code) {
		j.violation(&j.Lost, "lost", "%s id %s (%s) ended %s, %s, after %v and %d tries: %s: %s", s.Key, o.ID, s.Class,
			o.Code, o.Certainty, time.Duration(o.T-s.T), o.Tries, o.How, j.describe(o.ID))
	}
}

// mayEnd reports whether an at-least-once request of a class may end so.
func (j *judge) mayEnd(class, code string) bool {
	switch class {
	case Withdrawn:
		return true
	case Short:
		return code == "EXPIRED" || slices.Contains(unknown, code) || slices.Contains(rejected, code)
	case Generous:
		return slices.Contains(rejected, code)
	}
	return false
}

// judgeTime looks whether the outcome came in time.
func (j *judge) judgeTime(r *request) {
	s := r.submit
	if killed := j.killedAt(s.Proc); r.outcome == nil && killed > 0 {
		return // the dead are told nothing
	}
	until := j.end
	if r.outcome != nil {
		until = r.outcome.T
	}
	spare := j.frozen(s.Proc, s.T, until) + int64(loadedMachine)
	limit := s.T + s.Span + int64(j.setup.Heartbeat+transit) + spare
	if r.cancel > 0 {
		limit = min(limit, r.cancel+int64(transit)+spare)
	}
	switch {
	case until <= limit:
	case r.outcome == nil:
		j.violation(&j.Hung, "hung", "%s (%s): no outcome %v after it was asked: %s", s.Key, s.Class, time.Duration(until-s.T), j.describeKey(s.Key))
	default:
		j.violation(&j.Hung, "hung", "%s id %s (%s): outcome %s came %v too late", s.Key, r.outcome.ID, s.Class, r.outcome.Code, time.Duration(until-limit))
	}
}
