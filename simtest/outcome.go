package simtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/sim"
	"github.com/privateer-mq/privateer/protocol"
)

// An Outcome is what became of one request.
//
// Several clients may have asked under its id, one after another was killed. Code
// and what goes with it is then OK if one of them heard that, else the outcome
// that is nearest to "it ran".
type Outcome struct {
	ID      protocol.ID
	Number  int     // it is Config.Requests(Number)
	Request Request // Frames holds the body, in any case

	// Runs is how often a worker started it, Calls in how many of these runs
	// the handler was called: in the others, its worker was killed before.
	Runs, Calls int

	// Code is protocol.OK, or says what else it came to; protocol.CodeNone if
	// every client that asked was killed before it heard.
	Code protocol.Code
	// Certainty is what its clients know, all together. NotStarted: no worker
	// started it. Ran: one did; unless Code is OK or FAILED, its handler may have
	// been called too late to do anything.
	Certainty protocol.Certainty
	// Frames are the reply, if Code is OK.
	Frames [][]byte
	// HandlerCode and Message are the texts of another Code; either may be empty.
	HandlerCode, Message string

	story *sim.Story
}

// Body is the reply's first frame, nil if there is none.
func (o Outcome) Body() []byte {
	if len(o.Frames) == 0 {
		return nil
	}
	return o.Frames[0]
}

func newOutcome(number int, s *sim.Story) Outcome {
	o := Outcome{
		ID: s.ID, Number: number, Certainty: s.Certainty, Runs: len(s.Runs), story: s,
		Request: Request{Service: s.Ask.Service, Frames: s.Ask.Body, AtMostOnce: s.Ask.AtMostOnce},
	}
	if len(s.Ask.Body) > 0 {
		o.Request.Body = s.Ask.Body[0]
	}
	for i := range s.Runs {
		if s.Runs[i].Result.Code != protocol.CodeNone {
			o.Calls++
		}
	}
	if out := s.Outcome; out != nil {
		o.Code, o.HandlerCode, o.Message = out.Code, out.Meta.Get(protocol.MetaErrorCode), out.Text
		if o.Message == "" {
			o.Message = out.Meta.Get(protocol.MetaErrorText)
		}
		if out.Code == protocol.OK {
			o.Frames = out.Body
		}
	}
	return o
}

// Errorf is fmt.Errorf for an error about o: with it, Run tells what became of
// this request.
func (o Outcome) Errorf(format string, args ...any) error {
	return &outcomeError{o, fmt.Errorf(format, args...)}
}

type outcomeError struct {
	outcome Outcome
	err     error
}

func (e *outcomeError) Error() string { return fmt.Sprintf("request %d: %v", e.outcome.Number, e.err) }
func (e *outcomeError) Unwrap() error { return e.err }

// String tells o's story in several lines, the first about the request, then one
// for each run. Times are since the start of the simulation.
func (o Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "request %d, id %v, service %q, body %.40q", o.Number, o.ID, o.Request.Service, o.Request.Body)
	if n := len(o.Request.Frames); n > 1 {
		fmt.Fprintf(&b, " and %d more frames", n-1)
	}
	if o.Request.AtMostOnce {
		b.WriteString(", at most once")
	}
	if o.Code == protocol.CodeNone {
		b.WriteString(": its clients were killed before they heard of it")
	} else {
		fmt.Fprintf(&b, ": %v (%v)", o.Code, o.Certainty)
	}
	if text := strings.Join(nonEmpty(o.HandlerCode, o.Message), ": "); text != "" {
		fmt.Fprintf(&b, ", %.200q", text)
	}
	if o.story == nil { // not one of Run's
		return b.String()
	}
	if len(o.story.Runs) == 0 {
		b.WriteString("\n  never started")
	}
	for i := range o.story.Runs {
		fmt.Fprintf(&b, "\n  run %d: %s", i+1, tell(&o.story.Runs[i]))
	}
	return b.String()
}

// tell tells one run in a line.
func tell(r *sim.RunStory) string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker %s, attempt %d, MaybeRerun %t, started at %v", r.Worker, r.Attempt, r.MaybeRerun, moment(r.Started))
	if r.Again != "" {
		fmt.Fprintf(&b, " (again: %s)", strings.Replace(r.Again, "its", "the last run's", 1))
	}
	got, killed := &r.Result, r.How == "killed"
	if got.Code == protocol.CodeNone {
		fmt.Fprintf(&b, "; its worker was killed at %v, before the handler was called", moment(r.Ended))
		return b.String()
	}
	fmt.Fprintf(&b, "; handler called at %v", moment(r.Called))
	if r.Over != 0 {
		fmt.Fprintf(&b, " with its context ended (%v)", r.Over)
	}
	fmt.Fprintf(&b, ", returned %v", got.Code)
	if text := strings.Join(nonEmpty(got.Meta.Get(protocol.MetaErrorCode), got.Meta.Get(protocol.MetaErrorText)), ": "); text != "" {
		fmt.Fprintf(&b, " %.200q", text)
	}
	switch {
	case killed:
		fmt.Fprintf(&b, "; its worker was killed at %v, before that was sent", moment(r.Ended))
	case r.WorkerEnd != 0:
		fmt.Fprintf(&b, " (sent at %v; its worker ended at %v)", moment(r.Ended), moment(r.WorkerEnd))
	default:
		fmt.Fprintf(&b, " (sent at %v)", moment(r.Ended))
	}
	return b.String()
}

func moment(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func nonEmpty(texts ...string) (list []string) {
	for _, s := range texts {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}
