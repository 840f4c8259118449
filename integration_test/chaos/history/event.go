// Package history is what the processes of a run write down, and the judge
// that reads it afterwards. Every process appends to a file of its own, one
// JSON object a line and one write a line, so that what was written before a
// SIGKILL is there. All times are CLOCK_MONOTONIC, which the processes of one
// machine share.
package history

import (
	"strings"
	"time"
)

// A Kind is what an event tells.
type Kind string

// The kinds of event, and who writes them.
const (
	Setup Kind = "setup" // runner: how the run was made; the first event of its file
	Phase Kind = "phase" // runner: a part of the run begins (How)
	Spawn Kind = "spawn" // runner: a process was started (Proc, PID)
	Exit  Kind = "exit"  // runner: a process ended (Proc, How); Ordered if it was told to

	Fault    Kind = "fault"     // runner, before it strikes: Fault, Target; Delay of a delayed link
	FaultEnd Kind = "fault-end" // runner, after it has mended what it did

	Ready Kind = "ready" // broker: both ports are bound
	Gauge Kind = "gauge" // everybody: FDs, Goroutines, PeakRSS
	Count Kind = "count" // broker that is attacked: Counters so far

	Submit  Kind = "submit"  // client, before it asks: Key, Class, Once, Want, Span: the time until the deadline
	Cancel  Kind = "cancel"  // client, before it withdraws: Key
	Outcome Kind = "outcome" // client: Key, ID, Code, Certainty, Tries, Attempt, Got

	Start Kind = "start" // worker, before the handler does anything: Key, ID, Attempt, Rerun, Once
	End   Kind = "end"   // worker: Key, ID, Attempt, How
)

// The phases of a run, in their order. In the two idle ones nobody asks for
// anything, and every process is measured.
const (
	PhaseIdleBefore = "idle-before"
	PhaseLoad       = "load"
	PhaseQuiet      = "quiet" // the last fault is over
	PhaseIdleAfter  = "idle-after"
	PhaseEnd        = "end"
)

// The classes of request.
const (
	Generous  = "generous"  // has so much time that it must end OK
	Short     = "short"     // has so little that it may expire
	Withdrawn = "withdrawn" // its context is cancelled before long
	Probe     = "probe"     // asked when all faults are over: must end OK
	Warm      = "warm"      // asked before the first fault: must end OK
)

// The faults. Five are done by the proxy to a link; the target is then
// the slot of the peer whose link it is.
const (
	Kill     = "kill"      // SIGKILL
	Freeze   = "freeze"    // SIGSTOP, later SIGCONT
	Drain    = "drain"     // SIGTERM: an end in good order
	Cut      = "cut"       // connections closed, and none let through for a while
	HalfOpen = "half-open" // closed on one side only: the other believes in it
	Stall    = "stall"     // nothing gets through in one direction for a while
	Slow     = "slow"      // everything comes late for a while
	RST      = "rst"       // reset, several times in a row

	Attack = "attack" // what nobody should do to a broker
)

// How a run ended, where a checker wants to know it.
const (
	EndedOK      = "ok"
	EndedDrained = "drained" // the worker's drain time-out ended it: it was handed back
)

// HowUnacknowledged begins the How of the exit of a worker that left replies
// behind which no broker has acknowledged.
const HowUnacknowledged = "unacknowledged"

// An Event is one line of a history. It is flat, and fields that do not matter
// to its kind are left out.
type Event struct {
	T    int64  `json:"t"` // nanoseconds, CLOCK_MONOTONIC
	Kind Kind   `json:"kind"`
	Proc string `json:"proc,omitempty"` // the process that it is about, such as worker-2.3
	PID  int    `json:"pid,omitempty"`

	Key       string `json:"key,omitempty"` // the client's name for a request: its id is the library's to make
	ID        string `json:"id,omitempty"`
	Class     string `json:"class,omitempty"`
	Once      bool   `json:"once,omitempty"` // at most once
	Span      int64  `json:"span,omitempty"` // nanoseconds
	Want      string `json:"want,omitempty"` // the digest that the reply must have
	Got       string `json:"got,omitempty"`  // the reply
	Code      string `json:"code,omitempty"`
	Certainty string `json:"certainty,omitempty"`
	Tries     int    `json:"tries,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
	Rerun     bool   `json:"rerun,omitempty"`
	How       string `json:"how,omitempty"`
	Ordered   bool   `json:"ordered,omitempty"`

	Fault  string `json:"fault,omitempty"`
	Target string `json:"target,omitempty"` // a process, or the slot of a link
	Delay  int64  `json:"delay,omitempty"`  // nanoseconds

	FDs        int   `json:"fds,omitempty"`
	Goroutines int   `json:"goroutines,omitempty"`
	PeakRSS    int64 `json:"peak_rss,omitempty"` // bytes

	Counters map[string]int `json:"counters,omitempty"` // of connections that were ended, and messages refused, by reason

	Setup *Parameters `json:"setup,omitempty"`
}

// Parameters are how a run was made: what the judge must know of it.
type Parameters struct {
	Scenario  string        `json:"scenario"`
	Seed      uint64        `json:"seed"`
	Commit    string        `json:"commit"`
	Race      bool          `json:"race"` // the processes were built with the race detector
	Heartbeat time.Duration `json:"heartbeat"`
	Liveness  int           `json:"liveness"` // heartbeats
	Window    time.Duration `json:"window"`   // for recovery, after a broker's start

	Within    time.Duration `json:"within,omitempty"`     // 95 of 100 replies come; 0: not judged
	MemoryMax int64         `json:"memory_max,omitempty"` // of a broker; 0: not judged
	// Met are the attacks of which a broker must have noticed each, and the counter
	// that says so.
	Met map[string]string `json:"met,omitempty"`
}

// Slot is the place that a process fills: worker-2 of worker-2.3, which is the
// third one in that place.
func Slot(proc string) string {
	if i := strings.LastIndexByte(proc, '.'); i >= 0 {
		return proc[:i]
	}
	return proc
}

// Role is what a process does: worker of worker-2.3.
func Role(proc string) string {
	slot := Slot(proc)
	if i := strings.IndexByte(slot, '-'); i >= 0 {
		return slot[:i]
	}
	return slot
}
